"""Canaries: made-up secrets, put where an adapter looks for its own, and looked for in everything it lets out."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import logging
import os
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ghostbench.records import Reply

GENERAL = "GHOSTBENCH_CONFORMANCE_API_KEY"
"""A variable that nobody reads; it is found where an adapter writes down its whole environment."""


@contextlib.contextmanager
def planted(variables: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yields {variable: canary} with each of them, and `GENERAL`, set in the environment until the end."""
    canaries = {name: f"canary-{uuid.uuid4().hex}" for name in (*variables, GENERAL)}
    before = {name: os.environ.get(name) for name in canaries}
    os.environ.update(canaries)
    try:
        yield canaries
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class LogBook(logging.Handler):
    """Everything that is logged while it is attached, whatever the level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, and the traceback if there is one."""
        self.lines.append(self.format(record))


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Yields the lines that are logged, down to DEBUG."""
    book, root = LogBook(), logging.getLogger()
    level = root.level
    root.addHandler(book)
    root.setLevel(logging.DEBUG)
    try:
        yield book.lines
    finally:
        root.setLevel(level)
        root.removeHandler(book)


def written(result: object) -> str:
    """A result as records and tracebacks would show it: all fields of a reply, message and chain of an error."""
    if isinstance(result, Reply):
        return json.dumps(dataclasses.asdict(result), default=str)
    if isinstance(result, BaseException):
        reply = getattr(result, "reply", None)
        return "".join(traceback.format_exception(result)) + (written(reply) if reply is not None else "")
    return repr(result)


def leaks(canaries: Mapping[str, str], texts: Mapping[str, Any]) -> list[str]:
    """Where a canary shows, as "VARIABLE in place"; plain, or in base64 as some headers hold it."""
    found = []
    for place, text in texts.items():
        shown = text if isinstance(text, str) else json.dumps(text, default=str)
        for variable, canary in canaries.items():
            encoded = base64.b64encode(canary.encode()).decode().rstrip("=")[:-1]
            if canary in shown or encoded in shown:
                found.append(f"{variable} in {place}")
    return found
