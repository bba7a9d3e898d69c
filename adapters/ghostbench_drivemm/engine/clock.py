"""Marks on a device's time line, read after the work is done."""

from __future__ import annotations

import time

import torch


class Clock:
    """Takes marks without waiting for the device: CUDA events there, the host's clock elsewhere."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._start = self.mark()

    def mark(self) -> torch.cuda.Event | float:
        """The end of the work submitted so far."""
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between(self, earlier: torch.cuda.Event | float, later: torch.cuda.Event | float) -> float:
        """Seconds from one mark to another; waits for the later one."""
        if isinstance(earlier, float) or isinstance(later, float):
            assert isinstance(earlier, float)
            assert isinstance(later, float)
            return later - earlier
        later.synchronize()
        return float(earlier.elapsed_time(later)) / 1000.0

    def since_start(self, later: torch.cuda.Event | float) -> float:
        """Seconds from the clock's making to a mark."""
        return self.between(self._start, later)

    @staticmethod
    def wait(mark: torch.cuda.Event | float) -> None:
        """Wait until the work before the mark is done."""
        if not isinstance(mark, float):
            mark.synchronize()
