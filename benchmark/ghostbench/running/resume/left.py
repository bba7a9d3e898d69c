"""What is left to ask: of each row, the clips and repeats that the ledger has not settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.reading import read_records
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip
from ghostbench.running.ask.questions import found_with_frames
from ghostbench.running.ask.units import Ask
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.plan import Plan
from ghostbench.running.resume.resume import restore
from ghostbench.running.resume.suspects import struck
from ghostbench.running.rules.predictions import AskKey, Last, last_lines


class Left:
    """What is left of a plan.

    done : the state of the units that the ledger speaks of. moments : when a clip is asked about, as far as that is
    known of it; None while it is not.
    """

    def __init__(self, plan: Plan, done: Mapping[AskKey, Last]) -> None:
        self._plan = plan
        self.done = done
        self.moments: Callable[[Clip], tuple[float | None, ...] | None] = lambda _: None

    def read_again(self, attempts: Path) -> None:
        """Take in what the run has written since."""
        self.done = last_lines(read_records(attempts, AttemptLine))

    def of_model(self, configured: ConfiguredModel) -> bool:
        """Whether any unit of the model's rows is unsettled."""
        rows = [row for row in self._plan.rows if row.configured is configured]
        return any(self.units(clip, rows) for clip in self._plan.split.clips)

    def count(self, rows: Sequence[Contender]) -> int:
        """How many of the rows' clips and repeats are unsettled."""
        if not self.done:
            return len(rows) * self._plan.options.repeats * len(self._plan.split.clips)
        return sum(len(self.units(clip, rows)) for clip in self._plan.split.clips)

    def clips(self, rows: Sequence[Contender]) -> Iterable[Clip]:
        """The clips about which one of the rows is still to be asked, in order."""
        return (clip for clip in self._plan.split.clips if self.units(clip, rows))

    def units(self, clip: Clip, rows: Sequence[Contender], were_struck: bool | None = None) -> list[list[Ask]]:
        """What is left to ask about a clip, the moments of a row and repeat together and in order; a substitute only
        where its row is settled without an answer.

        were_struck : only units that were under way when the process ended, or only the others; None takes all.
        """
        turns = []
        for row in rows:
            for repeat in range(self._plan.options.repeats):
                units = self.asks(row, clip, repeat)
                if were_struck is not None:
                    units = [unit for unit in units if struck(self.done.get(unit.key)) is were_struck]
                if left := [unit for unit in units if self.is_left(unit)]:
                    turns.append(left)
        return turns

    def asks(self, row: Contender, clip: Clip, repeat: int) -> list[Ask]:
        """What a row is asked about a clip: at the moments that are known, or once for all that will be."""
        asked_at_moments = row.needs_frames or self._plan.task.at_moments
        moments = self.moments(clip) if asked_at_moments else None
        if moments is not None:
            return [Ask(row, clip, repeat, moment_s=moment) for moment in moments]
        unknown = asked_at_moments and found_with_frames(self._plan.task)
        return [Ask(row, clip, repeat, moments_unknown=unknown)]

    def is_left(self, unit: Ask) -> bool:
        """Whether anything is left to do for the unit, which is put where the ledger left it."""
        main = self.done.get(unit.key._replace(row=unit.row.of or "")) if unit.row.substitute else None
        return not (main is not None and main.answered) and not self.is_settled(unit)

    def is_settled(self, unit: Ask) -> bool:
        """Put the unit where the ledger left it; True where nothing is left to do for it."""
        return restore(unit, self.done.get(unit.key), self._plan.options.attempts_limit)

    def settled(self) -> Iterable[tuple[str, Outcome]]:
        """The row and outcome of each clip and repeat that nothing is left to do for. What is asked again is not
        settled: it would be counted twice, and told of though it was answered."""
        rows, clips = {row.name: row for row in self._plan.rows}, {clip.id: clip for clip in self._plan.split.clips}
        for (row, clip, repeat), last in {key[:3]: last for key, last in self.done.items()}.items():
            if all(map(self.is_settled, self.asks(rows[row], clips[clip], repeat))):
                yield row, last.outcome
