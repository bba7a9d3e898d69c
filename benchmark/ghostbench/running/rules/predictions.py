"""From the ledger to one prediction per model, clip and repeat. Everything is read back from the run folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from ghostbench.errors import BadInput, Unparseable
from ghostbench.folder.last_words import LastWord, LastWords, answers_of
from ghostbench.folder.lines import AttemptLine, MomentLine, PredictionLine, QuestionLine
from ghostbench.folder.manifest import ModelEntry
from ghostbench.outcomes import Outcome
from ghostbench.plugins.text import printable
from ghostbench.records import Conclusion, Said, Truth
from ghostbench.running.rules.answers import NoAnswer, conclude, read_answer
from ghostbench.tasks.base import Task


class AskKey(NamedTuple):
    """What an attempt is one of: the row that is asked, the clip's id, the repeat from 0, and the moment that is asked
    about, seconds from the clip's start; None for the whole clip."""

    row: str
    clip: str
    repeat: int
    moment_s: float | None = None

    @classmethod
    def of(cls, line: AttemptLine) -> AskKey:
        """The key of a line of the ledger."""
        return cls(line.model, line.clip, line.repeat, line.moment_s)


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
    attempts: int
    lost: int = 0
    notes: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether it is an answer."""
        return self.outcome is Outcome.ANSWERED


def last_lines(lines: Iterable[AttemptLine]) -> dict[AskKey, Last]:
    """The state of every unit that the ledger speaks of."""
    units: dict[AskKey, Last] = {}
    for line in lines:
        unit = AskKey.of(line)
        before = units.get(unit)
        units[unit] = Last(
            outcome=line.outcome,
            error_type=line.error.type if line.error else None,
            error_message=line.error.message if line.error else None,
            fallback_level=line.fallback_level,
            attempts=before.attempts + 1 if before else 1,
            lost=(before.lost if before else 0) + (line.outcome is Outcome.WORKER_LOST),
            notes=line.notes,
        )
    return units


class AskedClip(Protocol):
    """What of a clip its predictions depend on; a `ClipLine` is one."""

    @property
    def clip(self) -> str:
        """The id."""

    @property
    def truth(self) -> Truth:
        """What the label says."""

    @property
    def truth_time_s(self) -> float | None:
        """When the labelled event begins, seconds; None if not stated."""

    @property
    def questions(self) -> tuple[QuestionLine, ...] | None:
        """What was asked of it, where the task does not simply show all frames."""


def predict(
    rows: Sequence[RowFacts], clips: Sequence[AskedClip], repeats: int, words: LastWords, task: Task
) -> Iterator[PredictionLine]:
    """The predictions of a whole run, in order of row, clip and repeat, one at a time.

    words : the ledger's, over these clips and repeats. No answer is held but those of the prediction that is made.

    Raises `BadInput` when the run is not finished: a unit has neither a line nor a reason for having none; and for a
    substitute of a row that is not there before it.
    """
    before: dict[str, RowFacts] = {}
    for row in rows:
        main = None if row.of is None else before.get(row.of)
        if row.of is not None and main is None:
            raise BadInput(f"manifest.json: {row.name} stands in for {row.of}, which is no row before it")
        before[row.name] = row
        its = itertools.repeat(dict[float | None, LastWord]()) if main is None else words.of(main.name)
        turns = itertools.product(clips, range(repeats))
        for (clip, repeat), own, others in zip(turns, words.of(row.name), its, strict=False):
            if main is not None:
                stood_in_for = _Turn(main, clip, repeat, others).predicted(task, {})
                if stood_in_for.outcome is Outcome.ANSWERED:
                    yield replace(stood_in_for, model=row.name)
                    continue
            yield _Turn(row, clip, repeat, own).predicted(task, answers_of(others))


@dataclass(frozen=True, slots=True)
class _Turn:
    """All that the ledger says of a row's answers about a clip in one repeat. lasts : by moment."""

    row: RowFacts
    clip: AskedClip
    repeat: int
    lasts: Mapping[float | None, LastWord]

    def predicted(self, task: Task, others: Mapping[float | None, LastWord]) -> PredictionLine:
        """The prediction. others : answers of the row that this one stands in for."""
        asked = self._asked(others)
        said = [self._said(moment, others.get(moment) or self.lasts.get(moment), task) for moment in asked]
        end = _concluded(task, said)
        answered = end.outcome is Outcome.ANSWERED
        return PredictionLine(
            model=self.row.name,
            clip=self.clip.clip,
            repeat=self.repeat,
            truth=self.clip.truth,
            truth_time_s=self.clip.truth_time_s,
            grade=end.grade,
            event_time_s=end.event_time_s,
            score=end.score,
            answered_by=None if not answered else "model" if self.row.of is None else "substitute",
            fallback_level=max((last.fallback_level for last in self.lasts.values()), default=0),
            outcome=end.outcome,
            attempts=sum(last.attempts for last in self.lasts.values()),
            actor=end.actor,
            occluder=end.occluder,
            evidence=end.evidence,
            alarm_time_s=end.alarm_time_s,
            moments=tuple(map(_moment_line, said)) if asked != (None,) else None,
        )

    def _asked(self, others: Mapping[float | None, LastWord]) -> tuple[float | None, ...]:
        """The moments of the clip, where the row was asked at any; else the whole clip."""
        moments = tuple(question.moment_s for question in self.clip.questions or ())
        if (not self.lasts and not others) or any(m in self.lasts or m in others for m in moments):
            return moments or (None,)
        return (None,)

    def _said(self, moment_s: float | None, last: LastWord | None, task: Task) -> Said:
        if last is None and self.row.stopped is None:
            at = "" if moment_s is None else f" at {moment_s:g} s"
            raise BadInput(
                f"the run is not finished: {self.row.name} has not been asked about {self.clip.clip}{at}; "
                "go on with --resume"
            )
        if last is None or not last.answered:
            return Said(moment_s=moment_s, outcome=last.outcome if last else self.row.stopped or Outcome.CRASHED)
        try:
            answer = read_answer(task, last.raw or "")
        except (Unparseable, NoAnswer) as error:
            raise BadInput(
                f"the ledger says that {self.row.name} answered for {self.clip.clip}, but the task cannot read it "
                f"({error}); the ledger was edited, or another version of ghostbench wrote it"
            ) from None
        return Said(moment_s=moment_s, outcome=last.outcome, answer=answer, score=last.score)


def _concluded(task: Task, said: Sequence[Said]) -> Conclusion:
    """What the task makes of the answers. Raises `BadInput` where a task of its own `reduce` fails at that."""
    try:
        return conclude(task, said)
    except Exception as error:
        if type(task).reduce is Task.reduce:
            raise
        why = str(error) if isinstance(error, NoAnswer) else f"{type(error).__name__}: {error}"
        raise BadInput(
            f"task '{printable(task.name)}' comes to no conclusion about {len(said)} answers: {printable(why)}; "
            "repair its `reduce`, and go on with --resume"
        ) from None


def _moment_line(said: Said) -> MomentLine:
    return MomentLine(
        moment_s=said.moment_s or 0.0,
        grade=said.answer.grade if said.answer is not None else None,
        score=said.score,
        outcome=said.outcome,
    )
