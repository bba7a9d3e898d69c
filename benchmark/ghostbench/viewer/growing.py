"""What a ledger tells while it grows: how far a run is, by outcomes alone. An answer is read when the run has ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.manifest import Manifest
from ghostbench.folder.reader import Folder, NewAttempts
from ghostbench.report.escape import plain

_NEWEST = 12
"""Answers of a run that goes on, newest first."""
_LONGEST = 400
"""The most characters that are shown of each."""


@dataclass(slots=True)
class GrowingLedger:
    """What a ledger has told so far; what was read is not read again.

    last : of each row, clip and repeat the outcome of its last line.
    """

    last: dict[tuple[str, str, int], str] = field(default_factory=dict)
    _end: int = 0
    _attempts: int = 0
    _cost_usd: float | None = None
    _newest: list[AttemptLine] = field(default_factory=list)

    def read_on(self, run: Folder) -> None:
        """Take in what has been written since. Raises `BadInput` for a file that cannot be read."""
        more = True
        while more:
            new = run.new_attempts(self._end)
            if new.anew:
                self.last, self._attempts, self._cost_usd, self._newest = {}, 0, None, []
            self._take(new)
            more = new.more

    def progress(self, manifest: Manifest) -> dict[str, Any]:
        """Units by their last outcome, `attempts`, `cost_usd`, and the newest answers, as JSON values."""
        units = (manifest.dataset.n or 0) * manifest.repeats
        by_row: dict[str, Counter[str]] = {name: Counter() for name in manifest.models}
        for (row, _, _), outcome in self.last.items():
            by_row.setdefault(row, Counter())[outcome] += 1
        rows = [
            {"name": plain(name), "of": units, "asked": sum(seen.values()), "outcomes": dict(seen.most_common())}
            for name, seen in by_row.items()
        ]
        newest = [_said(line) for line in reversed(self._newest)]
        return {"rows": rows, "attempts": self._attempts, "cost_usd": self._cost_usd, "newest": newest}

    def _take(self, new: NewAttempts) -> None:
        self._end = new.end
        for _, line in new.lines:
            self.last[line.model, line.clip, line.repeat] = str(line.outcome)
            self._attempts += 1
            if line.usage.cost_usd is not None:
                self._cost_usd = (self._cost_usd or 0.0) + line.usage.cost_usd
        self._newest = [*self._newest, *(line for _, line in new.lines[-_NEWEST:])][-_NEWEST:]


def _said(line: AttemptLine) -> dict[str, str]:
    return {
        "model": plain(line.model),
        "clip": plain(line.clip),
        "outcome": str(line.outcome),
        "said": plain((line.raw or (line.error.message if line.error else ""))[:_LONGEST]),
        "at": plain(line.started_at or ""),
    }
