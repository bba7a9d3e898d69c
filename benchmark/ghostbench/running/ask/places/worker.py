"""What runs in a worker process: one local model, asked by the run at the other end of a channel.

The run's end is all that keeps it alive: when that is gone, so is the worker, whatever the model is at.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed, Unavailable
from ghostbench.plugins.registry import load_target
from ghostbench.records import Request
from ghostbench.running.ask.dispatch import as_unavailable
from ghostbench.running.ask.places.channel import Channel, Closed
from ghostbench.running.ask.places.place import Answered, InThread, Prepared
from ghostbench.running.rules.replies import checked, in_words

_LONGEST = 10_000
"""The most characters of a line for the log that are passed on."""
_MORE_LIKELY_KILLED = "500"
"""Where memory runs out, the kernel is to end the worker that wants it, and not the run. From -1000 to 1000."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is to do. target : "package.module:Class". path : where Python looks for modules.

    preparing : how many requests it prepares at the same time. parent : the run's process.
    """

    target: str
    settings: Any
    argument: str | None
    path: tuple[str, ...]
    preparing: int
    parent: int


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the run's log, in place of what comes back for a call. at : seconds since the epoch."""

    logger: str
    level: int
    message: str
    at: float
    thread: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """In place of a request: the worker has it already, prepared, under this number."""

    number: int


def main(number: int) -> None:
    """Serve the run at the other end of this socket until it goes."""
    channel = Channel(socket.socket(fileno=number))
    try:
        assignment = channel.receive()
        _die_with(assignment.parent)
        _serve(channel, assignment)
    except Closed:
        pass
    # What the model's libraries still have to do concerns nobody: threads of theirs may never end.
    os._exit(0)


def _serve(channel: Channel, assignment: Assignment) -> None:
    logging.getLogger().addHandler(_ToTheRun(channel))
    model = _Model(assignment)
    preparing = ThreadPoolExecutor(assignment.preparing, "prepare")
    computing = ThreadPoolExecutor(1, "model")
    kept: dict[int, Request] = {}

    def reply(call: int, result: Any) -> None:
        with contextlib.suppress(Closed):
            channel.send((call, result, model.batch_size))

    def load(call: int) -> None:
        nonlocal computing
        result = model.loaded()
        if not isinstance(result, AttemptError) and result[1] > 1:
            computing = ThreadPoolExecutor(result[1], "model")
        reply(call, result)

    def prepare(call: int, request: Request) -> None:
        done = model.place.prepare(request)
        if done.failure is None:
            kept[call] = _ready(request, done)
        reply(call, replace(done, value=None, failure=_sendable(done.failure)))

    def answer(call: int, requests: Sequence[Request | Kept]) -> None:
        whole = [kept.pop(request.number) if isinstance(request, Kept) else request for request in requests]
        reply(call, _portable(model.answered(whole)))

    def close(call: int) -> None:
        failure = None
        try:
            model.place.close()
        except Exception as error:  # noqa: BLE001 - what closing raises is told, and no more
            failure = in_words(error)
        reply(call, failure)

    while True:
        kind, call, given = channel.receive()
        match kind:
            case "prepare":
                preparing.submit(prepare, call, given)
            case "answer":
                computing.submit(answer, call, given)
            case "load":
                computing.submit(load, call)
            case "close":
                computing.submit(close, call)


class _ToTheRun(logging.Handler):
    """Passes on to the run's log what libraries warn of here."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    @override
    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            message = record.getMessage()
            if record.exc_info is not None and record.exc_info[1] is not None:
                message = f"{message}: {in_words(record.exc_info[1])}"
            said = Said(record.name, record.levelno, message[:_LONGEST], record.created, record.threadName)
            self._channel.send((0, said, 0))


class _Model:
    """The model, constructed when it is loaded: its import may do anything."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.place: InThread
        self.batch_size = 1

    def loaded(self) -> tuple[Any, int] | AttemptError:
        """The model's facts and how many batches it computes at once, or why it cannot be asked."""
        given = self._assignment
        try:
            model = load_target(given.target)(given.settings, given.argument)
            model.check_here()
            self.place = InThread(model)
            facts = self.place.load()
            self.batch_size = self.place.batch_size
            return _plain_facts(facts), self.place.parallel_batches
        except BaseException as error:  # noqa: BLE001 - whatever a stranger's import raises
            failure = _sendable(as_unavailable(error))
            return failure if failure is not None else Unavailable("it cannot be loaded")

    def answered(self, requests: Sequence[Request]) -> Answered:
        """What the model gives. What was not prepared here is prepared first, as it was to be."""
        results: dict[str, object] = {}
        ready, seconds, notes = [], 0.0, dict[str, tuple[str, ...]]()
        for request in requests:
            if not self.place.prepares or request.prepared is not None:
                ready.append(request)
                continue
            done = self.place.prepare(request)
            seconds += done.seconds
            notes[request.id] = done.notes
            if done.failure is not None:
                results[request.id] = done.failure
            else:
                ready.append(_ready(request, done))
        if ready:
            answered = self.place.answer(ready)
            seconds += answered.seconds
            for request, result, noted in zip(ready, answered.results, answered.notes, strict=True):
                results[request.id] = result
                notes[request.id] = (*notes.get(request.id, ()), *noted)
        self.batch_size = self.place.batch_size
        ordered = [results[request.id] for request in requests]
        return Answered(ordered, seconds, [notes.get(request.id, ()) for request in requests])


def _ready(request: Request, done: Prepared) -> Request:
    """The request with what was prepared for it, and frames as they were at first."""
    frames = request.frames.renewed() if request.frames is not None else None
    return replace(request, prepared=done.value, frames=frames)


def _portable(answered: Answered) -> Answered:
    """The same with each result read and held against the contract here, where the model's own classes are."""
    return replace(answered, results=[_sendable(checked(result)) for result in answered.results])


def _sendable(result: Any) -> Any:
    """What comes through to another process; `Crashed` in place of what does not."""
    try:
        pickle.loads(pickle.dumps(result))  # noqa: S301 - this process made it
    except Exception as error:  # noqa: BLE001 - a stranger's class may raise anything
        said = in_words(result) if isinstance(result, BaseException) else type(result).__name__
        return Crashed(f"{said}; it cannot leave the worker: {in_words(error)}")
    return result


def _plain_facts(facts: Any) -> Any:
    """The facts of a model; those that do not come through to another process as their text."""
    try:
        pickle.loads(pickle.dumps(facts))  # noqa: S301 - this process made it
    except Exception:  # noqa: BLE001
        return {str(key): str(value) for key, value in facts.items()} if isinstance(facts, Mapping) else str(facts)
    return facts


def _die_with(parent: int) -> None:
    """Have this process killed when the run is gone, though the model holds on to the interpreter."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_MORE_LIKELY_KILLED, encoding="ascii")
    if sys.platform.startswith("linux"):
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    threading.current_thread().name = "channel"
