"""The loaded model on its device, in a thread of its own."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")
Loaded = TypeVar("Loaded")


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """Inside, streams, events, graphs and Triton kernels of this thread are this device's, as tensors' own work is."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _nothing(model: object) -> None:
    """A model that keeps nothing between batches."""


class Replica(Generic[Loaded]):
    """A model on one device, and in other types on the same device when a fallback level asks for one.

    load : loads the model for a dtype and a device, both by name. forget : has a model give back what it keeps between
    batches beside its weights.
    most_rows : by type, no batch larger than this, learnt from running out of memory; empty as long as it has not.
    """

    def __init__(
        self, device: str, load: Callable[[str, str], Loaded], forget: Callable[[Loaded], None] = _nothing
    ) -> None:
        self.device = torch.device(device)
        self.most_rows: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, f"replica {device}")
        self._name = device
        self._load, self._forget = load, forget
        self._models: dict[str, Loaded] = {}

    def load(self, dtype: str) -> float:
        """Load the model in this type; seconds it took."""
        started = time.perf_counter()
        self.run(lambda: self.model(dtype))
        return time.perf_counter() - started

    def model(self, dtype: str) -> Loaded:
        """The model in this type, loaded at the first call; other types' caches are given back before."""
        if dtype not in self._models:
            self.release()
            self._models[dtype] = self._load(dtype, self._name)
        return self._models[dtype]

    def unload(self, dtype: str) -> None:
        """Give back the model in this type, weights and all; it is loaded again where it is asked for again."""
        if dtype in self._models:
            self._forget(self._models.pop(dtype))
            self.release()

    def run(self, work: Callable[[], Result]) -> Result:
        """Do some work on the device, in the replica's own thread, to which cuDNN's plans belong."""

        def there() -> Result:
            with on_device(self.device):
                return work()

        return self._thread.submit(there).result()

    def release(self) -> None:
        """Give back every cache, not the weights."""
        for model in self._models.values():
            self._forget(model)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Give everything back."""
        self._thread.shutdown()
        self.release()
        self._models.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
