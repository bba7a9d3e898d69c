"""Triton kernels for CUDA: each has a twin in `reference`, which states what it computes.

Roundings to the storage type stand where transformers' Llama has them, so that the fast path differs from the plain one
by the order of sums alone.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call,misc,attr-defined"

# ruff: noqa: N803, PLR0124, PLR0913, PLR0917

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ghostbench_drivemm.engine.placed import NewTokens

SPLIT = 1024
"""Keys that one program of `attend_new` reads. Fixed, so that a row's result does not depend on its batch."""


@triton.jit
def _add_rmsnorm(x, residual, weight, out, width, eps, HAS_X: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    kind = out.dtype.element_ty
    value = tl.load(residual + row * width + columns, inside, 0.0)
    if HAS_X:
        added = tl.load(x + row * width + columns, inside, 0.0)
        value = (value.to(tl.float32) + added.to(tl.float32)).to(kind)
        tl.store(residual + row * width + columns, value, inside)
    value = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value) / width + eps)
    normed = (value * scale).to(kind).to(tl.float32)
    gain = tl.load(weight + columns, inside, 0.0).to(tl.float32)
    tl.store(out + row * width + columns, (normed * gain).to(kind), inside)


def add_rmsnorm(x: Tensor | None, residual: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `reference.add_rmsnorm`."""
    tokens, width = residual.shape
    out = torch.empty_like(residual)
    block = triton.next_power_of_2(width)
    _add_rmsnorm[(tokens,)](
        residual if x is None else x,
        residual,
        weight,
        out,
        width,
        eps,
        HAS_X=x is not None,
        BLOCK=block,
        num_warps=8 if block >= 2048 else 4,
    )
    return out


@triton.jit
def _add_layernorm(x, residual, weight, bias, out, width, eps, HAS_X: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    kind = out.dtype.element_ty
    value = tl.load(residual + row * width + columns, inside, 0.0)
    if HAS_X:
        added = tl.load(x + row * width + columns, inside, 0.0)
        value = (value.to(tl.float32) + added.to(tl.float32)).to(kind)
        tl.store(residual + row * width + columns, value, inside)
    value = value.to(tl.float32)
    mean = tl.sum(value) / width
    apart = tl.where(inside, value - mean, 0.0)
    scale = tl.rsqrt(tl.sum(apart * apart) / width + eps)
    gain = tl.load(weight + columns, inside, 0.0).to(tl.float32)
    shift = tl.load(bias + columns, inside, 0.0).to(tl.float32)
    tl.store(out + row * width + columns, (apart * scale * gain + shift).to(kind), inside)


def add_layernorm(x: Tensor | None, residual: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """See `reference.add_layernorm`."""
    tokens, width = residual.shape
    out = torch.empty_like(residual)
    _add_layernorm[(tokens,)](
        residual if x is None else x, residual, weight, bias, out, width, eps,
        HAS_X=x is not None, BLOCK=triton.next_power_of_2(width), num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def _rope_store(
    qkv, cos, sin, position, row, place, queries, keys, values, row_stride, head_stride,
    HQ: tl.constexpr, HKV: tl.constexpr, HALF: tl.constexpr, HALF_BLOCK: tl.constexpr, HEADS: tl.constexpr,
    HAS_PLACE: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(row + token).to(tl.int64)
    is_stored = slot >= 0
    at = tl.maximum(tl.load(position + token).to(tl.int64), 0)
    to_token = token
    if HAS_PLACE:
        to_token = tl.load(place + token).to(tl.int64)
    kind = queries.dtype.element_ty
    half = tl.arange(0, HALF_BLOCK)[None, :]
    c = tl.load(cos + at * HALF + half, half < HALF, 0.0).to(tl.float32)
    s = tl.load(sin + at * HALF + half, half < HALF, 0.0).to(tl.float32)
    source = qkv + token * (HQ + 2 * HKV) * 2 * HALF
    for first in tl.static_range(0, HQ + HKV, HEADS):
        head = first + tl.arange(0, HEADS)[:, None]
        inside = (head < HQ + HKV) & (half < HALF)
        left = tl.load(source + head * 2 * HALF + half, inside, 0.0).to(tl.float32)
        right = tl.load(source + head * 2 * HALF + HALF + half, inside, 0.0).to(tl.float32)
        turned_left = ((left * c).to(kind).to(tl.float32) - (right * s).to(kind).to(tl.float32)).to(kind)
        turned_right = ((right * c).to(kind).to(tl.float32) + (left * s).to(kind).to(tl.float32)).to(kind)
        is_query = inside & (head < HQ)
        to_query = queries + (to_token * HQ + head) * 2 * HALF + half
        tl.store(to_query, turned_left, is_query)
        tl.store(to_query + HALF, turned_right, is_query)
        is_key = inside & (head >= HQ) & is_stored
        to_key = keys + slot * row_stride + (head - HQ) * head_stride + at * 2 * HALF + half
        tl.store(to_key, turned_left, is_key)
        tl.store(to_key + HALF, turned_right, is_key)
    for first in tl.static_range(0, HKV, HEADS):
        head = first + tl.arange(0, HEADS)[:, None]
        inside = (head < HKV) & (half < HALF)
        from_value = source + (HQ + HKV + head) * 2 * HALF + half
        to_value = values + slot * row_stride + head * head_stride + at * 2 * HALF + half
        tl.store(to_value, tl.load(from_value, inside, 0.0), inside & is_stored)
        tl.store(to_value + HALF, tl.load(from_value + HALF, inside, 0.0), inside & is_stored)


def rope_store(
    qkv: Tensor, tables: tuple[Tensor, Tensor], position: Tensor, row: Tensor, cached: tuple[Tensor, Tensor],
    into: tuple[Tensor, Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """See `reference.rope_store`."""
    keys, values = cached
    tokens = qkv.shape[0]
    _, kv_heads, _, head = keys.shape
    heads = qkv.shape[1] // head - 2 * kv_heads
    if into is None:
        queries, place = torch.empty(tokens, heads, head, dtype=qkv.dtype, device=qkv.device), row
    else:
        queries, place = into
    _rope_store[(tokens,)](
        qkv, *tables, position, row, place, queries, keys, values, keys.stride(0), keys.stride(1),
        HQ=heads, HKV=kv_heads, HALF=head // 2, HALF_BLOCK=triton.next_power_of_2(head // 2), HEADS=8,
        HAS_PLACE=into is not None, num_warps=4,
    )  # fmt: skip
    return queries


@triton.jit
def _silu_mul(gate_up, out, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    kind = out.dtype.element_ty
    gate = tl.load(gate_up + row * 2 * width + columns, inside, 0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * width + width + columns, inside, 0.0).to(tl.float32)
    active = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    tl.store(out + row * width + columns, (active * up).to(kind), inside)


def silu_mul(gate_up: Tensor) -> Tensor:
    """See `reference.silu_mul`."""
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty(tokens, width, dtype=gate_up.dtype, device=gate_up.device)
    block = 1024
    _silu_mul[(tokens, triton.cdiv(width, block))](gate_up, out, width, BLOCK=block, num_warps=4)
    return out


@triton.jit
def _attend_split(
    queries, keys, values, position, firsts, counts, partial, peak, total, row_stride, head_stride, scale,
    HKV: tl.constexpr, GROUP: tl.constexpr, QUERIES: tl.constexpr, HEAD: tl.constexpr, HEAD_BLOCK: tl.constexpr,
    SPLITS: tl.constexpr, SPLIT_KEYS: tl.constexpr, BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    kv_head = tl.program_id(1)
    split = tl.program_id(2)
    count = tl.load(counts + row)
    if count == 0:
        return
    first_token = tl.load(firsts + row)
    length = tl.load(position + first_token + count - 1) + 1
    start = split * SPLIT_KEYS
    if start >= length:
        return
    stop = tl.minimum(start + SPLIT_KEYS, length)
    # Each new token of the row with each query head of the group.
    member = tl.arange(0, QUERIES)
    token = first_token + member // GROUP
    is_query = member // GROUP < count
    limit = tl.load(position + token, is_query, -1) + 1
    column = tl.arange(0, HEAD_BLOCK)
    place = token * HKV * GROUP + kv_head * GROUP + member % GROUP
    in_head = column[None, :] < HEAD
    is_read = is_query[:, None] & in_head
    query = tl.load(queries + place[:, None] * HEAD + column[None, :], is_read, 0.0)
    base = row * row_stride + kv_head * head_stride
    best = tl.full([QUERIES], float("-inf"), tl.float32)
    weight = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, HEAD_BLOCK], tl.float32)
    for first in range(start, stop, BLOCK):
        at = first + tl.arange(0, BLOCK)
        there = (at[:, None] < stop) & in_head
        where = base + at[:, None].to(tl.int64) * HEAD + column[None, :]
        key = tl.load(keys + where, there, 0.0)
        logits = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
        seen = (at[None, :] < stop) & (at[None, :] < limit[:, None])
        logits = tl.where(seen, logits, float("-inf"))
        higher = tl.maximum(best, tl.max(logits, 1))
        # A token that stands before all of these keys has seen none: no infinity is taken from another.
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        shrink = tl.exp2(best - safe)
        share = tl.exp2(logits - safe[:, None])
        weight = weight * shrink + tl.sum(share, 1)
        value = tl.load(values + where, there, 0.0)
        mixed = mixed * shrink[:, None] + tl.dot(share.to(value.dtype), value, input_precision=PRECISION)
        best = higher
    slot = place * SPLITS + split
    tl.store(partial + slot[:, None] * HEAD + column[None, :], mixed, is_read)
    tl.store(peak + slot, best, is_query)
    tl.store(total + slot, weight, is_query)


@triton.jit
def _attend_merge(
    partial, peak, total, position, out,
    HEADS: tl.constexpr, HEAD: tl.constexpr, HEAD_BLOCK: tl.constexpr, SPLITS: tl.constexpr,
    SPLITS_BLOCK: tl.constexpr, SPLIT_KEYS: tl.constexpr,
):  # fmt: skip
    index = tl.program_id(0).to(tl.int64)
    length = tl.load(position + index // HEADS) + 1
    split = tl.arange(0, SPLITS_BLOCK)
    column = tl.arange(0, HEAD_BLOCK)
    used = (split < SPLITS) & (split * SPLIT_KEYS < length)
    best = tl.load(peak + index * SPLITS + split, used, float("-inf"))
    top = tl.max(best, 0)
    share = tl.where(used, tl.exp2(best - top), 0.0)
    whole = tl.sum(tl.where(used, share * tl.load(total + index * SPLITS + split, used, 0.0), 0.0), 0)
    where = (index * SPLITS + split[:, None]) * HEAD + column[None, :]
    parts = tl.load(partial + where, used[:, None] & (column[None, :] < HEAD), 0.0)
    mixed = tl.sum(parts * share[:, None], 0) / tl.where(length > 0, whole, 1.0)
    tl.store(out + index * HEAD + column, mixed.to(out.dtype.element_ty), column < HEAD)


def attend_new(
    queries: Tensor, keys: Tensor, values: Tensor, new: NewTokens, scale: float, *, split: int = SPLIT,
    block: int = 64, warps: int = 4, stages: int = 2,
) -> Tensor:  # fmt: skip
    """See `reference.attend_new`. split, block, warps and stages tune it; the split changes the order of sums."""
    tokens, heads, head = queries.shape
    rows, kv_heads, capacity = keys.shape[:3]
    splits = triton.cdiv(capacity, split)
    partial = torch.empty(tokens, heads, splits, head, dtype=torch.float32, device=queries.device)
    peak = torch.empty(tokens, heads, splits, dtype=torch.float32, device=queries.device)
    total = torch.empty_like(peak)
    out = torch.empty_like(queries)
    group = heads // kv_heads
    head_block = max(16, triton.next_power_of_2(head))
    is_float32 = queries.dtype == torch.float32
    _attend_split[(rows, kv_heads, splits)](
        queries, keys, values, new.position, new.first, new.count, partial, peak, total, keys.stride(0),
        keys.stride(1), scale * 1.4426950408889634,
        HKV=kv_heads, GROUP=group, QUERIES=max(16, triton.next_power_of_2(group * new.most)), HEAD=head,
        HEAD_BLOCK=head_block, SPLITS=splits, SPLIT_KEYS=split, BLOCK=32 if is_float32 else block,
        PRECISION="ieee" if is_float32 else "tf32", num_warps=warps, num_stages=1 if is_float32 else stages,
    )  # fmt: skip
    _attend_merge[(tokens * heads,)](
        partial, peak, total, new.position, out, HEADS=heads, HEAD=head, HEAD_BLOCK=head_block, SPLITS=splits,
        SPLITS_BLOCK=triton.next_power_of_2(splits), SPLIT_KEYS=split, num_warps=1,
    )  # fmt: skip
    return out


@triton.jit
def _choose(logits, mask, token, finite, vocabulary, words, HAS_MASK: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    best = float("-inf")
    best_at = 0
    strange = 0
    for first in range(0, vocabulary, BLOCK):
        at = first + tl.arange(0, BLOCK)
        inside = at < vocabulary
        value = tl.load(logits + row * vocabulary + at, inside, 0.0)
        # x - x is 0 for finite x, NaN for infinities and NaN.
        strange += tl.sum((value - value != 0.0).to(tl.int32))
        allowed = inside
        if HAS_MASK:
            word = tl.load(mask + row * words + at // 32, inside, 0)
            allowed = allowed & (((word >> (at % 32)) & 1) != 0)
        value = tl.where(allowed & (value == value), value, float("-inf"))
        here = tl.max(value, 0)
        where = tl.min(tl.where(value == here, at, vocabulary), 0)
        if here > best:
            best_at = where
            best = here
    tl.store(token + row, best_at.to(tl.int64))
    tl.store(finite + row, strange == 0)


def choose(logits: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """See `reference.choose`."""
    rows, vocabulary = logits.shape
    token = torch.empty(rows, dtype=torch.int64, device=logits.device)
    finite = torch.empty(rows, dtype=torch.bool, device=logits.device)
    _choose[(rows,)](
        logits, logits if mask is None else mask, token, finite, vocabulary, 0 if mask is None else mask.shape[1],
        HAS_MASK=mask is not None, BLOCK=4096, num_warps=8,
    )  # fmt: skip
    return token, finite
