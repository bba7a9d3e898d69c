"""What the page shows of runs, as JSON values: read from their folders, finished or not, and kept until they change."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ghostbench.errors import BadInput, Unparseable
from ghostbench.folder.lines import AttemptLine, ClipLine, as_mapping
from ghostbench.folder.manifest import ModelEntry, has_manifest
from ghostbench.folder.names import CLIPS, PREDICTIONS
from ghostbench.folder.prompts import read_words
from ghostbench.folder.reader import Folder, changed_at, runs_in
from ghostbench.folder.tags import read_tags
from ghostbench.models import SEES_VIDEO
from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, TRUTHS
from ghostbench.report.escape import plain, without_places
from ghostbench.tasks.base import Task

T = TypeVar("T")
_NONE = "-"
_NEWEST = 12
"""Answers of a run that goes on, newest first."""
_MOST_VALUES = 24
"""Of a label or parameter that clips are chosen by."""
_OUTCOMES = tuple(map(str, Outcome))


@dataclass(slots=True)
class _Growing:
    """What a ledger has told so far. last : of each unit (row, clip, repeat) the last outcome and grade."""

    end: int = 0
    last: dict[tuple[str, str, int], tuple[str, str]] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = None
    newest: list[AttemptLine] = field(default_factory=list)


class Runs:
    """The runs below a folder, or the one run that the folder is."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._kept: dict[tuple[str, Path], tuple[tuple[int, ...], Any]] = {}
        self._growing: dict[Path, _Growing] = {}
        self._lock = threading.RLock()

    def paths(self) -> dict[str, Path]:
        """Each run's folder by its name; nothing else is ever opened."""
        if has_manifest(self.results):
            return {self.results.resolve().name: self.results}
        return {path.name: path for path in runs_in(self.results)}

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
            return {**found, "rows": self._once("rates", path, lambda: _rates(path))}
        return {**found, "progress": self.progress(head)}

    def progress(self, run: Folder) -> dict[str, Any]:
        """How far a run is that has not ended: units by their last outcome, cost, and the newest answers."""
        grown = self._grown(run)
        manifest = run.header
        units = (manifest.dataset.n or 0) * manifest.repeats
        by_row: dict[str, Counter[str]] = {name: Counter() for name in manifest.models}
        for (row, _, _), (outcome, _) in grown.last.items():
            by_row.setdefault(row, Counter())[outcome] += 1
        rows = [
            {"name": plain(name), "of": units, "asked": sum(seen.values()), "outcomes": dict(seen.most_common())}
            for name, seen in by_row.items()
        ]
        newest = [
            {
                "model": plain(line.model),
                "clip": plain(line.clip),
                "outcome": str(line.outcome),
                "said": plain((line.raw or (line.error.message if line.error else ""))[:400]),
                "at": plain(line.started_at or ""),
            }
            for line in reversed(grown.newest)
        ]
        return {"rows": rows, "attempts": sum(grown.attempts.values()), "cost_usd": grown.cost_usd, "newest": newest}

    def index(self, name: str) -> dict[str, Any]:
        """What clips are chosen by, of the whole run.

        Returns
        -------
        clips (ids), truths (a digit a clip, its place in `TRUTHS`), categories, remarks, facts (labels and parameters
        by name, with a text a clip, "" for none), models, and per model and row (clip * repeats + repeat) a character
        of `grades` (its place in `GRADES`, "-" for none) and a number of `outcomes` (its place in the names; -1 for not
        asked so far).
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
                at = place[line.clip] * repeats + line.repeat
                grade = _NONE if line.grade is None else str(GRADES.index(line.grade))
                said.setdefault(line.model, {})[at] = (grade, str(line.outcome))
        else:
            for (row, clip, repeat), (outcome, grade) in self._grown(run).last.items():
                if clip in place:
                    said.setdefault(row, {})[place[clip] * repeats + repeat] = (grade, outcome)
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
        with its error, and the prompt's words."""
        from ghostbench.scoring.watched import window_shown

        run = self.folder(name)
        line = run.clip(clip)
        return {
            "clip": _shown(as_mapping(line)),
            "window": window_shown(line, run.header.task.sustained),
            "predictions": [_shown(as_mapping(each)) for each in run.predictions_for(clip)],
            "attempts": [_without_faults_places(_shown(as_mapping(each))) for each in run.attempts_at(clip)],
            "prompt": _words(run),
            "saw": {plain(name): words for name, each in run.header.models.items() if (words := _saw(each))},
        }

    def detail(self, name: str) -> dict[str, Any]:
        """A run's head and, where it has ended, every table of its report."""
        run = self.folder(name)
        found = {**self.line(name, run.path), "command": without_places(plain(" ".join(run.header.command)))}
        if found["state"] == "complete":
            found["tables"] = self._once("tables", run.path, lambda: _tables(run.path))
        return found

    def _grown(self, run: Folder) -> _Growing:
        """The ledger as far as it is written now; what was read before is not read again."""
        with self._lock:
            grown = self._growing.setdefault(run.path, _Growing())
            read = _Reader(run.header.task.name)
            more = True
            while more:
                new = run.new_attempts(grown.end)
                if new.anew:
                    grown = self._growing[run.path] = _Growing()
                grown.end, more = new.end, new.more
                for _, line in new.lines:
                    grown.last[line.model, line.clip, line.repeat] = (str(line.outcome), read.grade(line))
                    grown.attempts[line.model] += 1
                    if line.usage.cost_usd is not None:
                        grown.cost_usd = (grown.cost_usd or 0.0) + line.usage.cost_usd
                grown.newest = [*grown.newest, *(line for _, line in new.lines[-_NEWEST:])][-_NEWEST:]
            return grown

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


class _Reader:
    """Reads grades out of answers as the run's task does; "-" where that task is not here, or cannot."""

    def __init__(self, task: str) -> None:
        from ghostbench.tasks.load import load_task

        self._task: Task | None = None
        with contextlib.suppress(BadInput):
            self._task = load_task(task)

    def grade(self, line: AttemptLine) -> str:
        if self._task is None or line.raw is None or line.outcome is not Outcome.ANSWERED:
            return _NONE
        try:
            return str(GRADES.index(self._task.parse(line.raw).grade))
        except Unparseable:
            return _NONE


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


def _rates(path: Path) -> list[dict[str, Any]]:
    """The headline of each row, of a run that has been scored."""
    from ghostbench.scoring.score import read_metrics

    try:
        models = read_metrics(path)["models"]
        # Where moments are asked, a yes at any time of a clip is no warning.
        whole = not any(row.get("early_warning") is not None for row in models.values())
        return [
            {
                "name": plain(str(name)),
                "baseline": bool(row["baseline"]),
                "beside": bool(row["probe"] or row.get("variant")),
                "saw": SEES_VIDEO if row.get("sees_video") else "",
                "answered": int(row["answered"]),
                "of": int(row["rows"]),
                "f1_strict": _estimate(row["views"]["strict"]["answered"]["f1"]) if whole else None,
                "f1_lenient": _estimate(row["views"]["lenient"]["answered"]["f1"]) if whole else None,
                "warned": _estimate((row.get("early_warning") or {}).get("warned")),
                "balanced_accuracy": (
                    _estimate(row["views"]["lenient"]["answered"]["balanced_accuracy"]) if whole else None
                ),
            }
            for name, row in models.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _estimate(stated: Any) -> list[float | None] | None:
    if stated is None:
        return None
    return [None if stated[key] is None else float(stated[key]) for key in ("value", "low", "high")]


def _tables(path: Path) -> list[dict[str, Any]]:
    from ghostbench.report.data import read_run
    from ghostbench.report.table import shown
    from ghostbench.report.tables import stated_tables

    return [
        {
            "name": table.name,
            "title": plain(table.title),
            "note": plain(table.note),
            "columns": [{"title": plain(column.title), "text": column.kind == "text"} for column in table.columns],
            "rows": [
                [
                    without_places(plain(shown(value, column.kind)))
                    for value, column in zip(row, table.columns, strict=True)
                ]
                for row in table.rows
            ],
        }
        for table in stated_tables(read_run(path))
    ]


def _words(run: Folder) -> str | None:
    from ghostbench.report.prompt import wordings_as_text

    task = run.header.task
    found = {}
    for name, digest in task.wordings.items():
        with contextlib.suppress(ValueError):
            if (words := read_words(run.path, digest)) is not None:
                found[name] = words
    return wordings_as_text(found)


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
