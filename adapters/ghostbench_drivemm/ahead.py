"""What DriveMM needs before its weights, begun while a run is still planned."""

from __future__ import annotations

import contextlib
import importlib
import threading
from pathlib import Path

from ghostbench_drivemm.settings import DriveMMSettings
from ghostbench_local.ahead import import_small, import_torch, importing_much, open_libraries, wake

_SMALL = ("numpy", "safetensors", "ghostbench_drivemm.checkpoint.public", "ghostbench_drivemm.input.tokens")
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
        import_small(_SMALL if settings.device == "cpu" else (*_SMALL, "triton"))
        if settings.device != "cpu":
            # Beside the imports that follow: hashing needs no interpreter.
            threading.Thread(target=_know_triton, name="triton", daemon=True).start()
        # Beside the opening of libraries, which needs no interpreter either.
        has_met = threading.Event()
        threading.Thread(target=_know_tokens, args=(settings, has_met), name="tokens", daemon=True).start()
        has_met.wait()
        open_libraries()
        import_torch()
        if settings.device != "cpu":
            threading.Thread(target=_wake_torch, args=(settings.device,), name="wake torch", daemon=True).start()
        for name in _NEEDED:
            importlib.import_module(name)
        if settings.device != "cpu":
            importlib.import_module("ghostbench_drivemm.engine.kernels")


def _wake_torch(device: str) -> None:
    """Have torch look at the device, which it does before it has its first tensor there."""
    with contextlib.suppress(BaseException):
        import torch

        torch.empty(1, device=device)


def _know_triton() -> None:
    """Have Triton digest itself, which it does before it looks for the first kernel among those it has compiled."""
    with contextlib.suppress(BaseException):
        from triton.runtime.cache import triton_key

        triton_key()


def _know_tokens(settings: DriveMMSettings, has_met: threading.Event) -> None:
    """Make the checkpoint's tokens. Whoever loads it meets what is wrong with them, and tells it.

    has_met : set once the system's loader may be busy with others.
    """
    try:
        with contextlib.suppress(BaseException):
            from ghostbench_drivemm.input.tokens import meet_libraries

            meet_libraries()
    finally:
        has_met.set()
    with contextlib.suppress(BaseException):
        from ghostbench_drivemm.checkpoint.public import find_public
        from ghostbench_drivemm.input.tokens import make_ahead

        if settings.checkpoint is not None:
            make_ahead(Path(settings.checkpoint))
        elif (found := find_public(settings.revision)) is not None:
            make_ahead(found.folder)
