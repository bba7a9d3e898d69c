"""Ctrl-C, SIGTERM and SIGHUP, from the first file that a run writes to the last."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ghostbench.running.watch.guard import SAME_PRESS_S, heard


class StopSignals:
    """Each signal cancels the task named by `cancelling`, while there is one, and raises KeyboardInterrupt otherwise.

    A context manager: what the signals did before is put back at its end. In a thread that is not the main one it hears
    nothing, as Python has it. Signals that come within `SAME_PRESS_S` of one another are one. came : whether one has
    come while there was a task; one that comes as the task ends may be too late to cancel it.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self.came = False
        self._last = -SAME_PRESS_S

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._stop) for number in heard()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def cancelling(self, task: asyncio.Task[Any]) -> Iterator[None]:
        """Cancel this task of the running event loop, as often as a signal comes."""
        self._task = task
        try:
            yield
        finally:
            self._task = None

    def _stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last < SAME_PRESS_S:
            return
        self._last = now
        if self._task is None:
            raise KeyboardInterrupt
        self.came = True
        # By way of the loop's queue: a signal comes between any two steps of the code, and must wake a loop at rest.
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)
