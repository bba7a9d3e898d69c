"""The way to a model, or to the media: open, paused for all that would go there, or given up.

A server that asks for time is left alone by all requests of its model together. Where failures come in a row and
nothing comes through, that is an outage: everything waits, one request at a time looks whether it is over, and all go
on when it is (a circuit breaker). An outage is waited out for `Patience.outage_s`, however many attempts that takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ghostbench.models import LONGEST_PAUSE_S
from ghostbench.running.rules.patience import NO_PATIENCE, Patience

_IN_A_ROW = 3
"""So many failures in a row, with nothing coming through between them, are an outage and not a clip's bad luck."""
_TRUSTED = 8
"""So many looks are made when the server asks for them; from then on it is asked ever less often, as if it said
nothing: one that says "in a second" for ten minutes is not to be asked six hundred times."""


@dataclass(slots=True, eq=False)
class Passage:
    """Leave to send. started : when it was given, or sent. look : whether it is the one that looks for the others."""

    started: float
    look: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """What is told of a pause: how long it is from now, seconds, why, and whether it is an outage's."""

    seconds: float
    why: str
    outage: bool


def _tell_nobody(pause: Pause | None) -> None:
    """For ways that nobody looks at."""


@dataclass(slots=True, eq=False)
class Way:
    """Use it on one event loop. `tell` hears of each pause, and None when nobody waits any more.

    given_up : why nothing goes there any more; None as long as it is worth waiting.
    """

    patience: Patience = NO_PATIENCE
    tell: Callable[[Pause | None], None] = _tell_nobody
    given_up: str | None = None
    _in_a_row: int = 0
    _since: float | None = None
    _until: float = -math.inf
    _outage: bool = False
    _looks: int = 0
    _fresh: int = 0
    _looking: Passage | None = None
    _good: float = -math.inf
    _told: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def paused(self) -> bool:
        """Whether who comes now must wait."""
        return self._outage or time.monotonic() < self._until

    async def enter(self, *, fresh: bool = True) -> Passage | None:
        """Wait until the way is open, or one is needed to look; None when it is given up.

        fresh : whether it has not failed here before. Those look first: where one clip alone makes a server fail,
            another finds out.

        What becomes of the passage must be said: `came_through`, `failed` or `left`.
        """
        self._fresh += fresh
        try:
            return await self._entered(fresh=fresh)
        finally:
            self._fresh -= fresh
            if self._outage:
                self._wake()

    async def _entered(self, *, fresh: bool) -> Passage | None:
        while self.given_up is None:
            pause = self._until - time.monotonic()
            if pause <= 0 and not self._outage:
                if self._told:
                    self._open()
                return Passage(time.monotonic())
            if pause <= 0 and self._looking is None and (fresh or not self._fresh):
                self._looking = Passage(time.monotonic(), look=True)
                return self._looking
            await self._wait(pause if pause > 0 else None)
        return None

    def may_send(self, passage: Passage) -> bool:
        """Whether a request that was let in may still be sent; notes that it is sent now."""
        passage.started = time.monotonic()
        return passage.look or not self.paused

    def came_through(self, passage: Passage) -> None:
        """The other side did its part, whatever it answered."""
        self._good = max(self._good, passage.started)
        if self._outage and not passage.look:
            return
        self._in_a_row, self._since = 0, None
        if self._outage:
            self._looks, self._outage, self._looking, self._until = 0, False, None, -math.inf
            self._open()

    def failed(self, passage: Passage, why: str, asked_s: float | None = None) -> None:
        """It did not. asked_s : the pause that the other side asks for, seconds."""
        now = time.monotonic()
        news = passage is self._looking or not self._outage
        if passage is self._looking:
            self._looking = None
        self._since = now if self._since is None else self._since
        self._in_a_row += 1
        if asked_s is not None and asked_s > LONGEST_PAUSE_S:
            if self._in_a_row >= _IN_A_ROW:
                self._give_up(now)
            asked_s = None
        until = self._until if asked_s is None else max(self._until, now + asked_s)
        if news and self._in_a_row >= _IN_A_ROW and self.patience.outage_s > 0:
            self._outage = True
            self._looks += 1
            trusted = _TRUSTED if asked_s is not None else 0
            if self._looks > trusted:
                until = max(until, now + self.patience.before_look(self._looks - trusted))
        if self._outage and until - self._since > self.patience.outage_s:
            self._give_up(now)
        if until > self._until and self.given_up is None:
            self._until, self._told = until, True
            self.tell(Pause(until - now, why, self._outage))
        self._wake()

    def shut(self) -> None:
        """Nothing goes there any more, for reasons of its own: who waits is let go."""
        self.given_up = self.given_up or "it was stopped"
        self._open()

    def left(self, passage: Passage) -> None:
        """Nothing was sent after all, or nobody can say what became of it."""
        if passage is self._looking:
            self._looking = None
            self._wake()

    @contextlib.contextmanager
    def held(self, passage: Passage) -> Iterator[Passage]:
        """Give the passage back in the end, unless `came_through` or `failed` has done so."""
        try:
            yield passage
        finally:
            self.left(passage)

    def came_through_since(self, moment: float) -> bool:
        """Whether anything that was sent at that moment (of `time.monotonic`) or later has come through."""
        return self._good >= moment

    def _give_up(self, now: float) -> None:
        self.given_up = f"nothing came through for {now - (self._since or now):.0f} s"
        self._open()

    async def _wait(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _open(self) -> None:
        if self._told:
            self._told = False
            self.tell(None)
        self._wake()
