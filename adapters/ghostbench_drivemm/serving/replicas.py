"""One loaded model a device, each with its engine; a batch takes whichever is free."""

from __future__ import annotations

import gc
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from ghostbench_drivemm.engine import engine_of
from ghostbench_drivemm.engine.device import on_device
from ghostbench_drivemm.network.model import DriveMM
from ghostbench_local import memory

Result = TypeVar("Result")
Load = Callable[[str, str], DriveMM]
"""Loads the model for a dtype and a device, both by name."""


_MOST_ROWS = 128
_WORKING_BYTES = 4 << 30
"""Activations of a prefill of several clips, logits, workspaces: 1.8 GiB were seen beside weights and cache."""


class Replica:
    """A model on one device, and in other types on the same device when a fallback level asks for one.

    most_rows : by type, no batch larger than this, learnt from running out of memory; empty as long as it has not.
    """

    def __init__(self, device: str, load: Load) -> None:
        self.device = torch.device(device)
        self.most_rows: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, f"replica {device}")
        self._name = device
        self._load = load
        self._models: dict[str, DriveMM] = {}

    def model(self, dtype: str) -> DriveMM:
        """The model in this type, loaded at the first call; other types' caches are given back before."""
        if dtype not in self._models:
            self.release()
            self._models[dtype] = self._load(dtype, self._name)
        return self._models[dtype]

    def run(self, work: Callable[[], Result]) -> Result:
        """Do some work on the device, in the replica's own thread, to which cuDNN's plans belong."""

        def there() -> Result:
            with on_device(self.device):
                return work()

        return self._thread.submit(there).result()

    def release(self) -> None:
        """Give back every cache, not the weights."""
        for model in self._models.values():
            engine_of(model).release()
            model.forget()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def rows(self, dtype: str, positions: int, fraction: float) -> int:
        """How many prompts and answers of so many positions fit beside the weights; 4 on a CPU."""
        if self.device.type != "cuda":
            return 4
        engine = engine_of(self.model(dtype))
        working = _WORKING_BYTES * (2 if dtype == "float32" else 1)
        cached = engine.held_bytes() - engine.still_to_come_bytes()
        row = engine.cache_bytes(1, positions)
        fit = memory.rows_that_fit(self.device, fraction, row, working - cached)
        return min(_MOST_ROWS, fit if fit < 16 else fit // 16 * 16)

    def close(self) -> None:
        """Give everything back."""
        self._thread.shutdown()
        self.release()
        self._models.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class Replicas:
    """The replicas of one adapter."""

    def __init__(self, devices: Sequence[str], load: Load) -> None:
        self.all = [Replica(device, load) for device in devices]
        self._free: queue.SimpleQueue[Replica] = queue.SimpleQueue()
        for replica in self.all:
            self._free.put(replica)

    def load(self, dtype: str) -> float:
        """Load the model on every device at once; seconds it took."""
        started = time.perf_counter()
        with ThreadPoolExecutor(len(self.all)) as threads:
            list(threads.map(lambda replica: replica.run(lambda: replica.model(dtype)), self.all))
        return time.perf_counter() - started

    @contextmanager
    def one(self) -> Iterator[Replica]:
        """A replica for the caller alone; waits until one is free."""
        replica = self._free.get()
        try:
            yield replica
        finally:
            self._free.put(replica)

    def close(self) -> None:
        """Give all memory back."""
        for replica in self.all:
            replica.close()
