"""Write a file whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text (UTF-8): on disk before the old one goes, so that a crash leaves one or the other."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, indented, in the mapping's own order. Raises ValueError for NaN or infinity."""
    write_text(path, json_text(value))


def json_text(value: Mapping[str, Any]) -> str:
    """The text that `write_json` writes. Raises ValueError for NaN or infinity."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
