"""Loading a run's models and closing them again: one that cannot be loaded is an outcome, and the run goes on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from ghostbench.errors import Unavailable
from ghostbench.folder.begun import Begun, Lost
from ghostbench.folder.log import LOGGER, about
from ghostbench.models import LocalModel, Truths
from ghostbench.outcomes import Outcome
from ghostbench.plugins.choose import Choice, build_model
from ghostbench.running.ask.dispatch import Dispatcher, as_unavailable, within
from ghostbench.running.ask.dispatchers import begin, dispatcher_for, ready
from ghostbench.running.ask.far import FarAway
from ghostbench.running.ask.places.early import Early
from ghostbench.running.ask.places.in_worker import InWorker, Worker
from ghostbench.running.ask.places.place import InThread, Place
from ghostbench.running.ask.places.process import WorkerProcess
from ghostbench.running.ask.places.worker_model import Assignment
from ghostbench.running.ask.units import ModelState
from ghostbench.running.plan.plan import Plan
from ghostbench.running.plan.replicas import Replica
from ghostbench.running.rules.retry import MOST_LOST
from ghostbench.running.rules.stop import Stop

_MOST_THREADS = 256
"""The most threads in which a model's requests are handed over to be prepared."""
CLOSING_S = 60.0
"""The longest that a run waits for a model to close, seconds."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How local models are reached that do not live in this process.

    far : tells how those are that live in a cluster, None where none do. early : a worker that was started while the
    run was planned, if one was.
    """

    far: FarAway | None = None
    early: Early | None = None


class Loading:
    """Loads models, one after the other: they share the machine.

    elsewhere : how models are reached that do not live in this process. lost : what earlier loads took with
    them. preparing : how many threads each local model prepares requests in.
    same : raises `Unavailable` where the facts that a model tells are not those that the run was begun with.
    told : called when a model that was already asked while it warmed up is ready, or turns out to be unavailable.
    """

    def __init__(
        self,
        plan: Plan,
        begun: Begun,
        lost: Lost,
        preparing: int,
        same: Callable[[ModelState, Mapping[str, Any]], None],
        told: Callable[[], None],
        elsewhere: Elsewhere,
    ) -> None:
        self._plan = plan
        self._begun = begun
        self._lost = lost
        self._width = preparing
        self._same, self._told = same, told
        self._warming: list[asyncio.Task[None]] = []
        self._truths = Truths(clips=plan.split.known, seed=plan.options.seed)
        self._preparing: list[ThreadPoolExecutor] = []
        self._far, self._early = elsewhere.far, elsewhere.early
        self._in_this_process = plan.options.placement.place == "thread"
        self._starter = ThreadPoolExecutor(1, "starter")

    async def load(self, state: ModelState, busy: Counter[str]) -> None:
        """Load a model; one that fails to is stopped. busy : told what is waited for, by name.

        A model with a process of its own can be asked when this returns, and may still be warming up.
        """
        await self.ready()
        row = state.configured.choice.row
        started = time.perf_counter()
        busy[f"{row} (loading)"] += 1
        try:
            self._check(state)
            if self._in_this_process and isinstance(state.configured.model, LocalModel):
                self._begun.loading(row)
            # A pool for each: a model that never comes back from preparing keeps threads, and nobody else's.
            count = max(1, len(state.configured.replicas))
            pool = ThreadPoolExecutor(min(_MOST_THREADS, count * self._share(count)), "prepare")
            self._preparing.append(pool)
            state.dispatcher = dispatcher_for(
                state.configured.model, self._truths, pool, self._plan.options.deadline, partial(self._places, state)
            )
            state.dispatcher.lost = partial(_unavailable, state)
            with about(row):
                facts = await begin(state.dispatcher)
            self._same(state, facts)
            state.facts = facts
            if self._far is not None:
                self._far.loaded(state.configured)
        except Exception as error:  # noqa: BLE001 - a model that cannot load is an outcome; the run goes on
            _unavailable(state, error)
            await self.give_up(state)
        if self._in_this_process or state.dispatcher is None or not isinstance(state.configured.model, LocalModel):
            await self._become_ready(state, busy, started)
        else:
            self._warming.append(asyncio.create_task(self._warm_up(state, busy, started)))

    async def ready(self) -> None:
        """Wait until all models that were loaded are ready, or unavailable."""
        warming, self._warming = self._warming, []
        await asyncio.gather(*warming)

    async def _warm_up(self, state: ModelState, busy: Counter[str], started: float) -> None:
        await self._become_ready(state, busy, started)
        self._told()

    async def _become_ready(self, state: ModelState, busy: Counter[str], started: float) -> None:
        """Wait for a model that was loaded, if it was."""
        row = state.configured.choice.row
        try:
            if state.dispatcher is not None:
                with about(row):
                    state.facts = {**state.facts, **await ready(state.dispatcher)}
                LOGGER.info("loaded in %.3g s", time.perf_counter() - started, extra={"row": row})
        except Exception as error:  # noqa: BLE001
            _unavailable(state, error)
            await self.give_up(state)
        self._begun.loaded(row)
        busy.pop(f"{row} (loading)", None)
        state.load_s = time.perf_counter() - started

    def _places(self, state: ModelState, model: LocalModel) -> list[Place]:
        """Where the replicas of a local model live."""
        configured = state.configured
        if self._in_this_process:
            if len(configured.replicas) == 1:
                return [InThread(model)]
            return [
                InThread(_built(configured.choice, replica.settings), replica.name) for replica in configured.replicas
            ]
        preparing = self._share(len(configured.replicas))
        if self._far is not None:
            return [*self._far.places(configured, preparing)]
        return [
            InWorker(model, replica.name, partial(self._start, configured.choice, replica, preparing))
            for replica in configured.replicas
        ]

    def _start(self, choice: Choice, replica: Replica, preparing: int, again: bool) -> Worker:
        """Start a worker process, from a thread that lives as long as the run: a worker ends with its starter."""
        given = Assignment(
            choice.spec.load, replica.settings, choice.argument, tuple(sys.path), preparing, ahead=choice.spec.ahead
        )
        started = None if self._early is None else self._early.take(given, replica.environment)
        return self._starter.submit(WorkerProcess, replica.name, given, replica.environment, started).result()

    def _share(self, replicas: int) -> int:
        """How many requests each of so many replicas prepares at the same time."""
        if self._far is not None:
            return self._width
        return max(2, self._width // replicas)

    def _check(self, state: ModelState) -> None:
        """Raise `Unavailable` for a model that is not to be loaded at all."""
        row = state.configured.choice.row
        if state.configured.broken is not None:
            raise Unavailable(state.configured.broken)
        if row in self._plan.options.give_up:
            raise Unavailable("given up by the user with --give-up")
        if self._lost.loading.count(row) >= MOST_LOST:
            raise Unavailable(f"loading it took the run's process down {MOST_LOST} times")

    async def give_up(self, state: ModelState) -> None:
        """Close a model, if it is there, and ask it nothing more."""
        if state.dispatcher is not None:
            dispatcher, state.dispatcher = state.dispatcher, None
            await close_quietly(dispatcher)

    async def leave(self, states: Iterable[ModelState]) -> Closing:
        """Close the models, and then the threads; those in processes of their own are still at it when this returns."""
        calls: list[Callable[[], None]] = []
        for state in states:
            if self._in_this_process or self._far is not None:
                await self.give_up(state)
            elif state.dispatcher is not None:
                dispatcher, state.dispatcher = state.dispatcher, None
                with contextlib.suppress(Exception):
                    calls += await within(dispatcher.leave(), CLOSING_S)
        return Closing(calls, self.close)

    def close(self) -> None:
        """Let the threads go; what they were about to do is not done."""
        for warming in self._warming:
            warming.cancel()
        for pool in (*self._preparing, self._starter):
            pool.shutdown(wait=False, cancel_futures=True)


def _unavailable(state: ModelState, error: BaseException) -> None:
    """Say once why a model cannot be asked."""
    if state.stopped is None:
        LOGGER.warning("unavailable: %s", as_unavailable(error), extra={"row": state.configured.choice.row})
        state.stop(Stop(Outcome.UNAVAILABLE, str(as_unavailable(error))))


class Closing:
    """Models that are being closed, each in a thread of its own. What they raise changes no answer and is dropped.

    calls : what closes them. after : called once they are closed, or have taken `CLOSING_S`.
    """

    def __init__(self, calls: Sequence[Callable[[], None]], after: Callable[[], None]) -> None:
        self._after = after
        self._until = time.monotonic() + CLOSING_S
        self._threads = [threading.Thread(target=_quietly, args=(call,), name="closing", daemon=True) for call in calls]
        for thread in self._threads:
            thread.start()

    def end(self, *, wait: bool) -> None:
        """Be done with it; if `wait`, once all are closed or have been at it for too long."""
        try:
            for thread in self._threads if wait else ():
                thread.join(max(0.0, self._until - time.monotonic()))
        finally:
            self._after()


def _quietly(call: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        call()


async def close_quietly(dispatcher: Dispatcher) -> None:
    """Close a model; what it raises while closing changes no answer and is dropped."""
    with contextlib.suppress(Exception):
        await within(dispatcher.close(), CLOSING_S)


def _built(choice: Choice, settings: Any) -> LocalModel:
    model = build_model(choice, settings)
    assert isinstance(model, LocalModel)
    return model
