"""Where a local model lives, as far as who asks it needs to know; and the plainest such place, a thread."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed
from ghostbench.models import LocalModel
from ghostbench.records import Request
from ghostbench.running.ask.dispatch import as_attempt_error, as_unavailable, close_model, notes_on


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a model made of a request ahead, or why it could not; the seconds that this took; notes on the request.

    worker : who was at it. lost : whether that worker is gone. stops : whether the place can be asked nothing more.
    """

    value: Any
    failure: AttemptError | None
    seconds: float
    notes: tuple[str, ...] = ()
    worker: str | None = None
    lost: bool = False
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model gave for a batch: for each request its result, unread, and notes on it; the seconds that this took.

    worker : who computed it. lost : whether that worker is gone. stops : whether the place can be asked nothing more.
    """

    results: Sequence[object]
    seconds: float
    notes: Sequence[tuple[str, ...]]
    worker: str | None = None
    lost: bool = False
    stops: bool = False


class ToPrepare:
    """In place of what a model made of a request ahead (`Request.prepared`): that is still to be made."""


class Place(ABC):
    """Where one replica of a local model lives. All but the properties may take long and are called from threads."""

    worker: str | None = None
    """The name of the worker that the model lives in; None where it has none of its own."""

    @property
    @abstractmethod
    def prepares(self) -> bool:
        """Whether the model has work that can be done ahead."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """The most requests that the model wants at once; 1 where it fails to tell, so that none waits for ever."""

    @property
    @abstractmethod
    def parallel_batches(self) -> int:
        """How many batches it computes at the same time, >= 1. Known once it is loaded."""

    @abstractmethod
    def load(self) -> Mapping[str, Any]:
        """Load the model; return its facts. Raises `Unavailable`."""

    @property
    def warms_up(self) -> bool:
        """Whether there is more to be done before the first batch."""
        return False

    def warm_up(self) -> Mapping[str, Any]:
        """Do it; return the facts that this adds. Raises `Unavailable`."""
        return {}

    @property
    def gone(self) -> bool:
        """Whether a call would have to load the model anew first, as far as is known."""
        return False

    @property
    def room_s(self) -> float:
        """How long loading the model anew may wait for a machine with room, before it begins; seconds."""
        return 0.0

    def load_anew(self) -> None:
        """Load the model again where it is gone. Raises nothing: the call that follows tells why it could not be."""

    @abstractmethod
    def prepare(self, request: Request) -> Prepared:
        """Have one request prepared. Raises nothing."""

    @abstractmethod
    def answer(self, requests: Sequence[Request]) -> Answered:
        """Have a batch answered; what is `ToPrepare` is prepared first. Raises nothing."""

    @abstractmethod
    def close(self) -> None:
        """Close the model."""

    def forget(self, value: Any) -> None:
        """Let go of what was prepared here (`Prepared.value`): it will not be computed here."""

    def end_work(self, how: str) -> bool:
        """End what the model is at, which has taken too long, so that calls come back; False where that is impossible.

        how : in words, what was done to it.
        """
        return False


class InThread(Place):
    """The model lives in this process: what it does to its process it does to whoever asks it.

    name : of the replica, for the ledger; None for one that is alone.
    """

    def __init__(self, model: LocalModel, name: str | None = None) -> None:
        self._model = model
        self.worker = name

    @property
    @override
    def prepares(self) -> bool:
        return type(self._model).prepare is not LocalModel.prepare

    @property
    @override
    def batch_size(self) -> int:
        try:
            return self._stated_size()
        except Exception:  # noqa: BLE001
            return 1

    @property
    @override
    def parallel_batches(self) -> int:
        return max(1, self._model.parallel_batches)

    @override
    def load(self) -> Mapping[str, Any]:
        # What is no `Exception` must not reach the event loop, and a `StopIteration` would never get there: no future
        # takes it.
        try:
            facts = self._model.load()
            self._stated_size()
        except BaseException as error:  # noqa: BLE001
            raise as_unavailable(error) from None
        return facts

    @property
    @override
    def warms_up(self) -> bool:
        return type(self._model).warm_up is not LocalModel.warm_up

    @override
    def warm_up(self) -> Mapping[str, Any]:
        try:
            facts = self._model.warm_up()
            self._stated_size()
        except BaseException as error:  # noqa: BLE001
            raise as_unavailable(error) from None
        return facts

    def _stated_size(self) -> int:
        """What the model says of its batches. A model that cannot say it once it is loaded is not asked."""
        return max(1, int(self._model.batch_size))

    @override
    def prepare(self, request: Request) -> Prepared:
        value, failure = None, None
        started = time.perf_counter()
        try:
            value = self._model.prepare(request)
        except BaseException as error:  # noqa: BLE001
            failure = as_attempt_error(error)
        return Prepared(value, failure, time.perf_counter() - started, notes_on(request), worker=self.worker)

    @override
    def answer(self, requests: Sequence[Request]) -> Answered:
        results: dict[str, object] = {}
        seconds, notes = 0.0, dict[str, tuple[str, ...]]()
        ready = list[Request]()
        for request in requests:
            if request.prepared is not ToPrepare:
                ready.append(request)
                continue
            done = self.prepare(request)
            seconds += done.seconds
            notes[request.id] = done.notes
            if done.failure is not None:
                results[request.id] = done.failure
            else:
                ready.append(prepared(request, done.value))
        if ready:
            started = time.perf_counter()
            answers, said = self._results(ready)
            seconds += time.perf_counter() - started
            for request, answer in zip(ready, answers, strict=True):
                results[request.id] = answer
                notes[request.id] = (*notes.get(request.id, ()), *notes_on(request), *said)
        return Answered(
            [results[request.id] for request in requests],
            seconds,
            [notes[request.id] for request in requests],
            worker=self.worker,
        )

    def _results(self, requests: Sequence[Request]) -> tuple[Sequence[object], tuple[str, ...]]:
        """What the model gives, and what the ledger is to note of it.

        Where its code fails at a batch, each request is tried by itself: one is at fault. Where it gives too few
        replies or too many, nobody knows whose they are, and all are lost.
        """
        count = len(requests)
        try:
            results: list[object] = list(self._model.answer(requests))
        except BaseException as error:  # noqa: BLE001
            failure = as_attempt_error(error)
            if count == 1 or type(failure) is not Crashed:
                return [failure] * count, ()
            said = f"asked by itself after a batch of {count} had failed: {failure}"
            return [self._results([request])[0][0] for request in requests], (said,)
        if len(results) != count:
            return [Crashed(f"the adapter returned {len(results)} results for {count} requests")] * count, ()
        return results, ()

    @override
    def close(self) -> None:
        close_model(self._model)


def prepared(request: Request, value: Any) -> Request:
    """The request with what was made of it ahead, and frames anew: what was looked at meanwhile need not wait in memory
    with it."""
    frames = request.frames.renewed() if request.frames is not None else None
    return replace(
        request, prepared=value, frames=frames, examples=tuple(example.renewed() for example in request.examples)
    )
