"""Weights from safetensors files straight into device memory, each checked for finiteness on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import torch

from ghostbench_drivemm.checkpoint import Checkpoint, TensorEntry
from ghostbench_drivemm.config import CheckpointError

_TORCH_DTYPE = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
_STAGING_BYTES = 16 << 20
_READERS = 4


@contextmanager
def reading(
    checkpoint: Checkpoint, *, dtype: torch.dtype, device: torch.device
) -> Iterator[Callable[[], dict[str, torch.Tensor]]]:
    """`read_tensors` in the background; the value waits for it. Leaving by an exception stops the reading."""
    stop = Event()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="weights") as pool:
        pending = pool.submit(read_tensors, checkpoint, dtype=dtype, device=device, stop=stop)
        try:
            yield pending.result
        finally:
            stop.set()


def read_tensors(
    checkpoint: Checkpoint, *, dtype: torch.dtype, device: torch.device, stop: Event | None = None
) -> dict[str, torch.Tensor]:
    """All tensors of the checkpoint on the device in `dtype`; stored and load types may differ.

    Host memory holds two staging buffers of 16 MiB a reading thread and never a whole tensor when the device is
    a GPU; on the CPU a tensor is read where it stays. Finiteness is checked on the device after conversion, with one
    synchronisation at the end.

    Raises
    ------
    CheckpointError
        A file ends early, or a tensor holds a value that is not finite (in the file, or after conversion).
    """
    source = _Source(checkpoint, stop or Event())
    entries = sorted(checkpoint.tensors.values(), key=lambda entry: (entry.file, entry.start))
    finite = torch.ones(len(entries), dtype=torch.bool, device=device)
    with source, torch.no_grad():
        reader = _read_to_gpu if device.type == "cuda" else _read_to_cpu
        tensors = reader(entries, source, dtype, finite)
    _require_finite(entries, finite.cpu().tolist(), dtype)
    return {entry.name: tensor for entry, tensor in zip(entries, tensors, strict=True)}


class _Source:
    """The open files of a checkpoint; reading stops with an error once `stop` is set."""

    def __init__(self, checkpoint: Checkpoint, stop: Event) -> None:
        self._folder = checkpoint.folder
        self._files = checkpoint.weight_files
        self._stop = stop
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> None:
        for file in self._files:
            self._descriptors[file] = os.open(self._folder / file, os.O_RDONLY)

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def fill(self, buffer: torch.Tensor, entry: TensorEntry, offset: int = 0) -> None:
        """Fill a uint8 tensor in host memory with the bytes of one tensor from `offset` on."""
        if self._stop.is_set():
            raise CheckpointError("the load was stopped")
        view, done = buffer.numpy().data, 0
        while done < len(view):
            count = os.preadv(self._descriptors[entry.file], [view[done:]], entry.start + offset + done)
            if count == 0:
                raise CheckpointError(f"{entry.file} ends inside tensor {entry.name}; download it again")
            done += count


def _read_to_cpu(
    entries: list[TensorEntry], source: _Source, dtype: torch.dtype, finite: torch.Tensor
) -> list[torch.Tensor]:
    tensors = []
    for place, entry in enumerate(entries):
        raw = torch.empty(entry.end - entry.start, dtype=torch.uint8)
        source.fill(raw, entry)
        tensor = raw.view(_TORCH_DTYPE[entry.dtype]).reshape(entry.shape).to(dtype)
        finite[place] = is_finite(tensor)
        tensors.append(tensor)
    return tensors


def _read_to_gpu(
    entries: list[TensorEntry], source: _Source, dtype: torch.dtype, finite: torch.Tensor
) -> list[torch.Tensor]:
    """Several threads, because one thread's reads leave both the disk and the bus idle half of the time."""
    device = finite.device
    free = [_Lane(device) for _ in range(_READERS)]

    def read(place: int) -> torch.Tensor:
        lane = free.pop()
        try:
            tensor = lane.read(entries[place], source, dtype)
            with torch.cuda.stream(lane.stream):
                finite[place] = is_finite(tensor)
            return tensor
        finally:
            free.append(lane)

    torch.cuda.synchronize(device)
    with ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="weights") as pool:
        tensors = list(pool.map(read, range(len(entries))))
    torch.cuda.synchronize(device)
    return tensors


class _Lane:
    """One reading thread's stream and its two page-locked buffers: one is filled while the other is copied."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._buffers = [torch.empty(_STAGING_BYTES, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self._copied = [torch.cuda.Event() for _ in range(2)]  # type: ignore[no-untyped-call]
        self._turn = 0

    def read(self, entry: TensorEntry, source: _Source, dtype: torch.dtype) -> torch.Tensor:
        size = entry.end - entry.start
        with torch.cuda.stream(self.stream):
            raw = torch.empty(size, dtype=torch.uint8, device=self.device)
            for offset in range(0, size, _STAGING_BYTES):
                self._turn ^= 1
                buffer, copied = self._buffers[self._turn], self._copied[self._turn]
                copied.synchronize()
                part = buffer[: min(_STAGING_BYTES, size - offset)]
                source.fill(part, entry, offset)
                raw[offset : offset + part.numel()].copy_(part, non_blocking=True)
                copied.record(self.stream)
            return raw.view(_TORCH_DTYPE[entry.dtype]).reshape(entry.shape).to(dtype)


def is_finite(tensor: torch.Tensor) -> torch.Tensor:
    """Whether every element is finite, as a 0-dimensional bool on the tensor's device (no synchronisation)."""
    # The maximum norm propagates NaN and infinity in one pass without a temporary of the tensor's size.
    largest: torch.Tensor = torch.linalg.vector_norm(tensor, float("inf"))
    return largest.isfinite()


def _require_finite(entries: list[TensorEntry], finite: list[bool], dtype: torch.dtype) -> None:
    bad = [entry for entry, fine in zip(entries, finite, strict=True) if not fine]
    if not bad:
        return
    first, more = bad[0], f" (and {len(bad) - 1} more tensors)" if len(bad) > 1 else ""
    converted = "" if _TORCH_DTYPE[first.dtype] == dtype else f" as {str(dtype).removeprefix('torch.')}"
    raise CheckpointError(f"tensor {first.name} in {first.file} holds values that are not finite{converted}{more}")
