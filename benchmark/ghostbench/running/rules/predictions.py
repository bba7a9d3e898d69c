"""From the ledger to one prediction per model, clip and repeat. Everything is read back from the run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ghostbench.errors import BadInput, Unparseable
from ghostbench.folder.lines import AttemptLine, ClipLine, PredictionLine
from ghostbench.folder.manifest import ModelEntry
from ghostbench.outcomes import Outcome
from ghostbench.tasks.base import Task

AskKey = tuple[str, str, int]
"""Row, clip id, repeat."""


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What the manifest says of a row that its predictions depend on.

    of : the row that a substitute stands in for, None for other rows.
    stopped : the outcome of the clips that were never sent, None where every clip was.
    """

    name: str
    of: str | None = None
    stopped: Outcome | None = None

    @classmethod
    def of_entry(cls, name: str, entry: ModelEntry) -> RowFacts:
        """The facts of the row of that name."""
        stopped = entry.stopped.outcome if entry.stopped else None
        return cls(name, of=entry.of if entry.substitute else None, stopped=stopped)


@dataclass(frozen=True, slots=True)
class Last:
    """The last ledger line of a unit, and how many there are; `lost` of them were lost with their process."""

    outcome: Outcome
    error_type: str | None
    error_message: str | None
    fallback_level: int
    raw: str | None
    score: float | None
    attempts: int
    lost: int = 0
    notes: tuple[str, ...] = ()


def last_lines(lines: Iterable[AttemptLine]) -> dict[AskKey, Last]:
    """The state of every unit that the ledger speaks of."""
    units: dict[AskKey, Last] = {}
    for line in lines:
        note_last(units, line)
    return units


def note_last(units: dict[AskKey, Last], line: AttemptLine) -> None:
    """Take in the next line of the ledger."""
    unit = (line.model, line.clip, line.repeat)
    before = units.get(unit)
    units[unit] = Last(
        outcome=line.outcome,
        error_type=line.error.type if line.error else None,
        error_message=line.error.message if line.error else None,
        fallback_level=line.fallback_level,
        raw=line.raw if line.outcome is Outcome.ANSWERED else None,
        score=(line.grade_probabilities or {}).get("ghost_probing"),
        attempts=before.attempts + 1 if before else 1,
        lost=(before.lost if before else 0) + (line.outcome is Outcome.WORKER_LOST),
        notes=line.notes,
    )


def predict(
    rows: Sequence[RowFacts], clips: Sequence[ClipLine], repeats: int, units: Mapping[AskKey, Last], task: Task
) -> list[PredictionLine]:
    """The predictions of a whole run, in order of row, clip and repeat.

    Raises `BadInput` when the run is not finished: a unit has neither a line nor a reason for having none.
    """
    predictions: dict[AskKey, PredictionLine] = {}
    for row in rows:
        for clip in clips:
            for repeat in range(repeats):
                unit = (row.name, clip.clip, repeat)
                stood_in_for = predictions[(row.of, clip.clip, repeat)] if row.of is not None else None
                if stood_in_for is not None and stood_in_for.outcome is Outcome.ANSWERED:
                    predictions[unit] = replace(stood_in_for, model=row.name)
                else:
                    predictions[unit] = _one(row, clip, repeat, units.get(unit), task)
    return list(predictions.values())


def _one(row: RowFacts, clip: ClipLine, repeat: int, last: Last | None, task: Task) -> PredictionLine:
    blank = PredictionLine(
        model=row.name,
        clip=clip.clip,
        repeat=repeat,
        truth=clip.truth,
        truth_time_s=clip.truth_time_s,
        grade=None,
        event_time_s=None,
        score=None,
        answered_by=None,
        fallback_level=last.fallback_level if last else 0,
        outcome=last.outcome if last else row.stopped or Outcome.CRASHED,
        attempts=last.attempts if last else 0,
    )
    if last is None:
        if row.stopped is None:
            raise BadInput(
                f"the run is not finished: {row.name} has not been asked about {clip.clip}; go on with --resume"
            )
        return blank
    if last.outcome is not Outcome.ANSWERED:
        return blank
    try:
        answer = task.parse(last.raw or "")
    except Unparseable as error:
        raise BadInput(
            f"the ledger says that {row.name} answered for {clip.clip}, but the task cannot read it ({error}); "
            "the ledger was edited, or another version of ghostbench wrote it"
        ) from None
    return replace(
        blank,
        grade=answer.grade,
        event_time_s=answer.event_time_s,
        score=last.score,
        answered_by="substitute" if row.of is not None else "model",
    )
