"""metrics.json as it is written, and read again; what it holds is typed in `ghostbench.scoring.metrics`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostbench.digests import Signature, signature
from ghostbench.folder.names import METRICS
from ghostbench.writing import json_text, write_text

_WRITTEN: dict[Path, tuple[Signature, Any]] = {}
"""The metrics that were written last."""


def has_metrics(folder: Path) -> bool:
    """Whether the run was scored."""
    return (folder / METRICS).is_file()


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> Any:
    """Write them; return what was written, as reading it gives it."""
    path = folder / METRICS
    text = json_text(metrics)
    write_text(path, text)
    written = json.loads(text)
    _WRITTEN.clear()
    _WRITTEN[path.resolve()] = (signature(path), written)
    return written


def read_metrics(folder: Path) -> Any:
    """What metrics.json holds, unread where this process wrote it last. Raises as `stated_metrics` does."""
    path = folder / METRICS
    at, metrics = _WRITTEN.get(path.resolve(), (None, None))
    return metrics if at == signature(path) else stated_metrics(folder)


def stated_metrics(folder: Path) -> Any:
    """What the file itself holds, for who doubts it. Raises `OSError`, and `ValueError` or `RecursionError` for what is
    no JSON."""
    return json.loads((folder / METRICS).read_bytes())
