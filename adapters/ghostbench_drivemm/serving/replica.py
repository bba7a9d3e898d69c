"""DriveMM on its device: what its engine keeps between batches, and how many clips fit beside it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ghostbench_drivemm.engine import engine_of
from ghostbench_drivemm.network.model import DriveMM
from ghostbench_local import memory
from ghostbench_local.replica import Replica

_MOST_ROWS = 128
_WORKING_BYTES = 4 << 30
"""Activations of a prefill of several clips, logits, workspaces: 1.8 GiB were seen beside weights and cache."""


def replica_on(device: str, load: Callable[[str, str], DriveMM]) -> Replica[DriveMM]:
    """The model on a device. load : loads it for a dtype and a device, both by name."""
    return Replica(device, load, _forget)


def rows_that_fit(device: torch.device, model: Callable[[], DriveMM], positions: int, fraction: float) -> int:
    """How many prompts and answers of so many positions fit beside the weights; 4 on a CPU.

    model : gives the model, whose weights have their places at least.
    """
    if device.type != "cuda":
        return 4
    engine = engine_of(model())
    working = _WORKING_BYTES * (2 if engine.weights.dtype == torch.float32 else 1)
    cached = engine.held_bytes() - engine.still_to_come_bytes()
    row = engine.cache_bytes(1, positions)
    fit = memory.rows_that_fit(device, fraction, row, working - cached)
    return min(_MOST_ROWS, fit if fit < 16 else fit // 16 * 16)


def _forget(model: DriveMM) -> None:
    engine_of(model).release()
    model.forget()
