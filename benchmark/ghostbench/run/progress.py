"""What a person sees while a run goes on: a bar for each row, with counts by outcome. Nothing without a terminal."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ghostbench.outcomes import Outcome

_LONG_S = 10.0
"""A pause that is shown while it lasts, seconds: a bar that stands still for longer looks as if nothing worked."""

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class Progress:
    """Counts of settled units by row and outcome, drawn as bars when the console is a terminal."""

    def __init__(self, console: Console, rows: list[str], units: int, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._outcomes: dict[str, Counter[Outcome]] = {row: Counter() for row in rows}
        self._again: dict[str, Counter[str]] = {row: Counter() for row in rows}
        self._resting: dict[str, list[datetime]] = {row: [] for row in rows}
        self.longest_put_off_s: dict[str, float] = {}
        self.last_settled = time.monotonic()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._ids: dict[str, TaskID] = {row: self._bars.add_task(row, total=units, counts="") for row in rows}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def settled(self, row: str, outcome: Outcome, count: int = 1) -> None:
        """A unit of this row has its outcome."""
        self.last_settled = time.monotonic()
        self._outcomes[row][outcome] += count
        if not self._bars.disable:
            self._bars.update(self._ids[row], advance=count, counts=self._counts(row))

    def again(self, row: str, action: str) -> None:
        """A unit of this row is tried again: "retry" or "fall_back"."""
        self._again[row][action] += 1
        self._redraw(row)

    def put_off(self, row: str, pause_s: float) -> None:
        """A unit of this row is settled because the server asked for a longer pause than a run makes."""
        self.longest_put_off_s[row] = max(pause_s, self.longest_put_off_s.get(row, 0.0))

    async def rest(self, row: str, pause_s: float) -> None:
        """Sleep before a further attempt of this row; a long sleep is shown with the time of day at which it ends."""
        if pause_s < _LONG_S:
            await asyncio.sleep(pause_s)
            return
        until = datetime.now().astimezone() + timedelta(seconds=pause_s)
        self._resting[row].append(until)
        self._redraw(row)
        try:
            await asyncio.sleep(pause_s)
        finally:
            self._resting[row].remove(until)
            self._redraw(row)

    def _redraw(self, row: str) -> None:
        if not self._bars.disable:
            self._bars.update(self._ids[row], counts=self._counts(row))

    def _counts(self, row: str) -> str:
        parts = [f"{count} {outcome}" for outcome, count in self._outcomes[row].most_common()]
        parts += [f"{count} {word}" for word, count in (("retries", self._again[row]["retry"]),) if count]
        parts += [f"{count} {word}" for word, count in (("fallbacks", self._again[row]["fall_back"]),) if count]
        if resting := self._resting[row]:
            parts.insert(0, f"{len(resting)} waiting until {max(resting):%H:%M:%S} to try again")
        return ", ".join(parts)
