"""The operations between the matrix products, for the device at hand: Triton on CUDA, plain torch elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from ghostbench_drivemm.engine import reference
from ghostbench_drivemm.engine.float8 import Rounded
from ghostbench_drivemm.engine.lower_right import attend_lower_right
from ghostbench_drivemm.engine.placed import NewTokens

PREFERRED = (
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
)
"""On Hopper, cuDNN's attention is nearly twice as fast for prompts as the default, FlashAttention 2."""


class _AddNorm(Protocol):
    def __call__(self, x: Tensor | None, residual: Tensor, weight: Tensor, eps: float) -> Tensor: ...


class _AddLayerNorm(Protocol):
    def __call__(self, x: Tensor | None, residual: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor: ...


class _RopeStore(Protocol):
    def __call__(
        self, qkv: Tensor, tables: tuple[Tensor, Tensor], position: Tensor, row: Tensor,
        cached: tuple[Tensor, Tensor], into: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor: ...  # fmt: skip


class _AttendNew(Protocol):
    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor, new: NewTokens, scale: float) -> Tensor: ...


class _SiluMul(Protocol):
    def __call__(self, gate_up: Tensor) -> Tensor: ...


class _Rounded(Protocol):
    def __call__(self, x: Tensor) -> Rounded: ...


class _AddNormRounded(Protocol):
    def __call__(self, x: Tensor | None, residual: Tensor, weight: Tensor, eps: float) -> Rounded: ...


class _SiluMulRounded(Protocol):
    def __call__(self, gate_up: Tensor) -> Rounded: ...


class _Choose(Protocol):
    def __call__(self, logits: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, slots=True)
class Operations:
    """One implementation of each function of `reference`."""

    add_rmsnorm: _AddNorm
    add_layernorm: _AddLayerNorm
    rope_store: _RopeStore
    silu_mul: _SiluMul
    attend_new: _AttendNew
    choose: _Choose
    rounded: _Rounded
    add_rmsnorm_rounded: _AddNormRounded
    silu_mul_rounded: _SiluMulRounded


_CHOOSING = threading.Lock()
"""torch keeps its choice of attention for the whole process, and replicas compute in threads of their own."""


@contextmanager
def preferred_attention() -> Iterator[None]:
    """Inside, `scaled_dot_product_attention` takes the first of `PREFERRED` that can compute what it is given."""
    with _CHOOSING, sdpa_kernel(list(PREFERRED), set_priority=True):
        yield


def operations_for(device: torch.device) -> Operations:
    """What this device computes with."""
    if device.type == "cuda":
        from ghostbench_drivemm.engine import float8_kernels, kernels

        home: Any = kernels
        rounding: Any = float8_kernels
    else:
        home = rounding = reference
    return Operations(
        add_rmsnorm=home.add_rmsnorm,
        add_layernorm=home.add_layernorm,
        rope_store=home.rope_store,
        silu_mul=home.silu_mul,
        attend_new=home.attend_new,
        choose=home.choose,
        rounded=rounding.rounded,
        add_rmsnorm_rounded=rounding.add_rmsnorm_rounded,
        silu_mul_rounded=rounding.silu_mul_rounded,
    )


def attend_prompts(
    queries: Tensor, cached: tuple[Tensor, Tensor], rows: Sequence[int], lengths: Sequence[int], scale: float,
    asked: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Causal attention of packed prompts, each over itself alone.

    queries : [sum of asked, heads, head]. cached : a layer's keys and values, whose `rows` hold the prompts' own.
    asked : at the end of each prompt, positions that have queries; None: all of `lengths`.
    Returns [sum of asked, heads * head].
    """
    keys, values = cached
    count, length, first = len(rows), lengths[0], rows[0]
    wanted = lengths if asked is None else asked
    whole = list(wanted) == list(lengths)
    if whole and all(n == length for n in lengths) and list(rows) == list(range(first, first + count)):
        here = slice(first, first + count)
        uniform = queries.view(count, length, *queries.shape[1:])
        return _attend(uniform, keys[here, :, :length], values[here, :, :length], scale)
    pieces, start = [], 0
    for row, n, own in zip(rows, lengths, wanted, strict=True):
        query = queries[None, start : start + own]
        attend = _attend if own == n else _attend_end
        pieces.append(attend(query, keys[None, row, :, :n], values[None, row, :, :n], scale))
        start += own
    return torch.cat(pieces)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """queries [prompts, length, heads, head]; keys and values [prompts, kv_heads, length, head]."""
    prompts, length = queries.shape[:2]
    keys, values, grouped = _for_heads(queries, keys, values)
    with preferred_attention():
        mixed = functional.scaled_dot_product_attention(
            queries.transpose(1, 2), keys, values, is_causal=True, scale=scale, enable_gqa=grouped
        )
    return mixed.transpose(1, 2).reshape(prompts * length, -1)


def _attend_end(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """As `_attend`, but the queries are those of the last positions alone: [prompts, asked, heads, head]."""
    prompts, asked = queries.shape[:2]
    keys, values, grouped = _for_heads(queries, keys, values)
    with preferred_attention():
        mixed = attend_lower_right(queries.transpose(1, 2), keys, values, scale, grouped=grouped)
    return mixed.transpose(1, 2).reshape(prompts * asked, -1)


def _for_heads(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Keys and values as attention wants them for these queries, and whether query heads are grouped over theirs."""
    group = queries.shape[2] // keys.shape[1]
    if group > 1 and (queries.dtype == torch.float32 or not queries.is_cuda):
        # Only the half-precision kernels know grouped heads; elsewhere expanding beats materialising all scores.
        return keys.repeat_interleave(group, 1), values.repeat_interleave(group, 1), False
    return keys, values, group > 1


def head_logits(hidden: Tensor, head: Tensor) -> Tensor:
    """Logits in float32, [rows, vocabulary], accumulated and kept in float32 also where weights are 16-bit."""
    if hidden.is_cuda and hidden.dtype != torch.float32:
        return torch.mm(hidden, head.t(), out_dtype=torch.float32)
    return functional.linear(hidden, head).float()
