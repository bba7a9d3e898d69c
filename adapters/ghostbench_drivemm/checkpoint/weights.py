"""Weights from safetensors files straight into device memory, each checked for finiteness on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock
from typing import TypeVar

import torch

from ghostbench_drivemm.checkpoint.inventory import Checkpoint, TensorEntry
from ghostbench_local.checkpoint.errors import CheckpointError

_TORCH_DTYPE = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
_STAGING_BYTES = 16 << 20
_READERS = 4

Result = TypeVar("Result")


class LoadStopped(CheckpointError):
    """The load was given up for a reason that arose elsewhere."""


@contextmanager
def reading(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype,
    device: torch.device,
    places: Mapping[str, torch.Tensor] | None = None,
) -> Iterator[Callable[[], dict[str, torch.Tensor]]]:
    """`read_tensors` in the background; the value waits for it. Leaving by an exception stops the reading."""
    stop = Event()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="weights") as pool:
        pending = pool.submit(read_tensors, checkpoint, dtype=dtype, device=device, places=places, stop=stop)
        try:
            yield pending.result
        finally:
            stop.set()


def read_tensors(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype,
    device: torch.device,
    places: Mapping[str, torch.Tensor] | None = None,
    stop: Event | None = None,
) -> dict[str, torch.Tensor]:
    """All tensors of the checkpoint on the device in `dtype`; stored and load types may differ.

    Host memory holds two staging buffers of 16 MiB a reading thread and never a whole tensor when the device is
    a GPU; on the CPU a tensor is read where it stays. Finiteness is checked on the device after conversion, without
    waiting for it. On a GPU the tensors are those of `places`, where these are given: of the same shapes, in `dtype`,
    and written to by nobody else meanwhile. `stop` ends the reading from outside, and is set by the first fault, which
    ends it too.

    Raises
    ------
    LoadStopped
        `stop` was set from outside.
    CheckpointError
        A file ends early or cannot be read, or a tensor holds a value that is not finite (in the file, or after
        conversion).
    """
    stop = stop or Event()
    source = _Source(checkpoint, stop)
    entries = sorted(checkpoint.tensors.values(), key=lambda entry: (entry.file, entry.start))
    with source, torch.no_grad():
        if device.type == "cuda":
            tensors = _read_to_gpu(entries, source, dtype, device, places or {})
        else:
            tensors = _read_to_cpu(entries, source, dtype)
    return {entry.name: tensor for entry, tensor in zip(entries, tensors, strict=True)}


def side_by_side(count: int, threads: int, work: Callable[[int], Result], stop: Event) -> list[Result]:
    """Results of `work` for 0 … count - 1, in that order, begun in that order on so many threads.

    Once `stop` is set nothing further is begun. The first exception sets it; work that takes long looks at it too, and
    raises `LoadStopped`.

    Raises
    ------
    LoadStopped
        `stop` was set from outside.
    Exception
        What `work` raised; of several, that of the lowest number.
    """
    results: dict[int, Result] = {}
    faults: dict[int, BaseException] = {}
    numbers, turn = iter(range(count)), Lock()

    def run() -> None:
        while not stop.is_set():
            with turn:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = work(number)
            except LoadStopped:
                return
            except BaseException as fault:  # noqa: BLE001 - raised again in the thread that asked
                faults[number] = fault
                stop.set()

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="weights") as pool:
        try:
            for running in [pool.submit(run) for _ in range(threads)]:
                running.result()
        except BaseException:
            stop.set()
            raise
    if faults:
        # The fault's traceback holds this frame, which must not keep gigabytes alive.
        results.clear()
        raise faults[min(faults)]
    if len(results) < count:
        raise LoadStopped("the load was stopped")
    return [results[number] for number in range(count)]


class _Source:
    """The open files of a checkpoint; reading ends with `LoadStopped` once `stop` is set."""

    def __init__(self, checkpoint: Checkpoint, stop: Event) -> None:
        self._folder = checkpoint.folder
        self._files = checkpoint.weight_files
        self.stop = stop
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> None:
        for file in self._files:
            self._descriptors[file] = os.open(self._folder / file, os.O_RDONLY)

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def fill(self, buffer: torch.Tensor, entry: TensorEntry, offset: int = 0) -> None:
        """Fill a uint8 tensor in host memory with the bytes of one tensor from `offset` on."""
        if self.stop.is_set():
            raise LoadStopped("the load was stopped")
        view, done = buffer.numpy().data, 0
        while done < len(view):
            try:
                count = os.preadv(self._descriptors[entry.file], [view[done:]], entry.start + offset + done)
            except OSError as error:
                raise CheckpointError(f"{entry.file} cannot be read: {error.strerror}") from error
            if count == 0:
                raise CheckpointError(f"{entry.file} ends inside tensor {entry.name}; download it again")
            done += count


def _read_to_cpu(entries: list[TensorEntry], source: _Source, dtype: torch.dtype) -> list[torch.Tensor]:
    def read(place: int) -> torch.Tensor:
        entry = entries[place]
        raw = torch.empty(entry.end - entry.start, dtype=torch.uint8)
        source.fill(raw, entry)
        tensor = raw.view(_TORCH_DTYPE[entry.dtype]).reshape(entry.shape).to(dtype)
        if not is_finite(tensor):
            raise _not_finite(entry, dtype)
        return tensor

    return side_by_side(len(entries), 1, read, source.stop)


def _read_to_gpu(
    entries: list[TensorEntry],
    source: _Source,
    dtype: torch.dtype,
    device: torch.device,
    places: Mapping[str, torch.Tensor],
) -> list[torch.Tensor]:
    """Several threads, because one thread's reads leave both the disk and the bus idle half of the time.

    The device as a whole is never waited for: graphs may be captured meanwhile, which that would break.
    """
    lanes: list[_Lane] = []
    free: list[_Lane] = []

    def read(place: int) -> torch.Tensor:
        try:
            lane = free.pop()
        except IndexError:
            # In the thread that needs it, since page-locked memory is slow to get: the first reads while others wait.
            lane = _Lane(device, dtype)
            lanes.append(lane)
        try:
            lane.raise_known_faults()
            entry = entries[place]
            return lane.read(entry, source, places.get(entry.name))
        finally:
            free.append(lane)

    tensors = side_by_side(len(entries), _READERS, read, source.stop)
    for lane in lanes:
        lane.wait()
        lane.raise_known_faults()
    return tensors


class _Lane:
    """One reading thread's stream and its two page-locked buffers: one is filled while the other is copied."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._buffers = [torch.empty(_STAGING_BYTES, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self._copied = [torch.cuda.Event() for _ in range(2)]  # type: ignore[no-untyped-call]
        self._turn = 0
        self._checks: list[tuple[TensorEntry, torch.Tensor, torch.cuda.Event]] = []

    def read(self, entry: TensorEntry, source: _Source, place: torch.Tensor | None = None) -> torch.Tensor:
        """One tensor on the device, converted; its check for finiteness is under way.

        place : where it is to be; None for memory of its own.
        """
        size = entry.end - entry.start
        stored = _TORCH_DTYPE[entry.dtype]
        with torch.cuda.stream(self._stream):
            if place is not None and stored == self._dtype:
                raw = place.flatten().view(torch.uint8)
            else:
                raw = torch.empty(size, dtype=torch.uint8, device=self._device)
            for offset in range(0, size, _STAGING_BYTES):
                self._turn ^= 1
                buffer, copied = self._buffers[self._turn], self._copied[self._turn]
                copied.synchronize()
                part = buffer[: min(_STAGING_BYTES, size - offset)]
                source.fill(part, entry, offset)
                raw[offset : offset + part.numel()].copy_(part, non_blocking=True)
                copied.record(self._stream)
            read = raw.view(stored).reshape(entry.shape)
            if place is None:
                place = read.to(self._dtype)
            elif stored != self._dtype:
                place.copy_(read)
            fine = torch.ones((), dtype=torch.bool, pin_memory=True)
            fine.copy_(is_finite(place), non_blocking=True)
            checked = torch.cuda.Event()  # type: ignore[no-untyped-call]
            checked.record(self._stream)
            self._checks.append((entry, fine, checked))
            return place

    def wait(self) -> None:
        """Wait for all that is under way here."""
        self._stream.synchronize()

    def raise_known_faults(self) -> None:
        """Raise for a tensor that is not finite, among those whose check the device has finished by now."""
        while self._checks and self._checks[0][2].query():  # type: ignore[no-untyped-call]
            entry, fine, _ = self._checks.pop(0)
            if not fine:
                raise _not_finite(entry, self._dtype)


def is_finite(tensor: torch.Tensor) -> torch.Tensor:
    """Whether every element is finite, as a 0-dimensional bool on the tensor's device (no synchronisation)."""
    # The maximum norm propagates NaN and infinity in one pass without a temporary of the tensor's size.
    largest: torch.Tensor = torch.linalg.vector_norm(tensor, float("inf"))
    return largest.isfinite()


def _not_finite(entry: TensorEntry, dtype: torch.dtype) -> CheckpointError:
    converted = "" if _TORCH_DTYPE[entry.dtype] == dtype else f" as {str(dtype).removeprefix('torch.')}"
    return CheckpointError(f"tensor {entry.name} in {entry.file} holds values that are not finite{converted}")
