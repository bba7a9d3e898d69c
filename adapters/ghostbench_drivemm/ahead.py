"""What DriveMM needs before its weights, begun while a run is still planned."""

from __future__ import annotations

import contextlib
import importlib
import threading

from ghostbench_drivemm.settings import DriveMMSettings
from ghostbench_local.ahead import importing_much, open_libraries, wake

_NEEDED = (
    "ghostbench_drivemm.adapter",
    "ghostbench_drivemm.network.model",
    "ghostbench_drivemm.serving.replica",
    "ghostbench_local.answer.forms",
    "ghostbench_local.arithmetic",
)


def begin(settings: DriveMMSettings) -> None:
    """Wake the GPU, and import what loading and the first answers need."""
    wake(settings.device)
    with importing_much():
        if settings.device != "cpu":
            # Beside the imports that follow: hashing needs no interpreter.
            threading.Thread(target=_know_triton, name="triton", daemon=True).start()
        open_libraries()
        importlib.import_module("torch")
        for name in _NEEDED:
            importlib.import_module(name)
        if settings.device != "cpu":
            importlib.import_module("ghostbench_drivemm.engine.kernels")


def _know_triton() -> None:
    """Have Triton digest itself, which it does before it looks for the first kernel among those it has compiled."""
    with contextlib.suppress(Exception):
        from triton.runtime.cache import triton_key

        triton_key()
