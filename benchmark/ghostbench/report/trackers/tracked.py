"""A finished run as trackers take it: parameters, numbers and files; nothing that may not be passed on, no media."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostbench.digests import digest
from ghostbench.errors import BadInput
from ghostbench.folder.manifest import Manifest, require_complete
from ghostbench.folder.names import MANIFEST, PAGE, PAGE_ROWS
from ghostbench.folder.reader import Folder
from ghostbench.folder.sums import listed_files
from ghostbench.folder.tags import Tags, read_tags
from ghostbench.report.data import RunData, read_run
from ghostbench.report.escape import plain, without_places
from ghostbench.report.export import metrics_lines
from ghostbench.report.frame_strips import has_free_media

LONGEST = 500
"""Characters of a parameter: the least of what trackers take."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """params : of the run. rows : by the tables' rows, their parameters and numbers. key : SHA-256 of the manifest."""

    run: RunData
    written: Tags
    params: Mapping[str, str]
    rows: Mapping[str, tuple[Mapping[str, str], Mapping[str, float]]]
    key: str

    @property
    def manifest(self) -> Manifest:
        """manifest.json."""
        return self.run.manifest

    def files(self) -> Iterator[tuple[str, Path]]:
        """The run's own files by path within its folder; a page with frames that may not be passed on is left out."""
        pages = () if has_free_media(self.run) or not _holds_frames(self.run.folder) else (PAGE, f"{PAGE_ROWS}/")
        for name in listed_files(self.run.folder):
            if not name.startswith(pages or ("\0",)):
                yield name, self.run.folder / name


def tracked(folder: Path) -> Tracked:
    """Read a finished run. Raises `BadInput` for any other."""
    require_complete(folder, Folder.open(folder).header)
    run = read_run(folder)
    manifest = run.manifest
    said = {
        "task": manifest.task.name,
        "task_version": manifest.task.version,
        "dataset": manifest.dataset.name,
        "split": manifest.dataset.split,
        "clips": len(run.clips),
        "labels_sha256": manifest.dataset.labels_sha256,
        "split_sha256": manifest.dataset.split_sha256,
        "sampling": manifest.sampling,
        "repeats": manifest.repeats,
        "seed": manifest.seed,
        "started_at": manifest.started_at,
        **{f"version.{name}": version for name, version in manifest.versions.items()},
    }
    lines = {str(line["model"]): line for line in metrics_lines(run)}
    rows = {name: (_settings(manifest, name), dict(_numbers(line))) for name, line in lines.items()}
    return Tracked(run, read_tags(folder), _texts(said), rows, digest(folder / MANIFEST))


def missing(extra: str, what: str) -> BadInput:
    """What to say where a tracker's own library is not installed."""
    return BadInput(f"{what} needs the extra [{extra}]: pip install 'ghostbench[{extra}]'")


def _settings(manifest: Manifest, row: str) -> dict[str, str]:
    entry = manifest.models.get(row)
    if entry is None:
        return {"kind": "reference"}
    said = {"registered_as": entry.spec, "kind": entry.kind, "asked_model": entry.asked_model, "probe": entry.probe}
    said |= {"mark": entry.remark}
    return _texts({**said, **{f"setting.{name}": value for name, value in entry.settings.items()}})


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as text without characters that act and places of the machine; those that are None left out."""
    return {
        name: without_places(plain(str(value)))[:LONGEST] for name, value in values.items() if value not in (None, "")
    }


def _numbers(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, float(value)


def _holds_frames(folder: Path) -> bool:
    files = [folder / name for name in listed_files(folder) if name.startswith((PAGE, f"{PAGE_ROWS}/"))]
    return any(b"data:image/jpeg" in path.read_bytes() for path in files)
