"""Append-only JSON lines that survive a kill: each line is on disk before anyone acts on it.

Lines that arrive while the disk is busy share one write and one fsync; `append` returns after the fsync that covers its
line. A kill can tear the last line only; `recover` cuts a torn line off, and it was never acted upon.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from ghostbench.folder.lines import AttemptLine, Line, as_mapping
from ghostbench.redact import Redactor
from ghostbench.writing import open_to_append, open_to_change

_WORDS = ("raw", "served_model", "system_fingerprint", "server_request_id", "finish_reason")


class DiskFailed(Exception):
    """The ledger could not be written; nothing after that point may count. errno : the system's number for why."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.errno = number


class Ledger:
    """An open append-only file of JSON lines. Use `append` from the event loop that was running at construction."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._path = path
        self.redactor = redactor
        self._loop = asyncio.get_running_loop()
        self._file = open_to_append(path)
        self._queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._failure: DiskFailed | None = None
        self._thread = threading.Thread(target=self._write_all, name=f"ledger {path.name}", daemon=True)
        self._thread.start()

    async def append(self, line: Line) -> None:
        """Write one line; return when it is on disk. Raises `DiskFailed`."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((encode(self._clean(line)).encode("utf-8", "replace") + b"\n", done))
        await done

    def _clean(self, line: Line) -> Line:
        """The line without secrets in the words of others; names and figures are the harness's own."""
        if not isinstance(line, AttemptLine):
            return line
        words = {name: getattr(line, name) for name in _WORDS}
        clean: dict[str, Any] = {n: self.redactor.text(text) for n, text in words.items() if text is not None}
        error = line.error and replace(line.error, message=self.redactor.message(line.error.message))
        return replace(line, error=error, notes=tuple(map(self.redactor.message, line.notes)), **clean)

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()

    def _write_all(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            entries = [entry for entry in batch if entry is not None]
            failure = self._write(b"".join(data for data, _ in entries)) if entries else None
            if entries and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_settle, [done for _, done in entries], failure)
            if len(entries) < len(batch):
                return

    def _write(self, data: bytes) -> DiskFailed | None:
        """Put whole lines on disk; after the first failure nothing more, since what it left may be a torn line."""
        if self._failure is not None:
            return self._failure
        start = None
        try:
            start = os.fstat(self._file.fileno()).st_size
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._failure = DiskFailed(f"cannot write {self._path}: {error.strerror}", error.errno)
            with contextlib.suppress(OSError):
                if start is not None:
                    os.truncate(self._file.fileno(), start)
        return self._failure


def _settle(waiting: list[asyncio.Future[None]], failure: DiskFailed | None) -> None:
    for done in waiting:
        if done.done():
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)


def encode(line: Line) -> str:
    """The line as compact JSON, without the newline."""
    return json.dumps(as_mapping(line), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def recover(path: Path) -> None:
    """Cut off a torn last line. Does nothing to a whole file, or where there is none."""
    if not path.exists():
        return
    with open_to_change(path) as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
