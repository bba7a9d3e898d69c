"""What a person sees while a run goes on: a bar for each row with counts by outcome; off a terminal, a line now and
then; and a line for each long pause."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ghostbench.outcomes import TRANSIENT, Outcome
from ghostbench.plugins.registry import printable
from ghostbench.running.ask.way import Pause

_LONG_S = 10.0
"""A pause that is shown while it lasts, seconds: a bar that stands still for longer looks as if nothing worked."""

_NARROW = 100
"""The columns up to which the bars make way for the counts."""
_LINE_EVERY_S = 30.0
"""How often the state is told off a terminal, seconds."""
_FEW_WORKERS = 8
"""So many workers at most are told of by name."""
_TELL_AGAIN_S = 60.0
"""A pause is told of again when its end has moved by so much, seconds."""

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


@dataclass(slots=True)
class _Pause:
    """Since when nothing is sent, and the end that was told last."""

    since: datetime
    told: datetime | None = None


class Progress:
    """Counts of settled units by row and outcome: bars where the console is a terminal, else a line every so often.

    units : of each row. quiet : show nothing.
    """

    def __init__(
        self, console: Console, rows: list[str], units: int, *, quiet: bool = False, every_s: float = _LINE_EVERY_S
    ) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._outcomes: dict[str, Counter[Outcome]] = {row: Counter() for row in rows}
        self._again: dict[str, Counter[str]] = {row: Counter() for row in rows}
        self._resting: dict[str, list[datetime]] = {row: [] for row in rows}
        self._held: Counter[str] = Counter()
        self._by_worker: dict[str, Counter[str]] = {row: Counter() for row in rows}
        self._pauses: dict[str, _Pause] = {}
        self._console, self._quiet = console, quiet
        moving = _can_move_up(console)
        self.longest_put_off_s: dict[str, float] = {}
        self.last_settled = time.monotonic()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24 if console.width > _NARROW else 10),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            console=console,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            disable=quiet or not moving,
        )
        self._ids: dict[str, TaskID] = {row: self._bars.add_task(row, total=units, counts="") for row in rows}

        self._lines = None if quiet or moving else _Lines(self, console, units, every_s)

    def __enter__(self) -> Self:
        self._bars.start()
        if self._lines is not None:
            self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        if self._lines is not None:
            self._lines.stop()

    def counts(self) -> dict[str, tuple[int, str]]:
        """Of each row how many units are settled, and the same in words."""
        return {row: (sum(dict(found).values()), self._counts(row)) for row, found in self._outcomes.items()}

    def settled(self, row: str, outcome: Outcome, count: int = 1) -> None:
        """A unit of this row has its outcome."""
        self.last_settled = time.monotonic()
        self._outcomes[row][outcome] += count
        if not self._bars.disable:
            self._bars.update(self._ids[row], advance=count, counts=self._counts(row))

    def attempted(self, row: str, worker: str | None) -> None:
        """A worker has made an attempt for this row; shown where there are several."""
        if worker is not None:
            self._by_worker[row][worker] += 1

    def again(self, row: str, action: str) -> None:
        """A unit of this row is tried again: "retry" or "fall_back"."""
        self._again[row][action] += 1
        self._redraw(row)

    def put_off(self, row: str, pause_s: float) -> None:
        """A unit of this row is settled because the server asked for a longer pause than a run makes."""
        self.longest_put_off_s[row] = max(pause_s, self.longest_put_off_s.get(row, 0.0))

    def worth_another_try(self) -> Iterator[tuple[str, dict[Outcome, int]]]:
        """Rows with outcomes that may be other ones another time, and how many there are of each."""
        for row, counts in self._outcomes.items():
            found = {outcome: count for outcome, count in counts.most_common() if outcome in TRANSIENT}
            if found:
                yield row, found

    def paused(self, row: str, pause: Pause | None) -> None:
        """Nothing of this row (or of a storage, by its name) is sent for a while; None: it goes on.

        Said in a line of its own where it is long, and again where it has become much longer.
        """
        now = datetime.now().astimezone()
        begun = self._pauses.get(row)
        if pause is None:
            if begun is not None:
                self._say(f"{row}: goes on after {(now - begun.since).total_seconds():.0f} s")
            self._pauses.pop(row, None)
        else:
            until = now + timedelta(seconds=pause.seconds)
            if begun is None and (pause.outage or pause.seconds >= _LONG_S):
                begun = self._pauses[row] = _Pause(now)
            if begun is not None and (begun.told is None or (until - begun.told).total_seconds() >= _TELL_AGAIN_S):
                begun.told = until
                then = "one request then looks whether it is over" if pause.outage else "all its requests go on then"
                self._say(f"{row}: paused until {until:%H:%M:%S}, {then} ({printable(pause.why)})")
        if row in self._ids:
            self._redraw(row)

    @contextlib.contextmanager
    def waiting(self, row: str) -> Iterator[None]:
        """A unit of this row waits for the end of its model's pause."""
        self._held[row] += 1
        self._redraw(row)
        try:
            yield
        finally:
            self._held[row] -= 1
            self._redraw(row)

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

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
        if len(workers := self._by_worker[row]) > 1:
            parts.append(_by_worker(row, workers))
        if resting := self._resting[row]:
            parts.insert(0, f"{len(resting)} waiting until {max(resting):%H:%M:%S} to try again")
        if (begun := self._pauses.get(row)) is not None and begun.told is not None:
            parts.insert(0, f"{self._held[row]} waiting until {begun.told:%H:%M:%S}, all paused")
        return ", ".join(parts)


def _can_move_up(console: Console) -> bool:
    """Whether lines can be written over. What is only coloured as on a terminal (FORCE_COLOR, as CI has it) is a file;
    and some terminals cannot."""
    if not console.is_terminal or console.is_dumb_terminal:
        return False
    try:
        return console.file.isatty()
    except (AttributeError, ValueError):  # a program's own stand-in for a stream, or a closed one
        return False


def _by_worker(row: str, attempts: Mapping[str, int]) -> str:
    """How many attempts each worker has made: of few workers by name, of many the least and the most."""
    if len(attempts) > _FEW_WORKERS:
        return f"{len(attempts)} workers at {min(attempts.values())} to {max(attempts.values())} attempts each"
    named = (f"{name.removeprefix(row)} {count}" for name, count in sorted(attempts.items()))
    return f"workers {', '.join(named)}"


class _Lines:
    """A line on the console every so often, by a thread: work that keeps the event loop busy does not hold it up."""

    def __init__(self, progress: Progress, console: Console, units: int, every_s: float) -> None:
        self._progress = progress
        self._console = console
        self._units = units
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        first: tuple[float, dict[str, int]] | None = None
        while not self._ended.wait(self._every_s):
            now, counts = time.monotonic(), self._progress.counts()
            settled = {row: count for row, (count, _) in counts.items()}
            parts = [
                f"{row} {count}/{self._units}{f' ({words})' if words else ''}" for row, (count, words) in counts.items()
            ]
            left = self._left_s(now, settled, first) if first is not None else None
            if left is not None:
                parts.append(f"about {timedelta(seconds=round(left))} to go")
            line = f"after {timedelta(seconds=round(now - began))}: {'; '.join(parts)}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            first = first or (now, settled)

    def _left_s(self, now: float, settled: Mapping[str, int], first: tuple[float, Mapping[str, int]]) -> float | None:
        """Seconds until the slowest row is done at its pace since the first line; None where one stands still."""
        since, before = first
        times = [0.0]
        for row, count in settled.items():
            done = count - before[row]
            if count < self._units and done == 0:
                return None
            if count < self._units:
                times.append((self._units - count) * (now - since) / done)
        return max(times)
