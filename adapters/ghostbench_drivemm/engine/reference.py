"""What the engine computes between the matrix products, in plain torch: the specification, and the CPU's code."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ghostbench_drivemm.engine.float8 import Rounded, rounded
from ghostbench_drivemm.engine.placed import NewTokens


def add_rmsnorm(x: Tensor | None, residual: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Add `x` to `residual` in place and return the sum's RMS norm.

    x, residual : [tokens, width]; x None adds nothing. weight : [width].
    """
    if x is not None:
        residual.add_(x)
    wide = residual.float()
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return weight * scaled.to(residual.dtype)


def add_rmsnorm_rounded(x: Tensor | None, residual: Tensor, weight: Tensor, eps: float) -> Rounded:
    """What `add_rmsnorm` gives, in float8."""
    return rounded(add_rmsnorm(x, residual, weight, eps))


def add_layernorm(x: Tensor | None, residual: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Add `x` to `residual` in place and return the sum's layer norm. Shapes as in `add_rmsnorm`."""
    if x is not None:
        residual.add_(x)
    return functional.layer_norm(residual, residual.shape[-1:], weight, bias, eps)


def rope_store(
    qkv: Tensor, tables: tuple[Tensor, Tensor], position: Tensor, row: Tensor, cached: tuple[Tensor, Tensor],
    into: tuple[Tensor, Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """Rotate queries and keys by their positions, store keys and values in the cache, return the queries.

    qkv : [tokens, (heads + 2 kv_heads) * head]. tables : cosines and sines [positions, head / 2] of the model's type.
    position, row : [tokens] int64: where in which row of the cache each token stands; nothing is stored for row -1.
    cached : keys and values of one layer of the cache, [rows, kv_heads, capacity, head].
    into : where to write the queries, [any, heads, head], and at which of its places each token's go, [tokens].
    Returns [tokens, heads, head], or the first of `into`.
    """
    keys, values = cached
    _, kv_heads, _, head = keys.shape
    split = qkv.view(qkv.shape[0], -1, head)
    heads = split.shape[1] - 2 * kv_heads
    cos = tables[0][position.clamp_min(0)][:, None, :]
    sin = tables[1][position.clamp_min(0)][:, None, :]
    left, right = split[:, : heads + kv_heads].chunk(2, dim=-1)
    turned = torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)
    stored = row >= 0
    keys[row[stored], :, position[stored]] = turned[stored, heads:]
    values[row[stored], :, position[stored]] = split[stored, heads + kv_heads :]
    if into is None:
        return turned[:, :heads]
    queries, place = into
    queries[place] = turned[:, :heads]
    return queries


def silu_mul(gate_up: Tensor) -> Tensor:
    """SiLU of the first half of each row times the second half: [tokens, 2 width] -> [tokens, width]."""
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate) * up


def silu_mul_rounded(gate_up: Tensor) -> Rounded:
    """What `silu_mul` gives, in float8."""
    return rounded(silu_mul(gate_up))


def attend_new(queries: Tensor, keys: Tensor, values: Tensor, new: NewTokens, scale: float) -> Tensor:
    """Attention of each new token over its row up to itself; zeros at places that are not in use.

    queries : [tokens, heads, head]. keys, values : [rows, kv_heads, capacity, head], the new tokens' own included,
    never expanded to the query heads.
    """
    tokens, heads, head = queries.shape
    kv_heads, capacity = keys.shape[1], max(1, int(new.position.max()) + 1)
    row = new.row.clamp_min(0)
    keys, values = keys[row, :, :capacity], values[row, :, :capacity]
    grouped = queries.view(tokens, kv_heads, heads // kv_heads, head)
    logits = torch.matmul(grouped.float(), keys.float().transpose(2, 3)) * scale
    seen = torch.arange(capacity, device=keys.device) <= new.position[:, None]
    logits = logits.masked_fill(~seen[:, None, None, :], float("-inf"))
    share = torch.softmax(logits, dim=-1).masked_fill((new.position < 0)[:, None, None, None], 0.0)
    usable = torch.where(seen[:, None, :, None], values.float(), 0.0)
    return torch.matmul(share, usable).to(queries.dtype).view(tokens, heads, head)


def choose(logits: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The most likely allowed token of each row, lowest id first among equals, and whether all logits are finite.

    logits : [rows, vocabulary] float32. mask : [rows, ceil(vocabulary / 32)] int32 bits, lowest first; None allows all.
    """
    finite = torch.isfinite(logits).all(-1)
    allowed = logits.nan_to_num(nan=float("-inf"), posinf=float("inf"), neginf=float("-inf"))
    if mask is not None:
        allowed = allowed.masked_fill(~unpack(mask, logits.shape[1]), float("-inf"))
    return allowed.argmax(-1), finite


def unpack(mask: Tensor, vocabulary: int) -> Tensor:
    """Packed bits [rows, words] int32 as booleans [rows, vocabulary]."""
    bits = torch.arange(32, device=mask.device, dtype=torch.int32)
    return ((mask[:, :, None] >> bits) & 1).bool().flatten(1)[:, :vocabulary]
