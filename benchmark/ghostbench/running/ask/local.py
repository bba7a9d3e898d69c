"""How requests reach a local model: gathered into batches, by way of worker threads."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from typing_extensions import override

from ghostbench.errors import AttemptError, TimedOut
from ghostbench.folder.log import about
from ghostbench.records import Clip, Request
from ghostbench.running.ask.dispatch import Delivery, Dispatcher, Sending, Withdrawn, did_not_load
from ghostbench.running.ask.places.place import Answered, Place, Prepared
from ghostbench.running.ask.turn import Turn

T = TypeVar("T")

_LOOK_S = 0.5
"""How often a request that waits to be prepared looks whether the model has stopped, seconds."""
_ENDING_S = 30.0
"""How long what is ended by force may take to be gone, seconds."""


@dataclass(slots=True)
class _Waiting:
    group: str
    request: Request
    answered: asyncio.Future[Delivery]
    since: float
    prepare_s: float
    notes: tuple[str, ...]
    sending: Sending | None

    def deliver(self, delivery: Delivery) -> None:
        if not self.answered.done():
            self.answered.set_result(delivery)


class LocalDispatcher(Dispatcher):
    """Gathers requests into batches for a local model, those of each group by themselves.

    A group's batch may start when it is full, or when none of the group's announced requests is still being decoded or
    prepared: a batch never waits for a clip that cannot come before the batch has been answered. Of several that may
    start, the one whose first request has waited longest does.

    A call that does not end by the deadline is ended where the model's place can do that, and the model goes on. Where
    it cannot, since no thread can be stopped from outside, the call is left to itself and the model asked nothing more.

    pool : where requests are prepared; a call that never ends keeps one of its threads. deadline_s : for each call.
    """

    def __init__(self, place: Place, pool: Executor, deadline_s: float = math.inf) -> None:
        self._place = place
        self._pool = pool
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(1, "model")
        self._ready: dict[str, deque[_Waiting]] = {}
        self._expected: Counter[str] = Counter()
        self._running = 0
        self._turn = Turn()
        self._wake = asyncio.Event()
        self._servers: list[asyncio.Task[None]] = []
        self.in_flight = 1

    @override
    async def load(self) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        self._running += 1
        call = loop.run_in_executor(self._threads, copy_context().run, self._place.load)
        try:
            facts = await self._ended(call)
        except TimedOut as error:
            if await self._end_work(call, "did not load in time and was ended"):
                self._running -= 1
            raise did_not_load(self._deadline_s) from error
        except Exception:
            self._running -= 1
            raise
        self._running -= 1
        parallel = max(1, self._place.parallel_batches)
        if parallel > 1:
            self._threads.shutdown(wait=False)
            self._threads = ThreadPoolExecutor(parallel, "model")
        self.in_flight = 2 * parallel * max(1, self._place.batch_size)
        self._servers = [asyncio.create_task(self._serve()) for _ in range(parallel)]
        return facts

    @override
    def expect(self, count: int, group: str = "") -> None:
        self._expected[group] += count
        self._wake.set()

    @override
    async def ask(
        self,
        clip: Clip,
        request: Request,
        *,
        group: str = "",
        expected: bool = False,
        due: Callable[[], bool] | None = None,
        sending: Sending | None = None,
        alone: bool = False,
    ) -> Delivery:
        if self.stopped:
            self.expect(-int(expected), group)
            raise Withdrawn
        if alone:
            self.expect(-int(expected), group)
            async with self._turn.alone():
                return await self._asked_alone(request, group, sending)
        try:
            item = await self._prepared(request, group, sending, self._turn.among_others)
        finally:
            # Nothing waits between here and where the request joins those that are ready.
            self.expect(-int(expected), group)
        if isinstance(item, Delivery):
            return item
        self._ready.setdefault(group, deque()).append(item)
        return await item.answered

    @override
    async def close(self) -> None:
        for server in self._servers:
            server.cancel()
        await asyncio.gather(*self._servers, return_exceptions=True)
        if self._running:
            self._place.end_work("was ended with the run")
        self._threads.shutdown(wait=not self._running, cancel_futures=True)
        if not self._running:
            await asyncio.to_thread(self._place.close)

    async def _prepared(
        self,
        request: Request,
        group: str,
        sending: Sending | None,
        turn: Callable[[], AbstractAsyncContextManager[None]],
    ) -> _Waiting | Delivery:
        """The request ready to be computed; or its outcome, where preparing it has failed."""
        asked = time.perf_counter()
        answered: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        if not self._place.prepares:
            return _Waiting(group, request, answered, asked, 0.0, (), sending)
        if sending is not None:
            await sending()
        try:
            async with turn():
                done = await self._prepare_by_the_deadline(request)
        except TimedOut as error:
            return self._hung(error, None)
        if done.failure is not None:
            queue_s = time.perf_counter() - asked - done.seconds
            failure = self._read(done.failure)
            return Delivery(failure, queue_s, done.seconds, done.notes, worker=done.worker, lost=done.lost)
        # Frames anew: what was looked at while preparing need not wait in memory with the request.
        frames = request.frames.renewed() if request.frames is not None else None
        request = replace(request, prepared=done.value, frames=frames)
        # To wait for a thread that prepares is to queue, as to wait for a batch is.
        return _Waiting(group, request, answered, asked + done.seconds, done.seconds, done.notes, None)

    async def _asked_alone(self, request: Request, group: str, sending: Sending | None) -> Delivery:
        item = await self._prepared(request, group, sending, contextlib.nullcontext)
        if isinstance(item, Delivery):
            return item
        await self._compute([item])
        return item.answered.result()

    async def _serve(self) -> None:
        while True:
            size = self._place.batch_size
            while not (batch := self._next_batch(size)):
                self._wake.clear()
                await self._wake.wait()
            async with self._turn.among_others():
                if self.stopped:
                    for item in batch:
                        if not item.answered.done():
                            item.answered.set_exception(Withdrawn())
                    continue
                await self._compute(batch)

    async def _compute(self, batch: list[_Waiting]) -> None:
        """Have a batch computed, and deliver what comes of it."""
        for item in batch:
            if item.sending is not None:
                await item.sending()
        started = time.perf_counter()
        self._running += 1
        loop = asyncio.get_running_loop()
        requests = [item.request for item in batch]
        # A batch is about no single clip.
        with about(batch[0].group):
            call = loop.run_in_executor(self._threads, copy_context().run, self._place.answer, requests)
            try:
                answered = await self._ended(call)
            except TimedOut as error:
                hung = await self._end_hanging(call, error)
                for item in batch:
                    item.deliver(replace(hung, queue_s=started - item.since))
                return
        self._running -= 1
        for item, result, notes in zip(batch, answered.results, answered.notes, strict=True):
            item.deliver(self._delivery(item, result, notes, answered, started))

    def _delivery(
        self, item: _Waiting, result: object, notes: tuple[str, ...], answered: Answered, started: float
    ) -> Delivery:
        if answered.stops:
            self.stopped = True
        return Delivery(
            self._read(result),
            started - item.since,
            item.prepare_s + answered.seconds,
            tuple(dict.fromkeys((*item.notes, *notes))),
            stops=answered.stops,
            worker=answered.worker,
            lost=answered.lost,
        )

    async def _ended(self, call: asyncio.Future[T]) -> T:
        """What the call in a thread returns. Raises `TimedOut` at the deadline, and leaves the thread to itself."""
        done, _ = await asyncio.wait({call}, timeout=None if math.isinf(self._deadline_s) else self._deadline_s)
        if not done:
            call.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise TimedOut(f"no answer within the deadline of {self._deadline_s:g} s")
        return call.result()

    async def _end_work(self, call: asyncio.Future[Any], how: str) -> bool:
        """Whether the call could be ended, so that its thread is free again."""
        if not self._place.end_work(how):
            return False
        done, _ = await asyncio.wait({call}, timeout=_ENDING_S)
        return bool(done)

    async def _end_hanging(self, call: asyncio.Future[Any], error: TimedOut) -> Delivery:
        """End a call that has not ended by the deadline; the outcome of its requests."""
        if not await self._end_work(call, "did not answer in time and was ended"):
            return self._hung(error, None)
        self._running -= 1
        ended = TimedOut(f"{error}; its worker was ended")
        return Delivery(ended, None, self._deadline_s, worker=self._place.worker, lost=True)

    async def _prepare_by_the_deadline(self, request: Request) -> Prepared:
        """What preparing gives; to wait for a thread that prepares takes nothing from the deadline."""
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def prepared() -> Prepared:
            loop.call_soon_threadsafe(begun.set)
            return self._place.prepare(request)

        call = loop.run_in_executor(self._pool, copy_context().run, prepared)
        waiting = asyncio.ensure_future(begun.wait())
        either: set[asyncio.Future[Any]] = {waiting, call}
        while not waiting.done() and not call.done():
            await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if self.stopped and not begun.is_set() and call.cancel():
                waiting.cancel()
                raise Withdrawn
        waiting.cancel()
        try:
            return await self._ended(call)
        except TimedOut as error:
            if not await self._end_work(call, "did not answer in time and was ended"):
                raise
            failure: AttemptError = TimedOut(f"{error}; its worker was ended")
            return Prepared(None, failure, self._deadline_s, worker=self._place.worker, lost=True)

    def _hung(self, error: TimedOut, queue_s: float | None) -> Delivery:
        """The outcome of what is left to itself: its thread cannot be stopped."""
        self.stopped = True
        self._wake.set()
        said = TimedOut(f"{error}; the model is asked nothing more, since its thread cannot be stopped")
        return Delivery(said, queue_s, self._deadline_s, stops=True)

    def _next_batch(self, size: int) -> list[_Waiting]:
        """Take the batch that is to start now; empty where none may."""
        may_start = [
            waiting
            for group, waiting in self._ready.items()
            if len(waiting) >= size or (waiting and self._expected[group] <= 0)
        ]
        if not may_start:
            return []
        first = min(may_start, key=lambda waiting: waiting[0].since)
        return [first.popleft() for _ in range(min(size, len(first)))]
