"""Which GPU a thread computes on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """Inside, streams, events, graphs and Triton kernels of this thread are this device's, as tensors' own work is."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
