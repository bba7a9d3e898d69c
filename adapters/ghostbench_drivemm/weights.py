"""Weights from safetensors files straight into device memory, each checked for finiteness on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from ghostbench_drivemm.checkpoint import Checkpoint, TensorEntry
from ghostbench_drivemm.config import CheckpointError

_TORCH_DTYPE = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
_STAGING_BYTES = 32 << 20
_READERS = 4


def read_tensors(checkpoint: Checkpoint, *, dtype: torch.dtype, device: torch.device) -> dict[str, torch.Tensor]:
    """All tensors of the checkpoint on the device in `dtype`; stored and load types may differ.

    Host memory holds two staging buffers of 32 MiB a reading thread and never a whole tensor when the device is
    a GPU; on the CPU a tensor is read where it stays. Finiteness is checked on the device after conversion, with one
    synchronisation at the end.

    Raises
    ------
    CheckpointError
        A file ends early, or a tensor holds a value that is not finite (in the file, or after conversion).
    """
    entries = sorted(checkpoint.tensors.values(), key=lambda entry: (entry.file, entry.start))
    finite = torch.ones(len(entries), dtype=torch.bool, device=device)
    with _opened(checkpoint.folder, checkpoint.weight_files) as descriptors, torch.no_grad():
        reader = _read_to_gpu if device.type == "cuda" else _read_to_cpu
        tensors = reader(entries, descriptors, dtype, device, finite)
    _require_finite(entries, finite.cpu().tolist(), dtype)
    return {entry.name: tensor for entry, tensor in zip(entries, tensors, strict=True)}


@contextmanager
def _opened(folder: Path, files: tuple[str, ...]) -> Iterator[dict[str, int]]:
    descriptors: dict[str, int] = {}
    try:
        for file in files:
            descriptors[file] = os.open(folder / file, os.O_RDONLY)
        yield descriptors
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _read_to_cpu(
    entries: list[TensorEntry],
    descriptors: Mapping[str, int],
    dtype: torch.dtype,
    device: torch.device,
    finite: torch.Tensor,
) -> list[torch.Tensor]:
    tensors = []
    for place, entry in enumerate(entries):
        raw = torch.empty(entry.end - entry.start, dtype=torch.uint8, device=device)
        _fill(descriptors[entry.file], raw.numpy().data, entry.start, entry)
        tensor = raw.view(_TORCH_DTYPE[entry.dtype]).reshape(entry.shape).to(dtype)
        finite[place] = is_finite(tensor)
        tensors.append(tensor)
    return tensors


def _read_to_gpu(
    entries: list[TensorEntry],
    descriptors: Mapping[str, int],
    dtype: torch.dtype,
    device: torch.device,
    finite: torch.Tensor,
) -> list[torch.Tensor]:
    """Several threads, because one thread's reads leave both the disk and the bus idle half of the time."""
    lanes = [_Lane(device) for _ in range(_READERS)]
    free = list(lanes)

    def read(place: int) -> torch.Tensor:
        lane = free.pop()
        try:
            entry = entries[place]
            tensor = lane.read(entry, descriptors[entry.file], dtype)
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

    def read(self, entry: TensorEntry, descriptor: int, dtype: torch.dtype) -> torch.Tensor:
        size = entry.end - entry.start
        with torch.cuda.stream(self.stream):
            raw = torch.empty(size, dtype=torch.uint8, device=self.device)
            for offset in range(0, size, _STAGING_BYTES):
                self._turn ^= 1
                buffer, copied = self._buffers[self._turn], self._copied[self._turn]
                copied.synchronize()
                part = buffer[: min(_STAGING_BYTES, size - offset)]
                _fill(descriptor, part.numpy().data, entry.start + offset, entry)
                raw[offset : offset + part.numel()].copy_(part, non_blocking=True)
                copied.record(self.stream)
            return raw.view(_TORCH_DTYPE[entry.dtype]).reshape(entry.shape).to(dtype)


def _fill(descriptor: int, buffer: memoryview, offset: int, entry: TensorEntry) -> None:
    done = 0
    while done < len(buffer):
        count = os.preadv(descriptor, [buffer[done:]], offset + done)
        if count == 0:
            raise CheckpointError(f"{entry.file} ends inside tensor {entry.name}; download it again")
        done += count


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
