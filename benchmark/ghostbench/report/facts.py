"""What was run, in words: the head of every report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ghostbench.folder.manifest import AnnotatedEntry
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain, without_places
from ghostbench.report.table import shown
from ghostbench.tasks.wording import MAIN

_SHOWN = 5
"""Clips without an annotation, and with an uncertain one, that are named."""


def facts(run: RunData) -> list[tuple[str, str]]:
    """What was run, as pairs of a title and plain text."""
    manifest = run.manifest
    data = manifest.dataset
    coverage = run.metrics["event_coverage"]
    found = [
        ("Task", f"{manifest.task.name} (version {manifest.task.version})"),
        ("Dataset", f"{data.name}, split {data.split}, {len(run.clips)} clips"),
        ("Labels", f"{data.labels or 'of the dataset'} (SHA-256 {data.labels_sha256[:12]}…)"),
        ("Sampling", manifest.sampling or "none"),
        (
            "Event coverage",
            f"a sampled frame lies in [t*, t* + 1 s] for {coverage['covered']} of {coverage['with_frames']} positives "
            f"with a stated time and frames ({coverage['positives']} positives)",
        ),
        ("Repeats", str(manifest.repeats)),
        ("Seed", str(manifest.seed)),
        ("Command", shlex.join(manifest.command)),
        ("Started", manifest.started_at or "unknown"),
        ("Hardware", ", ".join(_hardware(manifest.hardware.model_dump(exclude_unset=True)))),
        ("Versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items() if version)),
    ]
    for file, place in reversed(list(zip(data.annotated, data.annotations, strict=False))):
        found.insert(3, ("Annotations", f"{place}: {_joined(file, len(run.clips))}"))
    if data.filters:
        found.insert(2, ("Filters", "; ".join(data.filters)))
    if data.left_out:
        clips = [f"{clip} ({why})" for clip, why in data.left_out.items()]
        found.insert(3, ("Clips not scored", "; ".join(clips)))
    if manifest.examples:
        examples = [
            f"{clip} ({len(entry.frame_times_s)} frames, SHA-256 {entry.frames_sha256[:12]}…)"
            for clip, entry in manifest.examples.items()
        ]
        found.insert(1, ("Examples shown", "; ".join(examples)))
    if manifest.task.variants:
        found.insert(1, ("Wordings", ", ".join([MAIN, *manifest.task.variants])))
    if data.skipped_labels:
        found.insert(3, ("Skipped label rows", "; ".join(data.skipped_labels)))
    return [(title, without_places(plain(text))) for title, text in found]


def _joined(file: AnnotatedEntry, clips: int) -> str:
    """What an annotation file added, and why not more."""
    words = f"{file.form}, rows for {file.matched} of {clips} clips (SHA-256 {file.sha256[:12]}…)"
    if file.flagged:
        words += f"; not certain: {_few([f'{clip} ({why})' for clip, why in file.flagged.items()])}"
    if file.unmatched:
        words += f"; without a row: {_few([f'{clip} ({why})' for clip, why in file.unmatched.items()])}"
    return words


def _few(parts: Sequence[str]) -> str:
    """The first parts; the manifest has them all."""
    rest = len(parts) - _SHOWN
    return "; ".join(parts[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def _hardware(stated: Mapping[str, Any]) -> Iterator[str]:
    """What the manifest says of the machine, item by item; sizes in GiB."""
    for name, value in stated.items():
        if name == "gpus" and isinstance(value, list):
            names = [" ".join(_hardware(gpu)) if isinstance(gpu, Mapping) else str(gpu) for gpu in value]
            yield f"GPUs: {'; '.join(names) or 'none'}"
        elif name.endswith("_bytes") and isinstance(value, int):
            yield f"{shown(value, 'bytes')} {name.removesuffix('_bytes')}"
        elif name == "name":
            yield str(value)
        else:
            yield f"{name} {'unknown' if value is None else value}"
