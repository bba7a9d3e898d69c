"""One replica of a local model, as who asks it needs it: calls in threads, each ended at its deadline."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from ghostbench.errors import TimedOut
from ghostbench.records import Request
from ghostbench.running.ask.dispatch import Withdrawn, did_not_load
from ghostbench.running.ask.places.place import Answered, Place, Prepared
from ghostbench.running.ask.sharing_out import Pace
from ghostbench.running.ask.turn import Turn

T = TypeVar("T")
Item = TypeVar("Item")

_LOOK_S = 0.5
"""How often a request that waits to be prepared looks whether the model has stopped, seconds."""
_ENDING_S = 30.0
"""How long what is ended by force may take to be gone, seconds."""
_LOADING = "its worker was lost, and the new one had not loaded the model"
"""What has not happened by the deadline of loading a lost model anew, in words."""


class Seat(Generic[Item]):
    """A replica in its place. Construct it on the event loop.

    A call that does not end by the deadline is ended where the place can do that, and the replica goes on. Where it
    cannot, since no thread can be stopped from outside, the call is left to itself and the replica asked nothing more.

    pool : where requests are prepared; a call that never ends keeps one of its threads. deadline_s : for each call, and
    for loading a lost model anew before one, which takes nothing from the call's own, as to wait for a machine with
    room takes nothing from either.

    ready : what was prepared here, by group. assigned : how many requests were given to it and have not come back.
    taken : how many batches it is at. parallel : how many it can be at.
    closed : whether it is asked nothing more. free : set when there may be something for it.
    """

    def __init__(self, place: Place, pool: Executor, deadline_s: float = math.inf) -> None:
        self.place = place
        self.turn = Turn()
        self.pace = Pace()
        self.ready: dict[str, deque[Item]] = {}
        self.assigned = self.taken = 0
        self.closed = False
        self.free = asyncio.Event()
        self.parallel = 1
        self._pool = pool
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(1, "model")
        self._running = 0
        self._loading_anew = asyncio.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether it is at as many batches as it can be."""
        return self.taken >= self.parallel

    async def load(self) -> Mapping[str, Any]:
        """Load the model; return its facts. Raises what it raises, and `Unavailable` at the deadline."""
        facts = await self._loading(self.place.load)
        self.parallel = max(1, self.place.parallel_batches)
        if self.parallel > 1:
            self._threads.shutdown(wait=False)
            self._threads = ThreadPoolExecutor(self.parallel, "model")
        return facts

    async def warm_up(self) -> Mapping[str, Any]:
        """Have it done what remains before the first batch; return the facts that this adds. Raises as `load` does."""
        return await self._loading(self.place.warm_up)

    async def _loading(self, function: Callable[[], T]) -> T:
        self._running += 1
        call = self._call(function)
        try:
            done = await self._ended(call)
        except TimedOut as error:
            if await self._end_work(call, "did not load in time and was ended"):
                self._running -= 1
            raise did_not_load(self._deadline_s) from error
        except Exception:
            self._running -= 1
            raise
        self._running -= 1
        return done

    async def prepare(self, request: Request, stopped: Callable[[], bool]) -> Prepared:
        """What preparing gives; to wait for a thread that prepares takes nothing from the deadline.

        Raises `Withdrawn` where `stopped` comes true while it waits for that.
        """
        call: asyncio.Future[Any] | None = None
        begun = False
        try:
            # One at a time: another one's loading takes nothing from a deadline either, nor is it ended for one.
            async with self._loading_anew:
                if stopped():
                    raise Withdrawn
                if self.place.gone:
                    call = await self._begun(self.place.load_anew, stopped)
                    await self._ended(call, _LOADING, self.place.room_s)
            preparing = await self._begun(functools.partial(self.place.prepare, request), stopped)
            call, begun = preparing, True
            return await self._ended(preparing)
        except TimedOut as error:
            ended = await self._end_work(call, "did not answer in time and was ended")
            failure = _timed_out(error, ended=ended)
        # That a model could not be loaded in time is no request's fault.
        return Prepared(
            None, failure, self._deadline_s, worker=self.place.worker, lost=ended and begun, stops=not ended
        )

    async def answer(self, requests: Sequence[Request]) -> Answered:
        """What the model gives for a batch; `TimedOut` for all where it does not by the deadline."""
        self._running += 1
        batch = self.pace.begin(len(requests), time.perf_counter())
        call: asyncio.Future[Any] | None = None
        begun = False
        try:
            async with self._loading_anew:
                if self.place.gone:
                    call = self._call(self.place.load_anew)
                    await self._ended(call, _LOADING, self.place.room_s)
            answering = self._call(self.place.answer, requests)
            call, begun = answering, True
            answered = await self._ended(answering)
        except TimedOut as error:
            ended = await self._end_work(call, "did not answer in time and was ended")
            self._running -= ended
            failure = _timed_out(error, ended=ended)
            answered = Answered(
                [failure] * len(requests),
                self._deadline_s,
                [()] * len(requests),
                worker=self.place.worker,
                lost=ended and begun,
                stops=not ended,
            )
            self.pace.end(batch, time.perf_counter(), counts=False)
        else:
            self._running -= 1
            self.pace.end(batch, time.perf_counter(), counts=not (answered.lost or answered.stops))
        return answered

    def forget(self, value: Any) -> None:
        """Have the place let go of what was prepared here and is computed elsewhere; nobody waits for that."""
        self._pool.submit(self.place.forget, value)

    async def close(self) -> None:
        """Close the model, or end what it is at."""
        if (close := self.leave()) is not None:
            await asyncio.to_thread(close)

    def leave(self) -> Callable[[], None] | None:
        """Ask nothing more; return what closes the model, or end what it is at, after which nothing does."""
        if self._running:
            self.place.end_work("was ended with the run")
        self._threads.shutdown(wait=not self._running, cancel_futures=True)
        return None if self._running else self.place.close

    async def _begun(self, function: Callable[[], T], stopped: Callable[[], bool]) -> asyncio.Future[T]:
        """A call in the pool, once a thread is at it. Raises `Withdrawn` where `stopped` comes true before."""
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def run() -> T:
            loop.call_soon_threadsafe(begun.set)
            return function()

        call = loop.run_in_executor(self._pool, copy_context().run, run)
        waiting = asyncio.ensure_future(begun.wait())
        either: set[asyncio.Future[Any]] = {waiting, call}
        while not waiting.done() and not call.done():
            await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if stopped() and not begun.is_set() and call.cancel():
                waiting.cancel()
                raise Withdrawn
        waiting.cancel()
        return call

    def _call(self, function: Callable[..., T], *given: Any) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, copy_context().run, function, *given)

    async def _ended(self, call: asyncio.Future[T], late: str = "no answer", room_s: float = 0.0) -> T:
        """What the call in a thread returns. Raises `TimedOut` at the deadline, and leaves the thread to itself.

        late : what there is not by the deadline, in words. room_s : how long it may wait for room before, seconds.
        """
        limit_s = self._deadline_s + room_s
        try:
            done, _ = await asyncio.wait({call}, timeout=None if math.isinf(limit_s) else limit_s)
        except asyncio.CancelledError:
            _leave_to_itself(call)
            raise
        if not done:
            _leave_to_itself(call)
            raise TimedOut(f"{late} within the deadline of {self._deadline_s:g} s")
        return call.result()

    async def _end_work(self, call: asyncio.Future[Any] | None, how: str) -> bool:
        """Whether the call could be ended, so that its thread is free again."""
        if call is None or not self.place.end_work(how):
            return False
        done, _ = await asyncio.wait({call}, timeout=_ENDING_S)
        return bool(done)


def _leave_to_itself(call: asyncio.Future[Any]) -> None:
    """Have nobody told of what the call raises, for which nobody waits any more."""
    call.add_done_callback(lambda done: done.cancelled() or done.exception())


def _timed_out(error: TimedOut, *, ended: bool) -> TimedOut:
    said = "its worker was ended" if ended else "the model is asked nothing more, since its thread cannot be stopped"
    return TimedOut(f"{error}; {said}")
