"""How requests reach a local model: gathered into batches, on worker threads."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed, TimedOut
from ghostbench.folder.log import about
from ghostbench.models import LocalModel
from ghostbench.records import Clip, Request
from ghostbench.running.ask.dispatch import (
    Delivery,
    Dispatcher,
    Sending,
    Withdrawn,
    as_attempt_error,
    as_unavailable,
    close_model,
    did_not_load,
    notes_on,
)

T = TypeVar("T")

_LOOK_S = 0.5
"""How often a request that waits to be prepared looks whether the model has stopped, seconds."""


@dataclass(slots=True)
class _Waiting:
    group: str
    request: Request
    answered: asyncio.Future[Delivery]
    since: float
    prepare_s: float
    notes: tuple[str, ...]
    sending: Sending | None


class LocalDispatcher(Dispatcher):
    """Gathers requests into batches for a local model, those of each group by themselves.

    A group's batch may start when it is full, or when none of the group's announced requests is still being decoded or
    prepared: a batch never waits for a clip that cannot come before the batch has been answered. Of several that may
    start, the one whose first request has waited longest does.

    A call that does not end by the deadline is left to itself, since no thread can be stopped from outside: its
    requests have timed out, and the model is asked nothing more.

    pool : where requests are prepared; a call that never ends keeps one of its threads. deadline_s : for each call.
    """

    def __init__(self, model: LocalModel, pool: Executor, deadline_s: float = math.inf) -> None:
        self._model = model
        self._pool = pool
        self._deadline_s = deadline_s
        self._prepares = type(model).prepare is not LocalModel.prepare
        self._threads = ThreadPoolExecutor(1, "model")
        self._ready: dict[str, deque[_Waiting]] = {}
        self._expected: Counter[str] = Counter()
        self._running = 0
        self._wake = asyncio.Event()
        self._servers: list[asyncio.Task[None]] = []
        self.in_flight = 1

    @override
    async def load(self) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        self._running += 1
        try:
            facts = await self._ended(loop.run_in_executor(self._threads, copy_context().run, self._loaded))
        except TimedOut as error:
            raise did_not_load(self._deadline_s) from error
        except Exception:
            self._running -= 1
            raise
        self._running -= 1
        replicas = max(1, self._model.parallel_batches)
        if replicas > 1:
            self._threads.shutdown(wait=False)
            self._threads = ThreadPoolExecutor(replicas, "model")
        self.in_flight = 2 * replicas * max(1, self._model.batch_size)
        self._servers = [asyncio.create_task(self._serve()) for _ in range(replicas)]
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
    ) -> Delivery:
        asked, prepare_s = time.perf_counter(), 0.0
        notes: tuple[str, ...] = ()
        if self.stopped:
            self.expect(-int(expected), group)
            raise Withdrawn
        loop = asyncio.get_running_loop()
        if self._prepares:
            if sending is not None:
                await sending()
                sending = None
            try:
                prepared, failed, prepare_s, notes = await self._prepare_by_the_deadline(request)
            except TimedOut as error:
                self.expect(-int(expected), group)
                return self._hung(error, None)
            except Withdrawn:
                self.expect(-int(expected), group)
                raise
            if failed is not None:
                self.expect(-int(expected), group)
                return Delivery(self._read(failed), time.perf_counter() - asked - prepare_s, prepare_s, notes)
            # Frames anew: what was looked at while preparing need not wait in memory with the request.
            frames = request.frames.renewed() if request.frames is not None else None
            request = replace(request, prepared=prepared, frames=frames)
        # To wait for a thread that prepares is to queue, as to wait for a batch is.
        item = _Waiting(group, request, loop.create_future(), asked + prepare_s, prepare_s, notes, sending)
        self._ready.setdefault(group, deque()).append(item)
        self.expect(-int(expected), group)
        return await item.answered

    @override
    async def close(self) -> None:
        for server in self._servers:
            server.cancel()
        await asyncio.gather(*self._servers, return_exceptions=True)
        self._threads.shutdown(wait=not self._running, cancel_futures=True)
        if not self._running:
            await asyncio.to_thread(close_model, self._model)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            size = self._size()
            while not (batch := self._next_batch(size)):
                self._wake.clear()
                await self._wake.wait()
            if self.stopped:
                for item in batch:
                    if not item.answered.done():
                        item.answered.set_exception(Withdrawn())
                continue
            for item in batch:
                if item.sending is not None:
                    await item.sending()
            started = time.perf_counter()
            self._running += 1
            try:
                with about(batch[0].group):
                    requests = [item.request for item in batch]
                    call = loop.run_in_executor(self._threads, copy_context().run, self._answer, requests)
                    results, wall, notes = await self._ended(call)
            except TimedOut as error:
                for item in batch:
                    if not item.answered.done():
                        item.answered.set_result(self._hung(error, started - item.since))
                continue
            self._running -= 1
            for item, result, noted in zip(batch, results, notes, strict=True):
                delivery = Delivery(
                    self._read(result),
                    started - item.since,
                    item.prepare_s + wall,
                    tuple(dict.fromkeys((*item.notes, *noted))),
                )
                if not item.answered.done():
                    item.answered.set_result(delivery)

    async def _ended(self, call: asyncio.Future[T]) -> T:
        """What the call in a thread returns. Raises `TimedOut` at the deadline, and leaves the thread to itself."""
        done, _ = await asyncio.wait({call}, timeout=None if math.isinf(self._deadline_s) else self._deadline_s)
        if not done:
            call.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise TimedOut(
                f"no answer within the deadline of {self._deadline_s:g} s; the model is asked nothing more, "
                "since its thread cannot be stopped"
            )
        return call.result()

    async def _prepare_by_the_deadline(
        self, request: Request
    ) -> tuple[Any, AttemptError | None, float, tuple[str, ...]]:
        """What `_prepared` returns; to wait for a thread that prepares takes nothing from the deadline."""
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def prepared() -> tuple[Any, AttemptError | None, float, tuple[str, ...]]:
            loop.call_soon_threadsafe(begun.set)
            return self._prepared(request)

        call = loop.run_in_executor(self._pool, copy_context().run, prepared)
        waiting = asyncio.ensure_future(begun.wait())
        either: set[asyncio.Future[Any]] = {waiting, call}
        while not waiting.done() and not call.done():
            await asyncio.wait(either, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if self.stopped and not begun.is_set() and call.cancel():
                waiting.cancel()
                raise Withdrawn
        waiting.cancel()
        return await self._ended(call)

    def _hung(self, error: TimedOut, queue_s: float | None) -> Delivery:
        self.stopped = True
        self._wake.set()
        return Delivery(error, queue_s, self._deadline_s, stops=True)

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

    def _size(self) -> int:
        """The model's batch size; 1 where it fails to tell, so that no request waits for ever."""
        try:
            return max(1, int(self._model.batch_size))
        except Exception:  # noqa: BLE001
            return 1

    def _loaded(self) -> Mapping[str, Any]:
        """Load the model, in a thread. What is no `Exception` must not reach the event loop, and a `StopIteration`
        would never get there: no future takes it."""
        try:
            return self._model.load()
        except BaseException as error:  # noqa: BLE001
            raise as_unavailable(error) from None

    def _prepared(self, request: Request) -> tuple[Any, AttemptError | None, float, tuple[str, ...]]:
        """What the model prepares, or the error that it raises, how long it took, seconds, and notes on the request."""
        prepared, failed = None, None
        started = time.perf_counter()
        try:
            prepared = self._model.prepare(request)
        except BaseException as error:  # noqa: BLE001
            failed = as_attempt_error(error)
        return prepared, failed, time.perf_counter() - started, notes_on(request)

    def _answer(self, requests: Sequence[Request]) -> tuple[Sequence[object], float, list[tuple[str, ...]]]:
        """A result for each request, the seconds that the model took, and notes on each request."""
        started = time.perf_counter()
        results = self._results(requests)
        return results, time.perf_counter() - started, [notes_on(request) for request in requests]

    def _results(self, requests: Sequence[Request]) -> Sequence[object]:
        try:
            results: list[object] = list(self._model.answer(requests))
        except BaseException as error:  # noqa: BLE001
            return [as_attempt_error(error)] * len(requests)
        if len(results) != len(requests):
            return [Crashed(f"the adapter returned {len(results)} results for {len(requests)} requests")] * len(
                requests
            )
        return results
