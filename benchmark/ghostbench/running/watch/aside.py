"""What models and their libraries print goes into a file of the run while they are loaded and asked.

So it comes neither into the tables or the JSON of the command nor over its progress.

The streams are turned at the level of file descriptors, since much of it is written by compiled code and by processes
of theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ghostbench.folder.printed import cut_printed, open_printed, tidy_printed
from ghostbench.redact import Redactor

if TYPE_CHECKING:
    from rich.console import Console

_LOOK_S = 2.0


@contextlib.contextmanager
def printing_aside(folder: Path, console: Console, redactor: Redactor) -> Iterator[None]:
    """For the length of a `with`, standard output and standard error lead into the file; `console` keeps the latter.

    Does nothing where they are no files. What is in the file at the end has no secrets that the redactor knows.
    """
    try:
        numbers = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        yield
        return
    _flush()
    file = open_printed(folder)
    kept = [os.dup(number) for number in numbers]
    for number in numbers:
        os.dup2(file, number)
    before = console.file
    console.file = _like(sys.stderr, kept[1])
    own_streams = sys.stdout, sys.stderr
    # Streams that may be closed, and taken away, without a loss.
    sys.stdout, sys.stderr = (_like(stream, number) for stream, number in zip(own_streams, numbers, strict=True))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            console.file.flush()
        _flush()
        sys.stdout, sys.stderr = own_streams
        for number, own in zip(numbers, kept, strict=True):
            os.dup2(own, number)
        console.file = before
        for own in (file, *kept):
            os.close(own)
        tidy_printed(folder, redactor)


@contextlib.asynccontextmanager
async def bounded(folder: Path) -> AsyncIterator[None]:
    """For the length of a `with`, keep the file from growing without end."""

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            cut_printed(folder)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()


def _like(stream: object, number: int) -> io.TextIOWrapper:
    """A stream of the same kind on another descriptor, which stays open when the stream goes."""
    kind = type(stream) if isinstance(stream, io.TextIOWrapper) else io.TextIOWrapper
    encoding = getattr(stream, "encoding", None) or "utf-8"
    raw = open(number, "wb", closefd=False)  # noqa: SIM115 - it lives as long as the stream
    return kind(raw, encoding=encoding, errors="replace", line_buffering=True)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
