"""What is left to ask: of each row, the clips and repeats that the ledger has not settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.reading import read_records
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip
from ghostbench.running.ask.units import Ask
from ghostbench.running.plan.plan import ConfiguredModel, Contender, Plan
from ghostbench.running.resume.resume import restore
from ghostbench.running.resume.suspects import struck
from ghostbench.running.rules.predictions import AskKey, Last, last_lines


class Left:
    """What is left of a plan. done : the state of the units that the ledger speaks of."""

    def __init__(self, plan: Plan, done: Mapping[AskKey, Last]) -> None:
        self._plan = plan
        self.done = done

    def read_again(self, attempts: Path) -> None:
        """Take in what the run has written since."""
        self.done = last_lines(read_records(attempts, AttemptLine))

    def of_host(self, host: ConfiguredModel) -> bool:
        """Whether any unit of the model's rows is unsettled."""
        rows = [row for row in self._plan.rows if row.host is host]
        return any(self.units(clip, rows) for clip in self._plan.split.clips)

    def clips(self, rows: Sequence[Contender]) -> Iterable[Clip]:
        """The clips about which one of the rows is still to be asked, in order."""
        return (clip for clip in self._plan.split.clips if self.units(clip, rows))

    def units(self, clip: Clip, rows: Sequence[Contender], were_struck: bool | None = None) -> list[Ask]:
        """What is left to ask about a clip; a substitute only where its row is settled without an answer.

        were_struck : only units that were under way when the process ended, or only the others; None takes all.
        """
        left = []
        for row in rows:
            for repeat in range(self._plan.options.repeats):
                if were_struck not in (None, struck(self.done.get((row.name, clip.id, repeat)))):
                    continue
                main = self.done.get((row.of or "", clip.id, repeat)) if row.substitute else None
                if main is not None and main.outcome is Outcome.ANSWERED:
                    continue
                unit = Ask(row, clip, repeat)
                if not self.is_settled(unit):
                    left.append(unit)
        return left

    def is_settled(self, unit: Ask) -> bool:
        """Put the unit where the ledger left it; True where nothing is left to do for it."""
        last = self.done.get((unit.row.name, unit.clip.id, unit.repeat))
        return restore(unit, last, self._plan.options.attempts_limit)

    def settled(self) -> Iterable[tuple[str, Outcome]]:
        """The row and outcome of each unit of the ledger that nothing is left to do for. What is asked again is not
        settled: it would be counted twice, and told of though it was answered."""
        rows, clips = {row.name: row for row in self._plan.rows}, {clip.id: clip for clip in self._plan.split.clips}
        for (row, clip, repeat), last in self.done.items():
            if self.is_settled(Ask(rows[row], clips[clip], repeat)):
                yield row, last.outcome
