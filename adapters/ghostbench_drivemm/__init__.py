"""DriveMM (LLaVA-NeXT code base: SigLIP, Llama 3.1, `mlp2x_gelu`) in torch.

Nothing heavy is imported until `DriveMM`, `Prepared` or `Trace` is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ghostbench_drivemm.input.prepared import Prepared
    from ghostbench_drivemm.network.model import DriveMM, Trace

__all__ = ["DriveMM", "Prepared", "Trace"]

_HOME = {
    "DriveMM": "ghostbench_drivemm.network.model",
    "Trace": "ghostbench_drivemm.network.model",
    "Prepared": "ghostbench_drivemm.input.prepared",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
