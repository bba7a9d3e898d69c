"""A local model in a process of its own: what it does there costs what it was at, and nothing else.

The worker is started anew when it is gone. How it ended is told in the words of the system: which signal, which status.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed, Unavailable, WorkerLost
from ghostbench.models import LocalModel
from ghostbench.records import Request
from ghostbench.running.ask.places.channel import Channel, Closed
from ghostbench.running.ask.places.place import Answered, Place, Prepared
from ghostbench.running.ask.places.worker import Assignment, Kept, Said
from ghostbench.running.rules.endings import how_it_ended
from ghostbench.running.rules.replies import in_words

MOST_LOADS = 3
"""How often a model is started before it is said that it cannot be loaded."""
_ENDING_S = 5.0
"""How long a process may take to be gone once its end of the channel is, seconds."""
_LAST_WORDS_S = 1.0
"""How long what a process said before its end may take to be read, seconds."""
_CLOSING_S = 30.0
"""How long a model may take to close, seconds."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from ghostbench.plugins.installed import forgive_broken_distributions; forgive_broken_distributions(); "
    "from ghostbench.running.ask.places.worker import main; main(int(sys.argv[1]))"
)


@dataclass(frozen=True, slots=True)
class _InWorker:
    """In place of what a model prepared: it is in this worker, under this number."""

    worker: _Worker
    number: int


class _Gone(Exception):
    """The worker is gone. The message says how it ended."""


class InProcess(Place):
    """A local model in a worker process, started anew when that is lost.

    name : of the worker, for the ledger. starter : a thread that lives as long as the run: a worker ends with the
    thread that started it. preparing : how many requests the worker prepares at the same time.
    """

    def __init__(self, model: LocalModel, target: str, name: str, starter: Executor, *, preparing: int) -> None:
        self._prepares = type(model).prepare is not LocalModel.prepare
        path = tuple(sys.path)
        self._assignment = Assignment(target, model.settings, model.argument, path, preparing, os.getpid())
        self.worker = self._name = name
        self._starter = starter
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._closed = False
        self._parallel = 1
        self._facts: Mapping[str, Any] = {}

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

    @override
    def prepare(self, request: Request) -> Prepared:
        try:
            worker = self._ready()
        except AttemptError as error:
            return Prepared(None, error, 0.0)
        try:
            number, waiting = worker.ask("prepare", request)
            done: Prepared = waiting.result()
        except _Gone as gone:
            return Prepared(None, _lost(gone), 0.0, worker=worker.name, lost=True)
        except Exception as error:  # noqa: BLE001 - what cannot be pickled
            return Prepared(None, _unsendable(error), 0.0)
        value = _InWorker(worker, number) if done.failure is None else None
        return replace(done, value=value, worker=worker.name)

    @override
    def answer(self, requests: Sequence[Request]) -> Answered:
        none = [()] * len(requests)
        try:
            worker = self._ready()
        except AttemptError as error:
            return Answered([error] * len(requests), 0.0, none, stops=True)
        try:
            _, waiting = worker.ask("answer", [_for(worker, request) for request in requests])
            answered: Answered = waiting.result()
        except _Gone as gone:
            return Answered([_lost(gone)] * len(requests), 0.0, none, worker=worker.name, lost=True)
        except Exception as error:  # noqa: BLE001 - what cannot be pickled
            return Answered([_unsendable(error)] * len(requests), 0.0, none)
        return replace(answered, worker=worker.name)

    @override
    def end_work(self, how: str) -> bool:
        worker = self._worker
        if worker is not None:
            worker.end(how)
        return True

    @override
    def close(self) -> None:
        with self._lock:
            self._closed = True
            worker, self._worker = self._worker, None
        if worker is not None:
            with contextlib.suppress(_Gone, TimeoutError):
                worker.ask("close", None)[1].result(_CLOSING_S)
            worker.end("was closed")

    def _ready(self) -> _Worker:
        """The worker, with the model loaded; a new one where the last is gone. Raises `AttemptError`."""
        with self._lock:
            if self._worker is not None and not self._worker.gone:
                return self._worker
            if self._closed:
                raise Unavailable("the model has been closed")
            how = ""
            for _ in range(MOST_LOADS):
                self._worker = worker = self._starter.submit(_Worker, self._name, self._assignment).result()
                try:
                    loaded = worker.ask("load", None)[1].result()
                except _Gone as gone:
                    how = str(gone)
                    if worker.was_ended:
                        break
                    continue
                if isinstance(loaded, AttemptError):
                    worker.end("was closed")
                    raise loaded
                self._facts, self._parallel = loaded
                return worker
            raise Unavailable(f"its worker {how} while it was loaded, after {MOST_LOADS} tries at most")


class _Worker:
    """One worker process, and what it is asked."""

    def __init__(self, name: str, assignment: Assignment) -> None:
        self.name = name
        self.batch_size = 1
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._ended: str | None = None
        self._why: str | None = None
        here, there = socket.socketpair()
        with there:
            import json

            words = [sys.executable, "-c", _PROGRAM, str(there.fileno()), json.dumps(assignment.path)]
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()], start_new_session=True
            )
        self._channel = Channel(here)
        self._listener = threading.Thread(target=self._listen, name=f"worker {name}", daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, name=f"end of worker {name}", daemon=True).start()
        try:
            self._channel.send(assignment)
        except Closed:
            pass  # how it ended is told by whoever watches
        except BaseException:
            self.end("got nothing to do")
            raise

    @property
    def gone(self) -> bool:
        """Whether the process has ended, as far as is known."""
        return self._ended is not None

    @property
    def was_ended(self) -> bool:
        """Whether it is this side that ended it."""
        return self._why is not None

    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        """Send a call; its number, and what will come back. Raises `_Gone`, as the future does."""
        waiting: Future[Any] = Future()
        with self._lock:
            if self._ended is not None:
                raise _Gone(self._ended)
            number = next(self._numbers)
            self._waiting[number] = waiting
        try:
            self._channel.send((kind, number, given))
        except Closed:
            pass  # how it ended is told by whoever listens
        except BaseException:
            self._waiting.pop(number, None)
            raise
        return number, waiting

    def end(self, how: str) -> None:
        """Kill the process and what it has started. how : in words, what became of it."""
        self._why = self._why or how
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _listen(self) -> None:
        """Take in what comes back until nothing can come any more."""
        how = "closed its end of the channel"
        try:
            while True:
                number, result, size = self._channel.receive()
                if isinstance(result, Said):
                    _log(self.name, result)
                    continue
                self.batch_size = size
                waiting = self._waiting.pop(number, None)
                if waiting is not None:
                    waiting.set_result(result)
        except Closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_S)
                return
        except Exception as error:  # noqa: BLE001 - what a model's code wrote into the channel may be anything
            how = f"sent what cannot be read ({in_words(error)})"
        self.end(how)

    def _watch(self) -> None:
        """Wait for the end of the process; then let go whoever waits for it."""
        status = self._process.wait()
        # What it has left behind holds the channel open, and the machine's memory.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._listener.join(_LAST_WORDS_S)
        self._channel.close()
        with self._lock:
            self._ended = self._why or how_it_ended(status)
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(_Gone(self._ended))


def _for(worker: _Worker, request: Request) -> Request | Kept:
    """The request as this worker is to get it: by its number where the worker has prepared it."""
    held = request.prepared
    if not isinstance(held, _InWorker):
        return request
    return Kept(held.number) if held.worker is worker else replace(request, prepared=None)


def _log(worker: str, said: Said) -> None:
    """Have a line of a worker stand in the run's log, as it would had it been said here."""
    line = {"name": said.logger, "levelno": said.level, "levelname": logging.getLevelName(said.level)}
    line |= {"msg": "%s", "args": (said.message,), "created": said.at, "row": worker}
    line |= {"processName": f"worker {worker}", "threadName": said.thread}
    logging.getLogger(said.logger).handle(logging.makeLogRecord(line))


def _lost(gone: _Gone) -> WorkerLost:
    return WorkerLost(f"the worker {gone} while this was computed")


def _unsendable(error: Exception) -> Crashed:
    return Crashed(f"the request cannot be handed to the worker: {in_words(error)}")
