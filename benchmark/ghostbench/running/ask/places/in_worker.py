"""A local model in a worker of its own, wherever that is: what the model does there costs what it was at, and no more.

The worker is started anew when it is gone. How it ended is told in the words of whoever watches over it.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed, Unavailable, WorkerLost
from ghostbench.models import LocalModel
from ghostbench.records import Request
from ghostbench.running.ask.places.looking import Seen
from ghostbench.running.ask.places.place import Answered, Place, Prepared, ToPrepare
from ghostbench.running.ask.places.worker_model import Kept
from ghostbench.running.rules.replies import in_words

MOST_LOADS = 3
"""How often a model is started before it is said that it cannot be loaded."""
_CLOSING_S = 30.0
"""How long a model may take to close, seconds."""
_LOOK_S = 0.1
"""How often who closes a model looks whether it is being loaded, seconds."""


class Gone(Exception):
    """The worker is gone. The message says how it ended."""


class _EndedFromHere(Exception):
    """The worker was ended by this side while it was started. The message says how."""


class Worker(ABC):
    """One worker, as the run sees it. name : for the ledger. batch_size : what the model said last."""

    name: str
    batch_size: int = 1

    @property
    @abstractmethod
    def gone(self) -> bool:
        """Whether it has ended, as far as is known."""

    @property
    @abstractmethod
    def was_ended(self) -> bool:
        """Whether it is this side that ended it."""

    @abstractmethod
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        """Send a call for its model; its number, and what will come back. Raises `Gone`, as the future does."""

    @abstractmethod
    def end(self, how: str) -> None:
        """End it at once. how : in words, what became of it."""


@dataclass(frozen=True, slots=True)
class _Held:
    """In place of what a model prepared: it is in this worker, under this number."""

    worker: Worker
    number: int


class InWorker(Place):
    """A replica of a local model in a worker, started anew when that is lost.

    name : of the worker, for the ledger. start : starts one, with whether it is in
    place of a lost one; raises `Unavailable`. decodes : whether it comes by frames
    itself, which is work that can be done ahead. room_s : how long starting one in place of a lost one may wait for
    room, seconds.

    That it cannot be started any more is final: it is not tried again for each call.
    """

    def __init__(
        self,
        model: LocalModel,
        name: str,
        start: Callable[[bool], Worker],
        *,
        decodes: bool = False,
        room_s: float = 0.0,
    ) -> None:
        self._prepares = decodes or type(model).prepare is not LocalModel.prepare
        self._warms_up = type(model).warm_up is not LocalModel.warm_up
        self.worker = name
        self._start = start
        self._room_s = room_s
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._closed = self._loaded = self._starting = False
        self._parallel = 1
        self._facts: Mapping[str, Any] = {}
        self._added: Mapping[str, Any] = {}
        self._warm: Worker | None = None
        self._failure: AttemptError | None = None

    @property
    @override
    def prepares(self) -> bool:
        return self._prepares

    @property
    @override
    def batch_size(self) -> int:
        worker = self._worker
        return max(1, worker.batch_size) if worker is not None else 1

    @property
    @override
    def parallel_batches(self) -> int:
        return self._parallel

    @override
    def load(self) -> Mapping[str, Any]:
        self._ready()
        return self._facts

    @property
    @override
    def warms_up(self) -> bool:
        return self._warms_up

    @override
    def warm_up(self) -> Mapping[str, Any]:
        worker = self._ready()
        if worker is self._warm:
            return self._added
        try:
            self._added = _warmed_up(worker)
        except Gone as gone:
            if worker.was_ended:
                raise Unavailable(f"its worker {gone} while it was warmed up") from None
            # The one that is started in its place is warmed up as it is loaded.
            self._ready()
        return self._added

    @property
    @override
    def gone(self) -> bool:
        if not self._loaded or self._closed or self._failure is not None:
            return False
        # A new worker that has not loaded the model yet would have a call wait for that.
        return self._starting or not self.can_be_asked

    @property
    @override
    def room_s(self) -> float:
        return self._room_s

    @override
    def load_anew(self) -> None:
        with contextlib.suppress(AttemptError):
            self._ready()

    @override
    def prepare(self, request: Request) -> Prepared:
        try:
            worker = self._ready()
        except AttemptError as error:
            return Prepared(None, error, 0.0, stops=not isinstance(error, WorkerLost))
        try:
            started = time.perf_counter()
            number, waiting = worker.ask("prepare", request)
            done: Prepared = waiting.result()
        except Gone as gone:
            return Prepared(None, _lost(gone), 0.0, worker=worker.name, lost=True)
        except Exception as error:  # noqa: BLE001 - what cannot be pickled
            return Prepared(None, _unsendable(error), 0.0)
        value = _Held(worker, number) if done.failure is None else None
        return replace(done, value=value, worker=worker.name, seconds=_within(done.seconds, started))

    @override
    def answer(self, requests: Sequence[Request]) -> Answered:
        none = [()] * len(requests)
        try:
            worker = self._ready()
        except AttemptError as error:
            return Answered([error] * len(requests), 0.0, none, stops=not isinstance(error, WorkerLost))
        try:
            started = time.perf_counter()
            _, waiting = worker.ask("answer", [_for(worker, request) for request in requests])
            answered: Answered = waiting.result()
        except Gone as gone:
            return Answered([_lost(gone)] * len(requests), 0.0, none, worker=worker.name, lost=True)
        except Exception as error:  # noqa: BLE001 - what cannot be pickled
            return Answered([_unsendable(error)] * len(requests), 0.0, none)
        return replace(answered, worker=worker.name, seconds=_within(answered.seconds, started))

    @property
    def can_be_asked(self) -> bool:
        """Whether its worker is there, as far as is known."""
        return self._failure is None and self._worker is not None and not self._worker.gone

    def look(self, given: Any, deadline_s: float = math.inf) -> Any:
        """What the worker's model says of a clip (`Wanted`) or of one question about it (`Recipe`).

        deadline_s : how long this may take, and before it the start of a new worker; then the worker is ended.

        Raises `Gone`, and `AttemptError` where there is no worker any more.
        """
        try:
            worker = self._ready(deadline_s)
        except WorkerLost as lost:
            raise Unavailable(str(lost)) from None
        started = time.perf_counter()
        found = _in_time(worker, worker.ask("look", given)[1], deadline_s)
        return replace(found, seconds=_within(found.seconds, started)) if isinstance(found, Seen) else found

    @override
    def forget(self, value: Any) -> None:
        if isinstance(value, _Held):
            with contextlib.suppress(Gone):
                value.worker.ask("forget", value.number)

    @override
    def end_work(self, how: str) -> bool:
        worker = self._worker
        if worker is not None:
            worker.end(how)
        return True

    @override
    def close(self) -> None:
        self._closed = True  # first: who is loading the model has the lock, and may keep it for long
        while not self._lock.acquire(timeout=_LOOK_S):
            if self._starting:
                # Who starts a worker now looks once it is there, and ends it.
                self.end_work("was closed")
                return
        worker, self._worker = self._worker, None
        self._lock.release()
        if worker is not None:
            with contextlib.suppress(Gone, TimeoutError):
                worker.ask("close", None)[1].result(_CLOSING_S)
            worker.end("was closed")

    def _ready(self, deadline_s: float = math.inf) -> Worker:
        """The worker, with the model loaded; a new one where the last is gone. Raises `AttemptError`."""
        with self._lock:
            if self._closed:
                raise Unavailable("the model has been closed")
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._worker is not None and not self._worker.gone:
                return self._worker
            self._starting = True
            try:
                return self._started(deadline_s)
            except _EndedFromHere as ended:
                # It was ended for the sake of one call, which may have come late: the next one tries again.
                raise WorkerLost(f"its worker {ended} while it was loaded") from None
            except AttemptError as error:
                self._failure = error
                raise
            finally:
                self._starting = False

    def _started(self, deadline_s: float) -> Worker:
        """A new worker, with the same model loaded. Raises `AttemptError`, `_EndedFromHere`."""
        how = ""
        for _ in range(MOST_LOADS):
            self._worker = worker = self._start(self._loaded)
            if self._closed:
                worker.end("was closed")
                raise _EndedFromHere("was closed")
            try:
                loaded = _in_time(worker, worker.ask("load", None)[1], deadline_s)
                if self._loaded and self._warms_up and not isinstance(loaded, AttemptError):
                    self._added, self._warm = _warmed_up(worker, deadline_s), worker
            except Gone as gone:
                how = str(gone)
                if worker.was_ended:
                    raise _EndedFromHere(how) from None
                continue
            except AttemptError:
                worker.end("was closed")
                raise
            if isinstance(loaded, AttemptError):
                worker.end("was closed")
                raise loaded
            facts, parallel = loaded
            if self._loaded and _files(facts) != _files(self._facts):
                worker.end("was closed")
                raise Unavailable("started anew, its worker loaded the model from other files than before")
            self._facts, self._parallel = facts, parallel
            self._loaded = True
            return worker
        raise Unavailable(f"its worker {how} while it was loaded, after {MOST_LOADS} tries at most")


def _warmed_up(worker: Worker, deadline_s: float = math.inf) -> Mapping[str, Any]:
    """The facts that warming up adds; the worker is ended at the deadline alone, since it may be preparing requests.

    Raises `AttemptError` and `Gone`.
    """
    said = _in_time(worker, worker.ask("warm up", None)[1], deadline_s)
    if isinstance(said, AttemptError):
        raise said
    facts: Mapping[str, Any] = said
    return facts


def _in_time(worker: Worker, waiting: Future[Any], deadline_s: float) -> Any:
    """What comes back from the worker, which is ended at the deadline. Raises `Gone`."""
    try:
        return waiting.result(min(deadline_s, threading.TIMEOUT_MAX))
    except TimeoutError:
        how = f"did not answer within the deadline of {deadline_s:g} s and was ended"
        worker.end(how)
        raise Gone(how) from None


def _within(seconds: float, started: float) -> float:
    """What a worker says that a call took, held to what it can have taken: its clock is in a stranger's hands."""
    return min(max(0.0, seconds), max(0.0, time.perf_counter() - started))


def _files(facts: Any) -> Any:
    """The files that a model tells it was loaded from."""
    return facts.get("files") if isinstance(facts, Mapping) else None


def _for(worker: Worker, request: Request) -> Request | Kept:
    """The request as this worker is to get it: by its number where the worker has prepared it."""
    held = request.prepared
    if not isinstance(held, _Held):
        return request
    return Kept(held.number) if held.worker is worker else replace(request, prepared=ToPrepare)


def _lost(gone: Gone) -> WorkerLost:
    return WorkerLost(f"the worker {gone} while this was computed")


def _unsendable(error: Exception) -> Crashed:
    return Crashed(f"the request cannot be handed to the worker: {in_words(error)}")
