"""A worker in a process of its own on this machine.

How it ended is told in the words of the system: which signal, which status.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from typing_extensions import override

from ghostbench.running.ask.places.channel import Channel, Closed
from ghostbench.running.ask.places.in_worker import Gone, Worker
from ghostbench.running.ask.places.said import Said, into_the_log
from ghostbench.running.ask.places.started import Started, start
from ghostbench.running.ask.places.worker_model import Assignment
from ghostbench.running.rules.endings import how_it_ended
from ghostbench.running.rules.replies import in_words

_ENDING_S = 5.0
"""How long a process may take to be gone once its end of the channel is, seconds."""
_LAST_WORDS_S = 1.0
"""How long what a process said before its end may take to be read, seconds."""


class WorkerProcess(Worker):
    """One worker process, and what it is asked. It ends with the thread that starts it.

    environment : what is set in it besides what is set here. started : a process that is there already for that.
    """

    def __init__(
        self,
        name: str,
        assignment: Assignment,
        environment: Mapping[str, str] | None = None,
        started: Started | None = None,
    ) -> None:
        self.name = name
        self.batch_size = 1
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._ended: str | None = None
        self._why: str | None = None
        if started is None:
            started = start(assignment.path, environment, ahead=assignment.ahead, settings=assignment.settings)
        self._process = started.process
        self._channel = Channel(started.end)
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
    @override
    def gone(self) -> bool:
        return self._ended is not None

    @property
    @override
    def was_ended(self) -> bool:
        return self._why is not None

    @override
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        waiting: Future[Any] = Future()
        with self._lock:
            if self._ended is not None:
                raise Gone(self._ended)
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

    @override
    def end(self, how: str) -> None:
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
                    into_the_log(self.name, result)
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
            future.set_exception(Gone(self._ended))
