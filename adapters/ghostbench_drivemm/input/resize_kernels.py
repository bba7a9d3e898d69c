"""The two passes of a resize as Triton kernels, in 32-bit integers as Pillow has them."""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call,misc"

# ruff: noqa: N803, PLR0913, PLR0917

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ghostbench_drivemm.checkpoint.config import IMAGE_SIZE
from ghostbench_drivemm.input.taps import Taps


@triton.jit
def _along_rows(frames, first, weight, start, out, width, TAPS, SIDE: tl.constexpr, BLOCK: tl.constexpr):
    line = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = place < 3 * SIDE
    channel, column = place // SIDE, place % SIDE
    begin = tl.load(first + column, inside, 0)
    total = tl.load(start + column, inside, 0)
    for tap in range(TAPS):
        at = begin + tap
        is_there = inside & (at < width)
        pixel = tl.load(frames + (line * width + at) * 3 + channel, is_there, 0).to(tl.int32)
        total += pixel * tl.load(weight + tap * SIDE + column, inside, 0)
    value = tl.minimum(tl.maximum(total >> 22, 0), 255)
    tl.store(out + line * 3 * SIDE + place, value.to(tl.uint8), inside)


@triton.jit
def _along_columns(lines, first, weight, start, out, height, TAPS, SIDE: tl.constexpr, BLOCK: tl.constexpr):
    frame = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1)
    place = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inside = place < 3 * SIDE
    channel, column = place // SIDE, place % SIDE
    begin = tl.load(first + row)
    total = tl.zeros([BLOCK], tl.int32) + tl.load(start + row)
    for tap in range(TAPS):
        at = begin + tap
        is_there = inside & (at < height)
        pixel = tl.load(lines + (frame * height + at) * 3 * SIDE + place, is_there, 0).to(tl.int32)
        total += pixel * tl.load(weight + tap * SIDE + row)
    value = tl.minimum(tl.maximum(total >> 22, 0), 255)
    tl.store(out + ((frame * 3 + channel) * SIDE + row) * SIDE + column, value.to(tl.uint8), inside)


def resize(frames: Tensor, across: Taps, down: Taps) -> Tensor:
    """uint8 [F, height, width, 3] on a GPU to uint8 [F, 3, 384, 384]."""
    count, height, width, _ = frames.shape
    frames = frames.contiguous()
    lines = torch.empty(count, height, 3, IMAGE_SIZE, dtype=torch.uint8, device=frames.device)
    out = torch.empty(count, 3, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.uint8, device=frames.device)
    block = 128
    blocks = triton.cdiv(3 * IMAGE_SIZE, block)
    _along_rows[(count * height, blocks)](
        frames, across.first, across.weight, across.start, lines, width, across.weight.shape[0],
        SIDE=IMAGE_SIZE, BLOCK=block, num_warps=4,
    )  # fmt: skip
    _along_columns[(count, IMAGE_SIZE, blocks)](
        lines, down.first, down.weight, down.start, out, height, down.weight.shape[0],
        SIDE=IMAGE_SIZE, BLOCK=block, num_warps=4,
    )  # fmt: skip
    return out
