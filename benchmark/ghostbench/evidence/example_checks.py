"""The examples that wordings show: that they are those of the words, are never scored, and were shown as is stated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.datasets.granted import Granted, media_place
from ghostbench.errors import AttemptError, BadInput
from ghostbench.evidence.differences import Finding
from ghostbench.folder.manifest import ExampleEntry
from ghostbench.folder.names import ATTEMPTS, CLIPS, MANIFEST
from ghostbench.folder.prompts import read_words
from ghostbench.folder.run_records import RunRecords
from ghostbench.frames import Frames
from ghostbench.plugins.registry import printable, registry
from ghostbench.records import ExampleFrames
from ghostbench.tasks.base import Task
from ghostbench.tasks.load import load_task, task_of_run


def shows_examples(run: RunRecords) -> bool:
    """Whether a wording of the run shows frames of examples."""
    return bool(run.manifest.examples) or any(task.shown_clips for task in _wordings(run).values())


def check_examples(run: RunRecords, granted: Granted) -> tuple[list[Finding], str]:
    """The examples that the words name are those that the manifest states; none is a clip of the run; every request of
    a wording that shows some was of exactly these frames; and the media, where it may be looked at, still has them.

    With a note where it may not be looked at.
    """
    wordings = _wordings(run)
    found = [*_named(run, wordings), *_scored(run), *_asked_with_others(run, wordings)]
    again, note = _media_again(run, granted)
    return [*found, *again], note


def _wordings(run: RunRecords) -> dict[str, Task]:
    """The wordings that rows which look at frames were asked in, as far as they can be had: those of a registered task,
    or of the form that the folder holds."""
    entry = run.manifest.task
    asked = {row.variant for row in run.manifest.models.values() if row.needs_frames}
    found: dict[str, Task] = {}
    for name, digest in entry.variants.items():
        try:
            words = read_words(run.folder, digest) if name in asked else None
            if words is None:
                continue
            registered = entry.name in registry().tasks
            task = load_task(entry.name).variants().get(name) if registered else task_of_run(entry.name, words)
        except (ValueError, BadInput):
            continue  # what is wrong with the words, `prompt_checks` says
        if task is not None and task.template_sha256() == digest:
            found[name] = task
    return found


def _named(run: RunRecords, wordings: Mapping[str, Task]) -> Iterator[Finding]:
    named = {clip_id(clip) for task in wordings.values() for clip in task.shown_clips}
    stated = set(run.manifest.examples)
    for clip in sorted(named - stated):
        yield Finding(MANIFEST, f"does not say which frames of the example {clip} were shown")
    asked = {entry.variant for entry in run.manifest.models.values() if entry.variant and entry.needs_frames}
    if asked <= set(wordings):
        for clip in sorted(stated - named):
            yield Finding(MANIFEST, f"states frames of the example {clip}, which no wording shows")


def _scored(run: RunRecords) -> Iterator[Finding]:
    shown = {entry.frames_sha256: clip for clip, entry in run.manifest.examples.items()}
    for clip, digest in zip(run.clips["clip"], run.clips["frames_sha256"], strict=True):
        if clip in run.manifest.examples:
            yield Finding(CLIPS, f"{clip} is scored, and a wording tells its answer as an example")
        elif digest in shown:
            yield Finding(CLIPS, f"{clip} has the frames of the example {shown[digest]}, whose answer a wording tells")


def _asked_with_others(run: RunRecords, wordings: Mapping[str, Task]) -> Iterator[Finding]:
    """Requests at level 0 whose prompt is not the one that words, clip and examples come to."""
    known = {clip: _known(entry) for clip, entry in run.manifest.examples.items()}
    clips = run.clips[run.clips["frames_sha256"].notna() & run.clips["questions"].isna()]
    shown = {row["clip"]: row for row in clips.to_dict("records")}
    for name, task in wordings.items():
        if not task.shown_clips or any(clip_id(clip) not in known for clip in task.shown_clips):
            continue
        task.examples = {clip: known[clip_id(clip)] for clip in task.shown_clips}
        rows = [row for row, entry in run.manifest.models.items() if entry.variant == name and entry.needs_frames]
        lines = run.attempts
        lines = lines[lines["model"].isin(rows) & (lines["fallback_level"] == 0) & lines["clip"].isin(shown)]
        lines = lines[lines["frames_sha256"].notna()]
        wanted = {clip: task.build(_frames_of(row)).sha256 for clip, row in shown.items()}
        wrong = lines[lines["prompt_sha256"] != lines["clip"].map(wanted)]
        for model, clip in zip(wrong["model"], wrong["clip"], strict=True):
            yield Finding(ATTEMPTS, f"{model} was asked about {clip} with other words or examples than are stated")


def _known(entry: ExampleEntry) -> ExampleFrames:
    return ExampleFrames(
        frames_sha256=entry.frames_sha256,
        frame_indices=tuple(entry.frame_indices),
        frame_times_s=tuple(entry.frame_times_s),
        duration_s=entry.duration_s,
        decoder=entry.decoder,
    )


def _frames_of(row: Mapping[Any, Any]) -> Frames:
    """A clip's frames without their pixels, of which a prompt says nothing."""
    return Frames(
        np.zeros((len(row["frame_times_s"]), 0, 0, 3), np.uint8),
        indices=tuple(row["frame_indices"]),
        times_s=tuple(row["frame_times_s"]),
        duration_s=row["duration_s"],
        decoder=str(row["decoder"]),
        sha256=row["frames_sha256"],
    )


def _media_again(run: RunRecords, granted: Granted) -> tuple[list[Finding], str]:
    from ghostbench.datasets.layouts import find_media
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    examples, data = run.manifest.examples, run.manifest.dataset
    if not examples or run.manifest.sampling is None:
        return [], ""
    try:
        where = media_place(granted, data.name, data.data_root, data.layout, data.fps)
        media = find_media(where.root, list(examples), layout=where.layout, fps=where.fps, within=where.within)
        sampling = parse_sampling(run.manifest.sampling)
    except BadInput as error:
        return [], f"the frames of examples were not compared with the media: {error}"
    found, unread = [], []
    for clip, entry in examples.items():
        if clip not in media:
            unread.append(f"{clip} (it is not there any more)")
            continue
        try:
            now = decode(str(media[clip]), sampling, where.root.credentials).sha256
        except AttemptError as error:
            unread.append(f"{clip} ({printable(str(error))})")
            continue
        if now != entry.frames_sha256:
            found.append(Finding(MANIFEST, f"the example {clip} has other frames now than in the run"))
    note = f"the frames of these examples could not be compared with the media: {', '.join(unread)}" if unread else ""
    return found, note
