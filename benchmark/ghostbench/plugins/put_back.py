"""What of this process a plugin changes by being imported, put back: it is every command's, and no plugin's.

Research code moves into its own folder, takes the recursion limit away, or gives all sockets a time limit, and means a
script of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # removed meanwhile
        return None


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _time_limit() -> float | None:
    # Who has not imported it has changed nothing of it.
    return sys.modules["socket"].getdefaulttimeout() if "socket" in sys.modules else None


def _limit_time(seconds: float | None) -> None:
    sys.modules["socket"].setdefaulttimeout(seconds)


_STATES: Final[tuple[tuple[str, Callable[[], Any], Callable[[Any], object]], ...]] = (
    ("the working directory", _folder, os.chdir),
    ("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    ("the mode of new files", _umask, os.umask),
    ("the time limit of sockets", _time_limit, _limit_time),
)
"""What it is, in words; how it is read; how it is set."""


@contextlib.contextmanager
def put_back() -> Iterator[list[str]]:
    """For the length of a `with` that runs a stranger's code: at its end all is as it was. Yields a list, which then
    holds what had been changed, in words."""
    changed: list[str] = []
    before = [read() for _, read, _ in _STATES]
    try:
        yield changed
    finally:
        for (words, read, write), was in zip(_STATES, before, strict=True):
            if was != read():
                changed.append(words)
                with contextlib.suppress(OSError):
                    write(was)
