"""How requests reach a local model: gathered into batches, each for whichever of its replicas is free."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from ghostbench.errors import TimedOut, Unavailable, WorkerLost
from ghostbench.folder.log import LOGGER, about
from ghostbench.media.far import FarFrames
from ghostbench.records import Clip, Request
from ghostbench.running.ask.dispatch import Delivery, Dispatcher, Sending, Withdrawn
from ghostbench.running.ask.places.place import Place, Prepared, ToPrepare, prepared
from ghostbench.running.ask.queues import Queues
from ghostbench.running.ask.replicas import facts_of_all
from ghostbench.running.ask.seat import Seat

_LOOKED_AT = 8


@dataclass(slots=True)
class _Waiting:
    """A request that can be computed.

    asker : the task that waits for it. seat : the replica that has prepared it; None where nothing was to prepare.
    """

    group: str
    request: Request
    answered: asyncio.Future[Delivery]
    since: float
    asker: asyncio.Task[Any] | None
    prepare_s: float = 0.0
    notes: tuple[str, ...] = ()
    sending: Sending | None = None
    seat: Seat[_Waiting] | None = None

    def deliver(self, delivery: Delivery) -> None:
        if not self.answered.done():
            self.answered.set_result(delivery)


@dataclass(slots=True)
class _Announced:
    """Whether a request is still one of those that its group waits for. count : 1; 0 once that is over."""

    dispatcher: LocalDispatcher
    group: str
    count: int

    def over(self) -> None:
        count, self.count = self.count, 0
        self.dispatcher.expect(-count, self.group)


class LocalDispatcher(Dispatcher):
    """Gathers requests into batches for the replicas of a local model, those of each group by themselves.

    `Queues` says what a batch is made of, and when it may start. A replica that is lost for good is asked nothing more;
    the model goes on as long as it has another.

    places : of each replica. pool : where requests are prepared. deadline_s : for each call.
    """

    def __init__(self, places: Sequence[Place], pool: Executor, deadline_s: float = math.inf) -> None:
        self._seats = [Seat[_Waiting](place, pool, deadline_s) for place in places]
        self._named = {seat.place.worker: seat for seat in self._seats}
        self._queues = Queues(self._seats)
        self._computing = self._next = 0
        self._answered: set[asyncio.Task[Any]] = set()
        self._idle: dict[Seat[_Waiting], None] = {}
        self._servers: list[asyncio.Task[None]] = []
        self._facts: dict[Seat[_Waiting], Mapping[str, Any]] = {}
        self._warming: dict[Seat[_Waiting], asyncio.Task[Mapping[str, Any]]] = {}
        self.in_flight = 1

    @property
    def replicas(self) -> int:
        """How many replicas can be asked."""
        return len(self._open())

    @override
    async def load(self) -> Mapping[str, Any]:
        loaded = await asyncio.gather(*(seat.load() for seat in self._seats), return_exceptions=True)
        failures: list[BaseException] = []
        for seat, found in zip(self._seats, loaded, strict=True):
            if isinstance(found, BaseException):
                seat.closed = True
                failures.append(found)
            else:
                self._facts[seat] = found
        if not self._facts:
            raise failures[0]
        for failure in failures:
            LOGGER.warning("a replica cannot be loaded, %d are asked: %s", len(self._facts), failure)
        self.in_flight = sum(2 * seat.parallel * max(1, seat.place.batch_size) for seat in self._open())
        self._warming = {seat: asyncio.create_task(self._warm_up(seat)) for seat in self._open() if seat.place.warms_up}
        self._servers = [asyncio.create_task(self._serve(seat)) for seat in self._open() for _ in range(seat.parallel)]
        return self._told(self._facts)

    @override
    async def ready(self) -> Mapping[str, Any]:
        if not self._warming:
            return {}
        await asyncio.wait(self._warming.values())
        facts = dict(self._facts)
        failures: list[BaseException] = []
        for seat, warming in self._warming.items():
            failure = warming.exception()
            if failure is not None:
                failures.append(failure)
                del facts[seat]
            else:
                # A model without facts may have returned nothing.
                facts[seat] = {**(facts[seat] or {}), **warming.result()}
        if not facts:
            raise failures[0]
        return self._told(facts)

    def _told(self, facts: Mapping[Seat[_Waiting], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What the replicas tell, as one model's facts."""
        if len(self._seats) == 1:
            return next(iter(facts.values()))
        named = {seat.place.worker or str(number): facts.get(seat) for number, seat in enumerate(self._seats, 1)}
        return facts_of_all({worker: each for worker, each in named.items() if each is not None})

    async def _warm_up(self, seat: Seat[_Waiting]) -> Mapping[str, Any]:
        """Have a replica warmed up; where that fails, its requests are for the others."""
        try:
            facts: Any = await seat.warm_up()
            if not isinstance(facts, Mapping):
                raise Unavailable(f"its warm_up returned {type(facts).__name__} where a mapping of facts belongs")
        except Exception as failure:
            seat.closed = True
            if self._open():
                LOGGER.warning("a replica cannot be warmed up, %d are asked: %s", len(self._open()), failure)
            elif self.lost is not None:
                self.lost(failure)
            self._leave(seat)
            raise
        return facts

    @override
    def expect(self, count: int, group: str = "") -> None:
        self._queues.expect(count, group)
        if count and self._queues.all_came(group):
            self._wake_all()

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
        announced = _Announced(self, group, int(expected))
        if asker := asyncio.current_task():
            self._answered.discard(asker)
        while True:
            seat = self._chosen_for(request)
            if self.stopped or seat is None:
                announced.over()
                raise Withdrawn
            seat.assigned += 1
            try:
                return await self._asked_of(seat, request, group, sending, announced, alone=alone)
            except Withdrawn:
                # Of this seat, perhaps: where the model goes on, another one can be asked.
                if self.stopped:
                    announced.over()
                    raise
            except BaseException:
                announced.over()
                raise
            finally:
                seat.assigned -= 1

    @override
    async def close(self) -> None:
        await asyncio.gather(*map(asyncio.to_thread, await self.leave()))

    @override
    async def leave(self) -> Sequence[Callable[[], None]]:
        working = [*self._servers, *self._warming.values()]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        return [close for seat in self._seats if (close := seat.leave()) is not None]

    def _open(self) -> list[Seat[_Waiting]]:
        return self._queues.open_seats()

    def _chosen_for(self, request: Request) -> Seat[_Waiting] | None:
        """The replica that is to prepare the request: the one that has its frames already, unless it has more to do."""
        seat, frames = self._least_busy(), request.frames
        if seat is not None and isinstance(frames, FarFrames) and frames.near is not None:
            near = self._named.get(frames.near)
            if near is not None and not near.closed and near.assigned <= seat.assigned + near.place.batch_size:
                return near
        return seat

    def _least_busy(self) -> Seat[_Waiting] | None:
        """The replica that is to prepare the next request: of some, the one with least to do; None where none is left.

        Of many replicas only the next few are looked at, which comes to nearly the same.
        """
        count = len(self._seats)
        for _ in range(0, count, _LOOKED_AT):
            some = [self._seats[(self._next + step) % count] for step in range(min(count, _LOOKED_AT))]
            self._next = (self._next + len(some)) % count
            found = min((seat for seat in some if not seat.closed), key=lambda seat: seat.assigned, default=None)
            if found is not None:
                return found
        return None

    def _join(self, item: _Waiting) -> None:
        """Put the request where it is taken from, and wake who may take it."""
        seat = item.seat
        if seat is None or seat.closed or self.stopped:
            self._hand_back([item])
            return
        self._queues.put(item, seat)
        seat.free.set()
        if seat.is_busy and self._queues.all_came(item.group):
            self._wake_one()

    async def _asked_of(
        self,
        seat: Seat[_Waiting],
        request: Request,
        group: str,
        sending: Sending | None,
        announced: _Announced,
        *,
        alone: bool,
    ) -> Delivery:
        """The request's outcome. Raises `Withdrawn` where the seat was closed before anything was begun there."""
        if alone:
            announced.over()
            async with seat.turn.alone():
                self._require_open(seat)
                return await self._asked_alone(seat, request, group, sending)
        item = await self._prepared(seat, request, group, sending, seat.turn.among_others)
        # Nothing waits between here and where the request joins those that are ready.
        announced.over()
        if isinstance(item, Delivery):
            return item
        self._join(item)
        return await item.answered

    def _require_open(self, seat: Seat[_Waiting]) -> None:
        """Raise `Withdrawn` where the seat is asked nothing more: who waited for a turn there is not sent in vain."""
        if self.stopped or seat.closed:
            raise Withdrawn

    async def _prepared(
        self,
        seat: Seat[_Waiting],
        request: Request,
        group: str,
        sending: Sending | None,
        turn: Callable[[], AbstractAsyncContextManager[None]],
    ) -> _Waiting | Delivery:
        """The request ready to be computed; or its outcome, where preparing it has failed. Raises `Withdrawn`."""
        asked = time.perf_counter()
        answered: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        asker = asyncio.current_task()
        if not seat.place.prepares:
            return _Waiting(group, request, answered, asked, asker, sending=sending)
        if sending is not None:
            await sending()
        async with turn():
            self._require_open(seat)
            done = await seat.prepare(request, lambda: self.stopped or seat.closed)
            if (done.lost or done.stops) and not isinstance(done.failure, TimedOut):
                # Where the seat is closed by now, that is why, and nothing that the request has done.
                self._require_open(seat)
            done = self._seen(seat, done)
        if done.failure is not None:
            queue_s = max(0.0, time.perf_counter() - asked - done.seconds)
            failure = self._read(done.failure)
            return Delivery(
                failure, queue_s, done.seconds, done.notes, stops=done.stops, worker=done.worker, lost=done.lost
            )
        # To wait for a thread that prepares is to queue, as to wait for a batch is.
        whole = prepared(request, done.value)
        return _Waiting(group, whole, answered, asked + done.seconds, asker, done.seconds, done.notes, seat=seat)

    async def _asked_alone(
        self, seat: Seat[_Waiting], request: Request, group: str, sending: Sending | None
    ) -> Delivery:
        item = await self._prepared(seat, request, group, sending, contextlib.nullcontext)
        if isinstance(item, Delivery):
            return item
        await self._compute(seat, [item])
        return item.answered.result()

    async def _serve(self, seat: Seat[_Waiting]) -> None:
        if seat in self._warming:
            await asyncio.wait([self._warming[seat]])
        while True:
            while not (batch := self._next_batch(seat)):
                if seat.closed:
                    return
                seat.free.clear()
                self._idle[seat] = None
                await seat.free.wait()
                self._idle.pop(seat, None)
            seat.taken += 1
            async with seat.turn.among_others():
                if self.stopped or seat.closed:
                    self._hand_back(batch)
                else:
                    await self._compute(seat, batch)
            seat.taken -= 1

    def _hand_back(self, batch: Sequence[_Waiting]) -> None:
        """What was about to be computed is for another replica, or withdrawn where there is none to be asked."""
        for item in batch:
            if not self.stopped:
                self._queues.put(item, None)
                self._wake_one()
            elif not item.answered.done():
                item.answered.set_exception(Withdrawn())

    async def _compute(self, seat: Seat[_Waiting], batch: list[_Waiting]) -> None:
        """Have a batch computed, and deliver what comes of it."""
        for item in batch:
            if item.sending is not None:
                await item.sending()
            if item.seat is not None and item.seat is not seat:
                item.seat.forget(item.request.prepared)
        started = time.perf_counter()
        requests = [
            item.request if item.seat is seat or item.seat is None else replace(item.request, prepared=ToPrepare)
            for item in batch
        ]
        self._computing += len(batch)
        # A batch is about no single clip.
        with about(batch[0].group):
            answered = self._seen(seat, await seat.answer(requests))
        self._computing -= len(batch)
        for item, result, notes in zip(batch, answered.results, answered.notes, strict=True):
            self._note_answered(item)
            item.deliver(
                Delivery(
                    self._read(result),
                    started - item.since,
                    item.prepare_s + answered.seconds,
                    tuple(dict.fromkeys((*item.notes, *notes))),
                    stops=answered.stops,
                    worker=answered.worker,
                    lost=answered.lost,
                )
            )
        # Others may have waited to see how much this one would do.
        self._wake_all()

    def _note_answered(self, item: _Waiting) -> None:
        """Until who asked has settled it, or asks again, it is among what is left, and nothing to be shared out."""
        if item.asker is not None and not item.asker.done():
            self._answered.add(item.asker)
            item.asker.add_done_callback(self._answered.discard)

    def _seen(self, seat: Seat[_Waiting], done: Any) -> Any:
        """What came back, of a replica that may be lost for good: then its clips are for the others, where there are
        any."""
        if not done.stops:
            return done
        self._leave(seat)
        if self.stopped:
            return done
        lost = WorkerLost(f"the replica {seat.place.worker or ''} can be asked nothing more")

        def told(result: Any) -> Any:
            # That it took too long is the request's own outcome; that the replica is gone is not.
            return result if isinstance(result, TimedOut) else lost

        if isinstance(done, Prepared):
            return replace(done, failure=told(done.failure), stops=False, lost=True)
        return replace(done, results=[told(result) for result in done.results], stops=False, lost=True)

    def _leave(self, seat: Seat[_Waiting]) -> None:
        """Ask a replica nothing more: what it has prepared is for the others, or withdrawn where there is none."""
        seat.closed = True
        self.stopped = self.stopped or not self._open()
        self._hand_back(self._queues.emptied(seat, shared=self.stopped))
        seat.free.set()

    def _next_batch(self, seat: Seat[_Waiting]) -> list[_Waiting]:
        """Take the batch that the replica is to start now; empty where there is none."""
        left = math.inf
        if self.left is not None and len(self._seats) > 1:
            left = self.left() - self._computing - len(self._answered)
        return self._queues.next_batch(seat, left, time.perf_counter())

    def _wake_one(self) -> None:
        for seat in self._idle:
            seat.free.set()
            del self._idle[seat]
            return

    def _wake_all(self) -> None:
        for seat in self._idle:
            seat.free.set()
        self._idle.clear()
