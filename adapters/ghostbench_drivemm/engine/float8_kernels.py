"""Triton kernels that round to float8 what they compute; each has a twin in `reference`.

They round to bfloat16 where the operations in `kernels` do, and then to float8: what is multiplied is the same whether
the two are one kernel or two.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call,misc,attr-defined"

# ruff: noqa: N803, PLR0913, PLR0917

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ghostbench_drivemm.engine.float8 import FLOAT8, LARGEST, SMALLEST_ROW, Rounded


@triton.jit
def _scale_of(value, SMALLEST: tl.constexpr, LARGEST_VALUE: tl.constexpr):
    """The scale of a row in float32; NaN where a value of it is not finite, which a maximum would pass over."""
    largest = tl.maximum(tl.max(tl.abs(value)), SMALLEST)
    strange = tl.sum((value - value != 0.0).to(tl.int32))
    return tl.div_rn(tl.where(strange == 0, largest, float("nan")), LARGEST_VALUE)


@triton.jit
def _rounded(x, out, scales, width, SMALLEST: tl.constexpr, LARGEST_VALUE: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    value = tl.load(x + row * width + columns, inside, 0.0).to(tl.float32)
    scale = _scale_of(value, SMALLEST, LARGEST_VALUE)
    tl.store(out + row * width + columns, tl.div_rn(value, scale).to(out.dtype.element_ty), inside)
    tl.store(scales + row, scale)


def rounded(x: Tensor) -> Rounded:
    """See `float8.rounded`."""
    tokens, width = x.shape
    made = _empty(tokens, width, x.device)
    _rounded[(tokens,)](
        x.contiguous(), *made, width, SMALLEST_ROW, LARGEST, BLOCK=triton.next_power_of_2(width), num_warps=8
    )
    return made


@triton.jit
def _add_rmsnorm_rounded(
    x, residual, weight, out, scales, width, eps, SMALLEST: tl.constexpr, LARGEST_VALUE: tl.constexpr,
    HAS_X: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    kind = residual.dtype.element_ty
    value = tl.load(residual + row * width + columns, inside, 0.0)
    if HAS_X:
        added = tl.load(x + row * width + columns, inside, 0.0)
        value = (value.to(tl.float32) + added.to(tl.float32)).to(kind)
        tl.store(residual + row * width + columns, value, inside)
    value = value.to(tl.float32)
    normed = (value * tl.rsqrt(tl.sum(value * value) / width + eps)).to(kind).to(tl.float32)
    gain = tl.load(weight + columns, inside, 0.0).to(tl.float32)
    normed = (normed * gain).to(kind).to(tl.float32)
    scale = _scale_of(normed, SMALLEST, LARGEST_VALUE)
    tl.store(out + row * width + columns, tl.div_rn(normed, scale).to(out.dtype.element_ty), inside)
    tl.store(scales + row, scale)


def add_rmsnorm_rounded(x: Tensor | None, residual: Tensor, weight: Tensor, eps: float) -> Rounded:
    """See `reference.add_rmsnorm_rounded`."""
    tokens, width = residual.shape
    made = _empty(tokens, width, residual.device)
    _add_rmsnorm_rounded[(tokens,)](
        residual if x is None else x, residual, weight, *made, width, eps, SMALLEST_ROW, LARGEST,
        HAS_X=x is not None, BLOCK=triton.next_power_of_2(width), num_warps=8,
    )  # fmt: skip
    return made


@triton.jit
def _silu_mul_rounded(gate_up, out, scales, width, SMALLEST: tl.constexpr, LARGEST_VALUE: tl.constexpr,
                      BLOCK: tl.constexpr):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    kind = gate_up.dtype.element_ty
    gate = tl.load(gate_up + row * 2 * width + columns, inside, 0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * width + width + columns, inside, 0.0).to(tl.float32)
    active = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    active = (active * up).to(kind).to(tl.float32)
    scale = _scale_of(active, SMALLEST, LARGEST_VALUE)
    tl.store(out + row * width + columns, tl.div_rn(active, scale).to(out.dtype.element_ty), inside)
    tl.store(scales + row, scale)


def silu_mul_rounded(gate_up: Tensor) -> Rounded:
    """See `reference.silu_mul_rounded`."""
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    made = _empty(tokens, width, gate_up.device)
    _silu_mul_rounded[(tokens,)](
        gate_up, *made, width, SMALLEST_ROW, LARGEST, BLOCK=triton.next_power_of_2(width), num_warps=16
    )
    return made


def _empty(rows: int, width: int, device: torch.device) -> Rounded:
    return Rounded(
        torch.empty(rows, width, dtype=FLOAT8, device=device), torch.empty(rows, 1, dtype=torch.float32, device=device)
    )
