"""Lines for the run's log that libraries say in a worker."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from ghostbench.folder.log import about
from ghostbench.running.rules.replies import in_words

_LONGEST = 10_000
"""The most characters of a line that are passed on."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the run's log. at : seconds since the epoch."""

    logger: str
    level: int
    message: str
    at: float
    thread: str | None


class SayingSo(logging.Handler):
    """Passes on what libraries warn of."""

    def __init__(self, pass_on: Callable[[Said], None]) -> None:
        super().__init__(logging.WARNING)
        self._pass_on = pass_on

    @override
    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            message = record.getMessage()
            if record.exc_info is not None and record.exc_info[1] is not None:
                message = f"{message}: {in_words(record.exc_info[1])}"
            self._pass_on(Said(record.name, record.levelno, message[:_LONGEST], record.created, record.threadName))


def into_the_log(worker: str, said: Said) -> None:
    """Have a line of a worker stand in the run's log, as it would had it been said here."""
    line = {"name": said.logger, "levelno": said.level, "levelname": logging.getLevelName(said.level)}
    line |= {"msg": "%s", "args": (said.message,), "created": said.at}
    line |= {"processName": f"worker {worker}", "threadName": said.thread}
    with about(worker):
        logging.getLogger(said.logger).handle(logging.makeLogRecord(line))
