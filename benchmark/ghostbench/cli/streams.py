"""Standard output and standard error as a shell may hand them over: full, closed, or with a reader that goes away."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import IO

from ghostbench.errors import OutputFailed


class _Output(io.TextIOWrapper):
    """Standard output. Its first failure sends the rest to nowhere.

    That is all when the reader has gone: it has seen what it wanted, and the command ends with its own exit status.
    Any other failure raises `OutputFailed`, and again with every further use: libraries try streams, and swallow what
    that raises.
    """

    _lost: OutputFailed | None = None

    def write(self, text: str, /) -> int:
        if self._lost is not None:
            raise self._lost
        try:
            return super().write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        if self._lost is not None:
            raise self._lost
        try:
            super().flush()
        except OSError as error:
            self._failed(error)

    def let_go(self) -> None:
        """Part from the file. What has failed was told; asked once more, at the end of all, it would be told again."""
        with contextlib.suppress(OutputFailed):
            self.flush()
        self._lost = None
        self.detach()

    def _failed(self, error: OSError) -> None:
        _point_at_nothing(self.fileno())
        if not isinstance(error, BrokenPipeError):
            self._lost = OutputFailed(f"cannot write to the standard output: {error.strerror}")
            raise self._lost from None


class _Errors(io.TextIOWrapper):
    """Standard error. Where it cannot be written, nobody can be told, and nothing else changes."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            _point_at_nothing(self.fileno())
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _point_at_nothing(self.fileno())


@contextlib.contextmanager
def forgiving_streams() -> Iterator[None]:
    """Both streams as above for the length of a `with`; characters that they cannot encode become "?"."""
    before = sys.stdout, sys.stderr
    sys.stdout = _wrapped(_Output, before[0])
    sys.stderr = _wrapped(_Errors, before[1])
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, _Output):
                stream.let_go()
            elif isinstance(stream, _Errors):
                stream.detach()
        sys.stdout, sys.stderr = before


def _wrapped(kind: type[_Output] | type[_Errors], stream: IO[str] | None) -> IO[str]:
    """The stream in its new form; one to nowhere where it is closed; as it is where it is no file."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    try:
        stream.fileno()
    except (OSError, ValueError):
        return stream
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _point_at_nothing(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
