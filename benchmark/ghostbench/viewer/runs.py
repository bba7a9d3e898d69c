"""What the page shows of runs, as JSON values: read from their folders, finished or not, and kept until they change."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ghostbench.errors import BadInput
from ghostbench.folder.lines import ClipLine, as_mapping
from ghostbench.folder.manifest import ModelEntry, has_manifest
from ghostbench.folder.names import CLIPS, PREDICTIONS
from ghostbench.folder.prompts import read_words
from ghostbench.folder.reader import Folder, changed_at, runs_in
from ghostbench.folder.tags import read_tags
from ghostbench.models import SEES_VIDEO
from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, TRUTHS
from ghostbench.report.escape import plain, without_places
from ghostbench.viewer.ended import headline_rates, shown_tables
from ghostbench.viewer.growing import GrowingLedger

T = TypeVar("T")
_NONE = "-"
_MOST_VALUES = 24
"""Of a label or parameter that clips are chosen by."""
_OUTCOMES = tuple(map(str, Outcome))


class Runs:
    """The runs below a folder, or the one run that the folder is."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._kept: dict[tuple[str, Path], tuple[tuple[int, ...], Any]] = {}
        self._growing: dict[Path, GrowingLedger] = {}
        self._lock = threading.RLock()

    def paths(self) -> dict[str, Path]:
        """Each run's folder by its name as it is shown; nothing else is ever opened."""
        if has_manifest(self.results):
            return {plain(self.results.resolve().name): self.results}
        found: dict[str, Path] = {}
        for path in runs_in(self.results):
            name, number = plain(path.name), 1
            while name in found:  # names that differ in characters that are not shown
                number += 1
                name = f"{plain(path.name)} ({number})"
            found[name] = path
        return found

    def folder(self, name: str) -> Folder:
        """A run by its name. Raises `BadInput` for any other word."""
        path = self.paths().get(name)
        if path is None:
            raise BadInput("there is no run of that name here")
        return Folder.open(path)

    def table(self) -> list[dict[str, Any]]:
        """Every run in a line, the newest first; one that cannot be read says so and hides no other."""
        lines = []
        for name, path in self.paths().items():
            try:
                lines.append(self.line(name, path))
            except BadInput as error:
                lines.append({"name": plain(name), "state": "broken", "reason": without_places(plain(str(error)))})
        return sorted(lines, key=lambda line: str(line.get("started_at") or ""), reverse=True)

    def line(self, name: str, path: Path) -> dict[str, Any]:
        """One run: what it is, how it stands, and its headline rates where it has ended."""
        head = self._once("head", path, lambda: Folder.open(path))
        manifest, state, written = head.header, head.state, read_tags(path)
        found = {
            "tags": [plain(tag) for tag in written.tags],
            "note": plain(written.note),
            "name": plain(name),
            "state": state,
            "task": plain(manifest.task.name),
            "dataset": plain(manifest.dataset.name),
            "n": manifest.dataset.n,
            "repeats": manifest.repeats,
            "started_at": plain(manifest.started_at or "") or None,
            "finished_at": plain(manifest.finished_at or "") or None,
            "models": [plain(model) for model in manifest.models],
        }
        if state == "complete":
            return {**found, "rows": self._once("rates", path, lambda: headline_rates(path))}
        return {**found, "progress": self.progress(head)}

    def progress(self, run: Folder) -> dict[str, Any]:
        """How far a run is that has not ended; see `GrowingLedger.progress`."""
        with self._lock:
            grown = self._growing.setdefault(run.path, GrowingLedger())
            grown.read_on(run)
            return grown.progress(run.header)

    def index(self, name: str) -> dict[str, Any]:
        """What clips are chosen by, of the whole run.

        Returns
        -------
        clips (ids), truths (a digit a clip, its place in `TRUTHS`), categories, remarks, facts (labels and parameters
        by name, with a text a clip, "" for none), models, and per model and row (clip * repeats + repeat) a character
        of `grades` (its place in `GRADES`, "-" for none) and a number of `outcomes` (its place in the names; -1 for not
        asked so far). Of a run that has not ended there are no grades: its task reads the answers when it ends.
        """
        run = self.folder(name)
        found: dict[str, Any] = self._once("index", run.path, lambda: self._index(run))
        return {**found, "state": run.state}

    def _index(self, run: Folder) -> dict[str, Any]:
        clips = list({line.clip: line for line in run.clips()}.values())
        repeats, entries = run.header.repeats, run.header.models
        place = {line.clip: number for number, line in enumerate(clips)}
        said: dict[str, dict[int, tuple[str, str]]] = {model: {} for model in entries}
        if run.header.status == "complete":
            for line in run.predictions():
                if line.clip not in place:
                    raise BadInput(f"{PREDICTIONS} has a line of a clip that {CLIPS} does not have: see `bench verify`")
                if line.repeat >= repeats:
                    raise BadInput(f"{PREDICTIONS} has a line of a repeat that was not asked: see `bench verify`")
                at = place[line.clip] * repeats + line.repeat
                grade = _NONE if line.grade is None else str(GRADES.index(line.grade))
                said.setdefault(line.model, {})[at] = (grade, str(line.outcome))
        else:
            for (row, clip, repeat), outcome in self._outcomes(run).items():
                if clip in place and repeat < repeats:
                    said.setdefault(row, {})[place[clip] * repeats + repeat] = (_NONE, outcome)
        rows = range(len(clips) * repeats)
        return {
            "repeats": repeats,
            "grades_of": list(GRADES),
            "truths_of": list(TRUTHS),
            "outcomes_of": list(_OUTCOMES),
            "clips": [plain(line.clip) for line in clips],
            "truths": "".join(str(TRUTHS.index(line.truth)) for line in clips),
            "categories": [line.category for line in clips],
            "remarks": [plain(line.remark or "") for line in clips],
            "facts": _facts(clips),
            "models": [_model(model, entries.get(model, ModelEntry())) for model in said],
            "grades": ["".join(seen.get(at, (_NONE, ""))[0] for at in rows) for seen in said.values()],
            "outcomes": [[_OUTCOMES.index(seen[at][1]) if at in seen else -1 for at in rows] for seen in said.values()],
        }

    def clip(self, name: str, clip: str) -> dict[str, Any]:
        """One clip: its label, the window in which an alarm is a warning, what every model's row says, every attempt
        with its error, the prompt's words, and the examples whose frames were shown."""
        from ghostbench.report.prompt import wordings_as_text
        from ghostbench.scoring.watched import window_shown

        run = self.folder(name)
        clip = own_id(run, clip)
        line, wordings = run.clip(clip), _words(run)
        return {
            "clip": _shown(as_mapping(line)),
            "window": window_shown(line, run.header.task.sustained),
            "predictions": [_shown(as_mapping(each)) for each in run.predictions_for(clip)],
            "attempts": [_without_faults_places(_shown(as_mapping(each))) for each in run.attempts_at(clip)],
            "prompt": wordings_as_text(wordings),
            "examples": _examples(run, wordings),
            "saw": {plain(name): words for name, each in run.header.models.items() if (words := _saw(each))},
        }

    def detail(self, name: str) -> dict[str, Any]:
        """A run's head and, where it has ended, every table of its report."""
        run = self.folder(name)
        found = {**self.line(name, run.path), "command": without_places(plain(" ".join(run.header.command)))}
        if found["state"] == "complete":
            found["tables"] = self._once("tables", run.path, lambda: shown_tables(run.path))
        return found

    def _outcomes(self, run: Folder) -> dict[tuple[str, str, int], str]:
        """The last outcome so far of each row, clip and repeat of a run that has not ended."""
        with self._lock:
            grown = self._growing.setdefault(run.path, GrowingLedger())
            grown.read_on(run)
            return dict(grown.last)

    def _once(self, what: str, path: Path, make: Callable[[], T]) -> T:
        """What `make` gives, made again only when the run's files have changed."""
        at = changed_at(path)
        with self._lock:
            kept = self._kept.get((what, path))
        if kept is not None and kept[0] == at:
            found: T = kept[1]
            return found
        found = make()
        with self._lock:
            self._kept[what, path] = (at, found)
        return found


def own_id(run: Folder, shown: str) -> str:
    """The id of a clip or an example whose id is shown like this; `shown` itself where there is none."""
    if "\N{REPLACEMENT CHARACTER}" not in shown and " " not in shown:
        return shown
    ids = (*run.header.examples, *(line.clip for line in run.clips()))
    return next((clip for clip in ids if plain(clip) == shown), shown)


def _facts(clips: list[ClipLine]) -> dict[str, list[str]]:
    """What clips can be chosen by besides their label: labels and parameters of a few values each."""
    said = [{**line.labels.stated(), **line.parameters} for line in clips]
    found = {}
    for name in dict.fromkeys(name for each in said for name in each):
        texts = [_text(each.get(name)) for each in said]
        if 1 < len(set(texts)) <= _MOST_VALUES:
            found[plain(name)] = texts
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:g}"
    return plain(value) if isinstance(value, str) else ""


def _model(name: str, entry: ModelEntry) -> dict[str, Any]:
    return {"name": plain(name), "reference": entry.baseline, "probe": entry.beside, "saw": _saw(entry)}


def _saw(entry: ModelEntry) -> str:
    """What a row saw, where that is not the frames that the others saw."""
    return SEES_VIDEO if entry.sees_video else ""


def _examples(run: Folder, words: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each clip whose frames wordings show as an example, with the answer that each of them tells."""
    from ghostbench.report.prompt import shown_examples

    told = shown_examples(words)
    return [
        {
            "clip": plain(clip),
            "told": [[plain(name), plain(answer)] for name, answer in told.get(clip, {}).items()],
            "frame_indices": entry.frame_indices,
            "frame_times_s": entry.frame_times_s,
        }
        for clip, entry in run.header.examples.items()
    ]


def _words(run: Folder) -> dict[str, Mapping[str, Any]]:
    task = run.header.task
    found: dict[str, Mapping[str, Any]] = {}
    for name, digest in task.wordings.items():
        with contextlib.suppress(ValueError):
            if (words := read_words(run.path, digest)) is not None:
                found[name] = words
    return found


def _without_faults_places(line: dict[str, Any]) -> dict[str, Any]:
    """An attempt whose error names files, and not where they lay on the machine of the run."""
    if line["error"] is not None:
        line["error"]["message"] = without_places(line["error"]["message"])
    return line


def _shown(value: Any) -> Any:
    """A record's values for the page: text without characters that act, of any depth."""
    if isinstance(value, str):
        return plain(value, lines=True)
    if isinstance(value, Mapping):
        return {plain(str(key)): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return value
