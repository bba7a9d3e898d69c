"""float8 (e4m3) with a scale for each row: what the products of `drivemm:fp8` are computed in.

A row's scale takes its largest magnitude to the largest that e4m3 holds, 448; each value is divided by it in float32
and rounded to nearest even. Sums are made in float32 and multiplied by both scales; the result is rounded to bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import ScalingType, scaled_mm

FLOAT8 = torch.float8_e4m3fn
LARGEST = 448.0
"""The largest finite value of e4m3."""
SMALLEST_ROW = 1e-12
"""A row with no larger magnitude is scaled as if it had this one: all its values are 0 then, or as good as."""
MULTIPLE = 16
"""On a GPU both sides of a float8 matrix must be multiples of this."""


class Rounded(NamedTuple):
    """Rows in float8: values [rows, width] of e4m3, and scales [rows, 1] in float32 to multiply them by.

    A row with a value that is not finite has a scale that is not finite.
    """

    values: Tensor
    scales: Tensor

    def part(self, start: int, stop: int) -> Rounded:
        """A view of some of the rows."""
        return Rounded(self.values[start:stop], self.scales[start:stop])


def rounded(x: Tensor) -> Rounded:
    """The rows of x [rows, width] in float8; the specification of the kernel of that name."""
    wide = x.float()
    # Dividing by a tensor is a true division on every device; by a Python number CUDA multiplies by the reciprocal.
    largest = torch.full((), LARGEST, dtype=torch.float32, device=x.device)
    scales = wide.abs().amax(-1, keepdim=True).clamp_min(SMALLEST_ROW) / largest
    return Rounded((wide / scales).to(FLOAT8), scales)


def scaled_product(x: Rounded, weight: Rounded) -> Tensor:
    """x [tokens, inputs] times weight [outputs, inputs], transposed: [tokens, outputs] in bfloat16."""
    return scaled_mm(
        x.values,
        weight.values.t(),
        x.scales,
        ScalingType.RowWise,
        weight.scales.t(),
        ScalingType.RowWise,
        output_dtype=torch.bfloat16,
    )


class ScaledLinear(nn.Module):
    """What a linear layer becomes: float8 rows with a scale for each output, bfloat16 in and out."""

    def __init__(self, weight: Rounded, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.values, requires_grad=False)
        self.scale = nn.Parameter(weight.scales, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] to [..., outputs]."""
        product = scaled_product(rounded(x.reshape(-1, x.shape[-1])), Rounded(self.weight.data, self.scale.data))
        if self.bias is not None:
            product = product + self.bias
        return product.view(*x.shape[:-1], -1)


def runs_on(device: torch.device) -> str | None:
    """None where such products are computed on this device, by trying one; else why not, in one line."""
    row = torch.tensor([[1.0, -3.0, 0.5, 448.0] * (MULTIPLE // 4)], device=device)
    weight = rounded(row.expand(MULTIPLE, MULTIPLE).contiguous())
    try:
        found = scaled_product(rounded(row), weight)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    expected = (row.double() @ row.double().t()).item()
    if not torch.allclose(found.double(), torch.full_like(found, expected, dtype=torch.float64), rtol=2**-8):
        return f"a product came out as {found.flatten()[0].item():g} instead of {expected:g}"
    return None


def round_layers(language_model: Any) -> int:
    """Make the products of a `Llama`'s decoder layers float8 ones, in place.

    Embedding, head and norms stay as they are. What lies below each other in memory stays so, for the engine joins
    queries, keys and values, and gate and up. Returns the number of elements that are float8 now.

    Raises
    ------
    ValueError
        On a GPU, a matrix whose sides are no multiples of 16; nothing is changed then.
    """
    layers = [_groups(layer) for layer in language_model.model.layers]
    for name, part in (own for groups in layers for group in groups for own in group):
        weight = _weight(part.get_submodule(name))
        outputs, inputs = weight.shape
        if weight.is_cuda and (outputs % MULTIPLE or inputs % MULTIPLE):
            raise ValueError(
                f"{name} is a matrix of {outputs} x {inputs}; float8 products need multiples of {MULTIPLE}"
            )
    return sum(_round_group(group) for groups in layers for group in groups)


Group = Sequence[tuple[str, nn.Module]]
"""Linear layers that have their input in common, each by its name in a module."""


def _groups(layer: nn.Module) -> list[Group]:
    attention, mlp = layer.get_submodule("self_attn"), layer.get_submodule("mlp")
    return [
        [(name, attention) for name in ("q_proj", "k_proj", "v_proj")],
        [("o_proj", attention)],
        [(name, mlp) for name in ("gate_proj", "up_proj")],
        [("down_proj", mlp)],
    ]


@torch.no_grad()
def _round_group(group: Group) -> int:
    linears = [part.get_submodule(name) for name, part in group]
    parts = [rounded(_weight(linear)) for linear in linears]
    # Joined by their bytes: not every device copies float8 tensors together.
    values = torch.cat([part.values.view(torch.uint8) for part in parts]).view(FLOAT8)
    whole = Rounded(values, torch.cat([part.scales for part in parts]))
    start = 0
    for (name, part), linear in zip(group, linears, strict=True):
        stop = start + _weight(linear).shape[0]
        bias: Any = linear.bias
        setattr(part, name, ScaledLinear(whole.part(start, stop), None if bias is None else bias.data))
        start = stop
    return values.numel()


def _weight(linear: nn.Module) -> Tensor:
    weight: Any = linear.weight
    found: Tensor = weight.data
    return found
