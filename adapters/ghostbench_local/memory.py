"""Device memory of a batch: the allocator's peaks, and the process as the driver sees it."""

from __future__ import annotations

import os

import torch

from ghostbench import Memory

_OUT_OF_MEMORY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
)
"""What is allocated past torch's own allocator fails as a plain `RuntimeError` with one of these."""


def reset(device: torch.device) -> None:
    """Start a batch's peaks."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def read(device: torch.device) -> Memory:
    """The peaks since `reset`; nothing on a CPU."""
    if device.type != "cuda":
        return Memory()
    return Memory(
        peak_allocated_bytes=torch.cuda.max_memory_allocated(device),
        peak_reserved_bytes=torch.cuda.max_memory_reserved(device),
        process_bytes=process_bytes(device),
    )


def process_bytes(device: torch.device) -> int | None:
    """This process's memory on the device by NVML; None where the driver does not tell."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        listed = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        return None
    return next((process.usedGpuMemory for process in listed if process.pid == os.getpid()), None)


def ran_out(error: BaseException) -> bool:
    """Whether this error says that memory ran out: torch's own type, or what CUDA, its libraries or a CPU say."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def rows_that_fit(device: torch.device, fraction: float, row_bytes: int, working_bytes: int) -> int:
    """How many rows of the cache fit beside what is there, >= 1.

    fraction : share of the device's memory that may be used. working_bytes : kept free for activations.
    """
    free, total = torch.cuda.mem_get_info(device)
    pooled = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    usable = free + pooled - (1 - fraction) * total - working_bytes
    return max(1, int(usable // row_bytes))
