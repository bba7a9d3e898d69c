"""A part of a run, scored while the rest is still to come: in memory and a folder of its own that is gone again.

Nothing is written into the run's folder, and what comes out says of itself that it is a part.
"""

from __future__ import annotations

import contextlib
import itertools
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.folder.last_words import LastWords
from ghostbench.folder.ledger import encode
from ghostbench.folder.lines import ClipLine
from ghostbench.folder.manifest import Manifest, ModelEntry, has_manifest, read_manifest
from ghostbench.folder.names import ATTEMPTS, CLIPS, PREDICTIONS
from ghostbench.folder.place import write_lines
from ghostbench.folder.prompts import read_words
from ghostbench.folder.reader import Folder
from ghostbench.folder.run_records import read_attempts
from ghostbench.outcomes import FALLS_BACK, RETRIED
from ghostbench.report.data import RunData
from ghostbench.running.rules.predictions import AskKey, Last, RowFacts, last_lines, predict
from ghostbench.scoring.compared import with_comparison
from ghostbench.tasks.load import task_of_run


@dataclass(frozen=True, slots=True)
class Part:
    """What can be said of an unfinished run.

    run : the clips for which every row that has begun is settled. of : all clips of the run. waiting : rows that have
    not begun, which are left out.
    """

    run: RunData
    of: int
    waiting: tuple[str, ...]

    def __str__(self) -> str:
        """One line that nobody takes for a result."""
        clips = len(self.run.clips)
        rows = f"; not begun: {', '.join(self.waiting)}" if self.waiting else ""
        return (
            f"NOT FINISHED, NO RESULT: {self.run.manifest.run_id}, the {clips} of {self.of} clips for which every "
            f"model that has begun is settled so far{rows}. Clips do not come in random order: rates will move."
        )


def is_unfinished(folder: Path) -> bool:
    """Whether the folder holds a run that has begun and not ended."""
    return has_manifest(folder) and read_manifest(folder).status != "complete"


@contextlib.contextmanager
def read_part(folder: Path) -> Iterator[Part]:
    """The settled part of an unfinished run, for the length of a `with`.

    A failure that may still be tried again keeps its clip out. Raises `BadInput` for a folder that is no run, and where
    nothing is settled yet.
    """
    begun = Folder.open(folder)
    manifest, clips = begun.header, list({line.clip: line for line in begun.clips()}.values())
    units = last_lines(begun.attempts())
    lines = sum(last.attempts for last in units.values())
    entries, repeats = manifest.models, manifest.repeats
    asked = {key.row for key in units}
    rows = [name for name, entry in entries.items() if name in asked or entry.of in asked]
    facts = [RowFacts.of_entry(name, entries[name]) for name in rows]
    most = manifest.max_attempts or 1
    settled = [clip for clip in clips if all(_is_settled(f, clip, repeats, units, entries, most) for f in facts)]
    if not settled or not rows:
        more = f"`bench status {shlex.quote(str(folder))}` says more"
        raise BadInput(f"{folder} is not finished and no clip of it is settled yet; {more}")
    names = {clip.clip for clip in settled}
    task = task_of_run(manifest.task.name, _words(folder, manifest))
    with tempfile.TemporaryDirectory(prefix="ghostbench-part-") as place:
        copy = Path(place) / folder.resolve().name
        copy.mkdir()
        write_lines(copy / CLIPS, map(encode, settled))
        # The ledger may have grown since it was looked at.
        kept = (each for each in itertools.islice(begun.attempts(), lines) if each.clip in names and each.model in rows)
        write_lines(copy / ATTEMPTS, map(encode, kept))
        attempts = read_attempts(copy)
        for name in rows:
            entries[name].facts = with_comparison(name, entries[name].facts, attempts.lines)
        words = LastWords(attempts, [clip.clip for clip in settled], repeats)
        write_lines(copy / PREDICTIONS, map(encode, predict(facts, settled, repeats, words, task)))
        part = {"status": "complete", "digests": {}, "models": {name: entries[name] for name in rows}}
        try:
            manifest.model_copy(update=part).write(copy)
        except ValueError:  # NaN or infinity, which no run writes
            raise BadInput(f"{folder} has a manifest with a number that is none; put it back as it was") from None
        yield Part(_read(copy, folder), manifest.dataset.n or len(clips), tuple(n for n in entries if n not in rows))


def _words(folder: Path, manifest: Manifest) -> Mapping[str, Any] | None:
    try:
        return read_words(folder, manifest.task.template_sha256)
    except ValueError:
        return None


def _read(copy: Path, folder: Path) -> RunData:
    """The part, under the name of the run's own folder."""
    from ghostbench.report.data import read_run

    run = read_run(copy)
    return replace(run, folder=folder, records=replace(run.records, folder=folder))


def _is_settled(
    row: RowFacts,
    clip: ClipLine,
    repeats: int,
    units: Mapping[AskKey, Last],
    entries: Mapping[str, ModelEntry],
    most: int,
) -> bool:
    levels = len(entries[row.name].ladder)
    moments = [question.moment_s for question in clip.questions or ()] or [None]
    for repeat, moment in itertools.product(range(repeats), moments):
        stood_in_for = units.get(AskKey(row.of, clip.clip, repeat, moment)) if row.of is not None else None
        if stood_in_for is not None and stood_in_for.answered:
            continue
        last = units.get(AskKey(row.name, clip.clip, repeat, moment)) or units.get(AskKey(row.name, clip.clip, repeat))
        if last is None:
            if row.stopped is None:
                return False
        elif last.attempts < most and (
            last.outcome in RETRIED or (last.outcome in FALLS_BACK and last.fallback_level < levels)
        ):
            return False
    return True
