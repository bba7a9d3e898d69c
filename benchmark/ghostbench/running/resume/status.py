"""How far a run is, read from its folder without touching it: a run that is going on is not disturbed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.folder.manifest import ModelEntry
from ghostbench.folder.names import ATTEMPTS, MANIFEST, PREDICTIONS
from ghostbench.folder.reader import Folder, State
from ghostbench.folder.reading import read_lines

_RECENT = 60
"""The attempts of a row from which its pace is reckoned."""
_MOST_USD = 1e9
"""What is more than this for an attempt is no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowStatus:
    """One row.

    units : clips times repeats. outcomes : of the last attempt of each unit that has one; in a run that goes on, a unit
    may be asked again after a failure. attempts : lines of the ledger. cost_usd : as far as stated.
    left_s : seconds until the row is done at its recent pace; None where that cannot be told, or nothing runs.
    stopped : why nothing more is sent, or None.
    """

    units: int
    outcomes: dict[str, int]
    attempts: int
    cost_usd: float | None
    left_s: float | None
    stopped: str | None

    @property
    def begun(self) -> int:
        """Units with at least one attempt."""
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A run. state : "running" while a process holds its lock, "complete", or "stopped" (resume it)."""

    run_id: str
    state: State
    started_at: str | None
    last_attempt_at: str | None
    rows: dict[str, RowStatus]

    @property
    def cost_usd(self) -> float | None:
        """What all rows have cost as far as stated, US dollars; None where nobody stated anything."""
        stated = [row.cost_usd for row in self.rows.values() if row.cost_usd is not None]
        return sum(stated) if stated else None

    @property
    def left_s(self) -> float | None:
        """Seconds until the slowest row is done; None where that cannot be told, or nothing runs."""
        open_rows = [row for row in self.rows.values() if row.begun < row.units and row.stopped is None]
        times = [row.left_s for row in open_rows]
        return max((time for time in times if time is not None), default=None) if None not in times else None


def read_status(folder: Path) -> Status:
    """Read where a run stands. Raises `BadInput` for a folder that is no run."""
    run = Folder.open(folder)
    manifest, state = run.header, run.state
    if manifest.dataset.n is None:
        raise BadInput(f"{folder / MANIFEST} does not say how many clips the run has: give a folder of `bench run`")
    units, entries = manifest.dataset.n * manifest.repeats, manifest.models
    seen = {name: _Row() for name in entries}
    last_at = None
    for line in read_lines(folder / ATTEMPTS, torn=True):
        row = seen.get(str(line.get("model")))
        if row is not None:
            row.take(line)
            last_at = str(line.get("started_at"))
    if state == "complete":
        for line in read_lines(folder / PREDICTIONS, torn=True):
            row = seen.get(str(line.get("model")))
            if row is not None:
                row.last[str(line.get("clip")), str(line.get("repeat"))] = str(line.get("outcome"))
    rows = {name: row.status(units, entries[name], running=state == "running") for name, row in seen.items()}
    return Status(
        run_id=manifest.run_id,
        state=state,
        started_at=manifest.started_at,
        last_attempt_at=last_at,
        rows=rows,
    )


class _Row:
    """What the ledger says of one row, line by line."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], str] = {}
        self.attempts = 0
        self.cost: float | None = None
        self._begun: deque[float] = deque(maxlen=_RECENT)

    def take(self, line: Mapping[str, Any]) -> None:
        unit = str(line.get("clip")), str(line.get("repeat"))
        moment = _moment(line.get("started_at"))
        if unit not in self.last and moment is not None:
            self._begun.append(moment)
        self.last[unit] = str(line.get("outcome"))
        self.attempts += 1
        usage = line.get("usage")
        cost = usage.get("cost_usd") if isinstance(usage, Mapping) else None
        if isinstance(cost, int | float) and 0 <= cost <= _MOST_USD:
            self.cost = (self.cost or 0.0) + cost

    def status(self, units: int, entry: ModelEntry, *, running: bool) -> RowStatus:
        return RowStatus(
            units=units,
            outcomes=dict(Counter(self.last.values()).most_common()),
            attempts=self.attempts,
            cost_usd=self.cost,
            left_s=self._left_s(units - len(self.last)) if running else None,
            stopped=str(entry.stopped.outcome) if entry.stopped else None,
        )

    def _left_s(self, units: int) -> float | None:
        """At the pace from the first of the recent units until now: a row that stands still gets slower."""
        if units <= 0:
            return 0.0
        span = datetime.now(UTC).timestamp() - self._begun[0] if len(self._begun) > 1 else 0.0
        return units * span / len(self._begun) if span > 0 else None


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return None
