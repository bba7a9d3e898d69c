"""Registers `drivemm`. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench import ModelSpec, hookimpl
from ghostbench_drivemm.settings import DriveMMSettings


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register `drivemm`."""
    register(
        ModelSpec(
            name="drivemm",
            load="ghostbench_drivemm.adapter:DriveMMModel",
            kind="local",
            summary="DriveMM (SigLIP + Llama 3.1 8B) on this machine's GPUs",
            settings=DriveMMSettings,
            extra="ghostbench[drivemm]",
            requires=("torch", "transformers", "safetensors", "tokenizers", "huggingface_hub", "llguidance", "pynvml"),
        )
    )
