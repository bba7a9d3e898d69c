"""Whether a line of the ledger is one that the run can have written there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ghostbench.errors import BadInput
from ghostbench.folder.lines import AttemptLine
from ghostbench.plugins.registry import printable
from ghostbench.running.ask.units import ladder_of
from ghostbench.running.plan.plan import Plan
from ghostbench.running.rules.ledger_rules import LedgerRules

WAY_OUT = "put the ledger back as it was, or start a new run"


class LineCheck:
    """Holds lines of the ledger, one after the other, against the run and the lines before.

    ladders : how many fallback levels each row's model declares. clips : ids. repeats : how often each is asked about.
    """

    def __init__(self, run_id: str, ladders: Mapping[str, int], clips: Iterable[str], repeats: int) -> None:
        self._run_id = run_id
        self._ladders = ladders
        self._clips = frozenset(clips)
        self._repeats = range(repeats)
        self._rules = LedgerRules(ladders, repeats)

    @classmethod
    def of(cls, plan: Plan) -> LineCheck:
        """The check for this run's ledger."""
        ladders = {row.name: len(ladder_of(row.configured)) for row in plan.rows}
        return cls(plan.run_id, ladders, (clip.id for clip in plan.split.clips), plan.options.repeats)

    def __call__(self, line: AttemptLine, where: str) -> None:
        """Raise `BadInput`, naming the place, for a line that the run cannot have written here."""
        row, clip, repeat = line.model, line.clip, line.repeat
        if row not in self._ladders or clip not in self._clips or repeat not in self._repeats:
            what = printable(f"model {row}, clip {clip}, repeat {repeat}")
            raise BadInput(f"{where} is of {what}, which run '{self._run_id}' does not have; {WAY_OUT}")
        for objection in self._rules.objections(line):
            raise BadInput(f"{where} {printable(objection)}; {WAY_OUT}")
