"""How requests reach a local model: gathered into batches, on worker threads."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed
from ghostbench.models import LocalModel
from ghostbench.records import Clip, Request
from ghostbench.run.dispatch import (
    Delivery,
    Dispatcher,
    Sending,
    Withdrawn,
    as_attempt_error,
    as_unavailable,
    close_model,
    notes_on,
)


@dataclass(slots=True)
class _Waiting:
    request: Request
    answered: asyncio.Future[Delivery]
    since: float
    prepare_s: float
    notes: tuple[str, ...]


class LocalDispatcher(Dispatcher):
    """Gathers requests into batches for a local model, those of each group by themselves.

    A group's batch may start when it is full, or when none of the group's announced requests is still being decoded or
    prepared: a batch never waits for a clip that cannot come before the batch has been answered. Of several that may
    start, the one whose first request has waited longest does.
    """

    def __init__(self, model: LocalModel, pool: Executor) -> None:
        self._model = model
        self._pool = pool
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
            facts = await loop.run_in_executor(self._threads, self._loaded)
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
        self, clip: Clip, request: Request, *, group: str = "", expected: bool = False, sending: Sending | None = None
    ) -> Delivery:
        asked, prepare_s = time.perf_counter(), 0.0
        notes: tuple[str, ...] = ()
        loop = asyncio.get_running_loop()
        if self._prepares:
            prepared, failed, prepare_s, notes = await loop.run_in_executor(self._pool, self._prepared, request)
            if failed is not None:
                self.expect(-int(expected), group)
                return Delivery(self._read(failed), time.perf_counter() - asked - prepare_s, prepare_s, notes)
            # Frames anew: what was looked at while preparing need not wait in memory with the request.
            frames = request.frames.renewed() if request.frames is not None else None
            request = replace(request, prepared=prepared, frames=frames)
        # To wait for a thread that prepares is to queue, as to wait for a batch is.
        item = _Waiting(request, loop.create_future(), asked + prepare_s, prepare_s, notes)
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
            close_model(self._model)

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
            started = time.perf_counter()
            self._running += 1
            answered = await loop.run_in_executor(self._threads, self._answer, [item.request for item in batch])
            self._running -= 1
            results, wall, notes = answered
            for item, result, noted in zip(batch, results, notes, strict=True):
                delivery = Delivery(
                    self._read(result),
                    started - item.since,
                    item.prepare_s + wall,
                    tuple(dict.fromkeys((*item.notes, *noted))),
                )
                if not item.answered.done():
                    item.answered.set_result(delivery)

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
        """Load the model, in a thread: an exit that its code asks for must not reach the event loop."""
        try:
            return self._model.load()
        except (SystemExit, KeyboardInterrupt) as error:
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
