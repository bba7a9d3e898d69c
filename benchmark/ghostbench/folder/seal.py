"""The manifest's seal: a digest by which a change made after the run is noticed.

It is the SHA-256 of manifest.json as it lies on disk, with 64 zeros in the place of the seal, which is the last field.
Anybody who edits the file can compute the seal anew: it finds accidents and careless edits, and proves nothing against
a forger.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ghostbench.writing import json_text, write_text

FIELD = "seal"
_BLANK = "0" * 64
_LAST_FIELD = re.compile(rb'"seal":\s*"([0-9a-f]{64})"\s*}\s*\Z')


def write_sealed(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest with its seal as the last field. Raises ValueError for NaN or infinity."""
    text = json_text({**{key: value for key, value in manifest.items() if key != FIELD}, FIELD: _BLANK})
    head, _, tail = text.rpartition(_BLANK)
    write_text(path, f"{head}{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}{tail}")


def check_seal(path: Path) -> Literal["holds", "broken", "none"]:
    """Whether a manifest is to the byte what was sealed; "none" where it has no seal. Raises `OSError`."""
    content = path.read_bytes()
    found = _LAST_FIELD.search(content)
    if found is None:
        return "none"
    blank = content[: found.start(1)] + _BLANK.encode("ascii") + content[found.end(1) :]
    return "holds" if hashlib.sha256(blank).hexdigest().encode("ascii") == found[1] else "broken"
