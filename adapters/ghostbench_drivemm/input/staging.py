"""Frames on their way to the device, through a few page-locked buffers that are used again and again."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

_BUFFERS = 8
"""More than one prefill's videos, so that the host can fill some while the device takes others."""
_MOST_BYTES = 512 << 20


class Staging:
    """Copies arrays to one device without waiting for it, unless all buffers are still under way.

    Page-locked memory is slow to get, and without a limit the host would fill one buffer for each clip of a batch.
    Not for several threads at once.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._used: deque[tuple[torch.Tensor, Any]] = deque()

    def reserve(self, size: int) -> None:
        """Get all buffers for arrays of so many bytes now: in a first batch the device would wait for each of them."""
        while self._device.type == "cuda" and len(self._used) < _BUFFERS and self._held() + size <= _MOST_BYTES:
            free = torch.cuda.Event()  # type: ignore[no-untyped-call]
            free.record(torch.cuda.current_stream(self._device))
            self._used.append((torch.empty(size, dtype=torch.uint8, pin_memory=True), free))

    def copy(self, array: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The array on the device, same shape."""
        if self._device.type != "cuda":
            return torch.from_numpy(np.array(array)).to(self._device)
        buffer = self._free(array.size)
        staged = buffer[: array.size].view(array.shape)
        np.copyto(staged.numpy(), array)
        copied = staged.to(self._device, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(self._device))
        self._used.append((buffer, done))
        return copied

    def _free(self, size: int) -> torch.Tensor:
        while self._used and (len(self._used) >= _BUFFERS or self._held() + size > _MOST_BYTES):
            buffer, done = self._used.popleft()
            done.synchronize()
            if buffer.numel() >= size:
                return buffer
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def _held(self) -> int:
        return sum(buffer.numel() for buffer, _ in self._used)
