"""The run's log, `log.jsonl`: what the run does beside asking and answering, and what libraries warn of.

It is Python's own `logging`: lines of the harness from INFO on, of everything else from WARNING on, or from where its
own logger was told to speak, each with the row and the clip that it was about. It is for people who look for the cause
of something; nothing is scored from it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from typing_extensions import override

from ghostbench.folder.lines import AttemptLine
from ghostbench.redact import Redactor
from ghostbench.writing import open_to_append

LOGGER: Final = logging.getLogger("ghostbench")
"""The harness's own logger."""
MOST_BYTES = 2**23
"""How large the file gets; what comes after that is let go."""
_LONGEST = 2000
"""The most characters of a message that are kept."""
_FULL = "the log is full; further lines are left out"

_numbers = itertools.count(1)
_about: ContextVar[int] = ContextVar("ghostbench_about", default=0)
_names: dict[int, tuple[str, str | None]] = {}
"""What the numbers in the context stand for. A clip's id itself must not be where a model's code could look."""


@contextlib.contextmanager
def about(row: str, clip: str | None = None) -> Iterator[None]:
    """Within it, also in tasks and threads that inherit its context, lines of the log are about this row and clip."""
    number = next(_numbers)
    _names[number] = row, clip
    token = _about.set(number)
    try:
        yield
    finally:
        _about.reset(token)
        del _names[number]


@contextlib.contextmanager
def logging_into(path: Path, redactor: Redactor) -> Iterator[None]:
    """For the length of a `with`, lines are added to this file. Raises `BadInput` for a link, and `OSError`."""
    root, level = logging.getLogger(), LOGGER.level
    with open_to_append(path) as file:
        handler = _JsonLines(file, path.stat().st_size, redactor)
        root.addHandler(handler)
        # Were it inherited, a library that sets the root's level would decide what the harness says.
        LOGGER.setLevel(logging.INFO)
        try:
            yield
        finally:
            LOGGER.setLevel(level)
            root.removeHandler(handler)
            handler.close()


def log_failure(line: AttemptLine, action: str) -> None:
    """Log an attempt that gave no answer, and what follows it: only what settles the clip is a warning."""
    level = logging.WARNING if action == "settle" else logging.INFO
    words = f"attempt {line.attempt} at level {line.fallback_level}: {line.outcome}"
    reason = f" ({line.error.type}: {line.error.message})" if line.error is not None else ""
    LOGGER.log(level, "%s", f"{words}{reason}; {action}", extra={"row": line.model, "clip": line.clip})


def _asked_of(name: str) -> int:
    """The level that this logger, or one above it but the root, was told to speak from, as by OPENAI_LOG=debug."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger is not logging.getLogger():
        if logger.level:
            return logger.level
        logger = logger.parent
    return logging.WARNING


class _JsonLines(logging.Handler):
    """Writes each record as a line, without secrets; whatever goes wrong with that is nobody's trouble."""

    def __init__(self, file: IO[bytes], size: int, redactor: Redactor) -> None:
        super().__init__()
        self._file = file
        self._left = MOST_BYTES - size
        self._redactor = redactor

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= min(logging.WARNING, _asked_of(record.name))

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if self._left <= 0:
            return
        with contextlib.suppress(Exception):
            line = self._line(record, self._message(record))
            self._left -= len(line)
            self._file.write(line if self._left > 0 else self._line(record, _FULL))

    def _message(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info is not None and record.exc_info[1] is not None:
            message = f"{message}: {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        clean = self._redactor.message(message)
        return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"

    def _line(self, record: logging.LogRecord, message: str) -> bytes:
        row, clip = _names.get(_about.get(), (None, None))
        if record.name == LOGGER.name:
            # Of others, what they call a row or a clip is their own affair, and may hold anything.
            row, clip = (self._redacted(getattr(record, name, own)) for name, own in (("row", row), ("clip", clip)))
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": self._redactor.message(record.name),
            "row": row,
            "clip": clip,
            "worker": self._redacted(_worker(record)),
            "message": message,
        }
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    def _redacted(self, text: object) -> str | None:
        return self._redactor.message(text) if isinstance(text, str) else None


def _worker(record: logging.LogRecord) -> str | None:
    """The process and the thread that spoke, by name; None for the run's own."""
    names = (record.processName, record.threadName)
    return "/".join(name for name in names if name not in (None, "MainProcess", "MainThread")) or None
