"""What decides how numbers are rounded, beside weights and types: libraries, device, threads, the environment."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable
from typing import Any

import torch

_ENVIRONMENT = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DISABLE_ADDMM_CUDA_LT",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
)
"""Variables by which the libraries choose another way of computing a product."""


def arithmetic(device: torch.device) -> dict[str, Any]:
    """The fact `arithmetic` of a model on this device: JSON values."""
    told: dict[str, Any] = {
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "float32_products": torch.get_float32_matmul_precision(),
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    }
    if device.type == "cuda":
        told |= {
            "device": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "driver": _driver(),
        }
    return told


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """The fact `libraries`: versions of those distributions that are installed, by name."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _driver() -> str | None:
    import pynvml

    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None
