"""Read a finished run folder: every line validated, nothing in it trusted."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostbench.digests import signature
from ghostbench.errors import BadInput
from ghostbench.folder.columns import read_columns, shortened
from ghostbench.folder.first_format import fill_answers
from ghostbench.folder.ledger_text import LedgerTexts
from ghostbench.folder.lines import MEMORY, STAGES, USAGE, AttemptLine, ClipLine, Line, PredictionLine, names_of
from ghostbench.folder.manifest import Manifest, read_manifest, require_complete
from ghostbench.folder.names import ATTEMPTS, CLIPS, LEDGER, MANIFEST, PREDICTIONS
from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, TRUTHS
from ghostbench.writing import check_plain

if TYPE_CHECKING:
    import pandas as pd

FILES = (MANIFEST, *LEDGER)
_SPREAD = ("stages", "usage", "memory", "error", "compared")
_LEFT_OUT = ("raw", "grade_probabilities")
"""Fields of attempts.jsonl that are not kept for all lines: nothing but the predictions is scored by them."""
_MEASURED = ("truth_time_s", "event_time_s", "score", "fallback_level", "alarm_time_s")


@dataclass(frozen=True, slots=True)
class RunRecords:
    """A finished run folder in memory.

    clips : one row a clip in the split's order, indexed 0..n-1, with the fields of `ClipLine`.
    attempts : one row a line of attempts.jsonl, in file order, with the fields of `AttemptLine`; `stages`,
        `usage` and `memory` are spread into columns of their own, `notes` is a tuple. Missing values are NaN or None.
        of `compared` there are `compared_with`, `score_change` (the largest of a grade's probability) and
        `grade_changed` (1 where another grade is the most likely, else 0).
        `raw` and `grade_probabilities` are not held: `raw_length` is the answer's length in characters, `starts_at` the
        byte at which the line starts, by which `texts` has it. Errors and notes are shortened.
    predictions : one row a (model, clip, repeat), in file order, with the fields of `PredictionLine`, and `at`, the
        clip's row in `clips`. What a folder of the first format does not carry of the answers is read from its ledger.
    names : the rows of every table, in the manifest's order.
    texts : what the ledger's lines say at length.
    """

    folder: Path
    manifest: Manifest
    clips: pd.DataFrame
    attempts: pd.DataFrame
    predictions: pd.DataFrame
    names: tuple[str, ...]
    texts: LedgerTexts


@dataclass(frozen=True, slots=True)
class Attempts:
    """A ledger in memory: `lines` as `RunRecords.attempts`, and `texts`."""

    lines: pd.DataFrame
    texts: LedgerTexts


_ATTEMPTS: dict[tuple[Any, ...], Attempts] = {}
"""The ledger that was read last: its run's predictions and its scores come from one reading."""
_CLIPS: dict[tuple[Any, ...], pd.DataFrame] = {}
"""The clips that were written last."""
_LAST: dict[tuple[Any, ...], RunRecords] = {}
"""The run that was read last: scoring, reporting and printing one run read its files once."""


def read_run_records(folder: Path) -> RunRecords:
    """Read manifest.json, clips.jsonl, attempts.jsonl and predictions.jsonl of a finished run.

    Raises `BadInput` for a folder that is no run, a run that has not finished, and a line that does not fit. The frames
    of the result are shared: do not change them.
    """
    check_plain(folder)
    key = (folder.resolve(), *(signature(folder / name) for name in FILES))
    if key not in _LAST:
        manifest = read_manifest(folder)
        require_complete(folder, manifest)
        _LAST.clear()
        _LAST[key] = _read(folder, manifest)
    return _LAST[key]


def read_attempts(folder: Path) -> Attempts:
    """The ledger of a run folder, whose other files may still be missing. Raises `BadInput`."""
    path = folder / ATTEMPTS
    key = _key(path)
    read = _read_attempts(path)
    _ATTEMPTS.clear()
    _ATTEMPTS[key] = read
    return read


def keep_clips(path: Path, lines: Iterable[ClipLine]) -> None:
    """These are the lines that have just been written to clips.jsonl: who reads the run need not read them again."""
    import pandas as pd

    _CLIPS.clear()
    rows = list(lines)
    _CLIPS[_key(path)] = pd.DataFrame({name: [getattr(line, name) for line in rows] for name in names_of(ClipLine)})


def _key(path: Path) -> tuple[Any, ...]:
    return (path.resolve(), signature(path))


def _read(folder: Path, manifest: Manifest) -> RunRecords:
    import pandas as pd

    clips = _CLIPS.pop(_key(folder / CLIPS), None)
    if clips is None:
        clips = pd.DataFrame(read_columns(folder / CLIPS, ClipLine, _flat, names_of(ClipLine)))
    if clips.empty:
        raise BadInput(f"{folder / CLIPS} has no clips: run `bench run` again")
    if clips["clip"].duplicated().any():
        twice = str(clips["clip"][clips["clip"].duplicated()].iloc[0])
        raise BadInput(f"{folder / CLIPS} names the clip {twice!a} twice: run `bench run` again")
    predictions = _read_predictions(folder, clips)
    path = folder / ATTEMPTS
    attempts = _ATTEMPTS.pop(_key(path), None) or _read_attempts(path)
    if manifest.format == 1:
        fill_answers(manifest, predictions, attempts)
    seen = list(dict.fromkeys(predictions["model"]))
    names = [name for name in manifest.models if name in set(seen)]
    names += [name for name in seen if name not in manifest.models]
    return RunRecords(folder, manifest, clips, attempts.lines, predictions, tuple(names), attempts.texts)


def _read_predictions(folder: Path, clips: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    path = folder / PREDICTIONS
    frame = _frame(read_columns(path, PredictionLine, _flat, names_of(PredictionLine), numbers=_MEASURED))
    if frame.empty:
        raise BadInput(f"{path} has no predictions: run `bench run` again")
    place = pd.Series(range(len(clips)), index=clips["clip"].to_numpy())
    at = frame["clip"].map(place)
    if at.isna().any():
        row = int(at.isna().to_numpy().argmax())
        raise BadInput(f"{path}, line {row + 1}: the clip {frame['clip'].iloc[row]!a} is not in {CLIPS}")
    frame["at"] = at.astype("int64")
    truths = pd.Series(clips["truth"].to_numpy()).iloc[frame["at"]].to_numpy()
    wrong = frame["truth"].to_numpy() != truths
    if wrong.any():
        raise BadInput(f"{path}, line {int(wrong.argmax()) + 1}: the truth is not the one in {CLIPS}")
    twice = frame.duplicated(["model", "clip", "repeat"]).to_numpy()
    if twice.any():
        raise BadInput(f"{path}, line {int(twice.argmax()) + 1}: this model, clip and repeat were there already")
    sizes = frame.groupby("model", sort=False).size()
    want = len(clips) * (int(frame["repeat"].max()) + 1)
    if (sizes != want).any():
        name = str(sizes.index[int((sizes != want).to_numpy().argmax())])
        raise BadInput(f"{path} has {int(sizes[name])} lines for {name!a}, not one a clip and repeat ({want})")
    for column, values in (
        ("truth", TRUTHS),
        ("grade", GRADES),
        ("outcome", [str(o) for o in Outcome]),
        ("answered_by", ["model", "substitute"]),
    ):
        frame[column] = pd.Categorical(frame[column], categories=list(values))
    return frame


def _read_attempts(path: Path) -> Attempts:
    import pandas as pd

    apart = ("score_change", "grade_changed")
    measured = ("moment_s", "wall_s", "wait_s", "batch_size", *apart, *STAGES, *USAGE, *MEMORY)
    names = [name for name in names_of(AttemptLine) if name not in (*_SPREAD, *_LEFT_OUT, *measured)]
    own = [*names, "moment_s", "wall_s", "wait_s", "batch_size"]

    texts = LedgerTexts(path)

    def spread(line: AttemptLine, start: int) -> Mapping[str, Any]:
        texts.keep(start, line)
        fields = {name: getattr(line, name) for name in own}
        for group, keys in ((line.stages, STAGES), (line.usage, USAGE), (line.memory, MEMORY)):
            fields |= {key: getattr(group, key) for key in keys}
        if line.error is not None:
            fields["error_type"] = shortened(line.error.type)
            fields["error_message"] = shortened(line.error.message)
        if line.compared is not None:
            given, other = line.grade_probabilities or {}, line.compared.grade_probabilities
            # Nothing, or what is no grade, is no answer to compare.
            if all(any(grade in GRADES for grade in each) for each in (given, other)):
                fields["compared_with"] = shortened(line.compared.against)
                fields |= _apart(given, other)
        if line.raw is not None:
            fields["raw_length"] = len(line.raw)
        fields["notes"] = tuple(map(shortened, line.notes))
        fields["starts_at"] = start
        return fields

    columns = read_columns(
        path,
        AttemptLine,
        spread,
        (*names, "error_type", "error_message", "compared_with", "starts_at", "raw_length", *measured),
        numbers=(*measured, "raw_length"),
        unlike=("started_at", "request_id", "server_request_id"),
    )
    frame = _frame(columns)
    frame["outcome"] = pd.Categorical(frame["outcome"], categories=[str(o) for o in Outcome])
    return Attempts(frame, texts)


def _apart(given: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """How far two models' probabilities of the grades are apart; a grade that one does not name has none there."""
    both = [(given.get(grade, 0.0), other.get(grade, 0.0)) for grade in GRADES]
    one, two = (max(range(len(both)), key=lambda place: both[place][side]) for side in (0, 1))
    return {"score_change": max(abs(p - q) for p, q in both), "grade_changed": float(one != two)}


def _flat(line: Line, _: int) -> Mapping[str, Any]:
    return {name: getattr(line, name) for name in names_of(type(line))}


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    """The columns as a data frame; each is let go once it is there."""
    import numpy as np
    import pandas as pd

    series = {}
    for name in list(columns):
        values = columns.pop(name)
        series[name] = np.frombuffer(values) if isinstance(values, array) else pd.Series(values)
    return pd.DataFrame(series)
