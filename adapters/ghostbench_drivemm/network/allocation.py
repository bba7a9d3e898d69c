"""Memory for weights before they are read: what is joined lies together, and captured graphs can have its addresses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_JOINED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Linear layers of one module whose outputs are computed by one product."""


def allocate(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """Zeros of these shapes by name; tensors of layers that are joined below each other in one allocation.

    They are written when this returns, so that any stream can go on from there.
    """
    made: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        if name in made:
            continue
        names = _joined_with(name, shapes)
        outputs = [shapes[own][0] for own in names]
        whole = torch.zeros((sum(outputs), *shape[1:]), dtype=dtype, device=device)
        made |= zip(names, torch.split(whole, outputs), strict=True)
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    return made


def _joined_with(name: str, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The names of all tensors that this one lies together with, in their order; itself alone where there are none."""
    *path, layer, kind = ["", "", *name.split(".")]
    for group in _JOINED:
        names = [".".join((*path, own, kind))[2:] for own in group]
        if layer in group and all(own in shapes and shapes[own][1:] == shapes[name][1:] for own in names):
            return names
    return [name]
