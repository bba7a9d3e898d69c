"""Pillow's bicubic weights, as whole numbers of 22 binary places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ghostbench_drivemm.input.pixels import PAD_COLOUR

BITS = 22
"""`PRECISION_BITS` of `Resample.c`: 32 less 8 for the pixel and 2 for overflow."""


@dataclass(frozen=True, slots=True)
class Taps:
    """One pass along an axis, int32 on the device: for each of the 384 pixels, what is multiplied with what.

    first : [384] the first pixel that counts. weight : [taps, 384] for that one and those after it.
    start : [384] what the sum begins with: a half to round by, and what padding adds.
    """

    first: Tensor
    weight: Tensor
    start: Tensor

    @classmethod
    def of(cls, matrix: npt.NDArray[np.float64], top: int, size: int, device: torch.device) -> Taps:
        """From weights [384, padded size], where the picture's own pixels are `size` from `top` on."""
        own = matrix[:, top : top + size]
        padding = matrix.sum(1) - own.sum(1)
        counts = own != 0
        first = np.where(counts.any(1), counts.argmax(1), 0)
        last = np.where(counts.any(1), size - counts[:, ::-1].argmax(1), 0)
        taps = max(1, int((last - first).max()))
        at = first[None, :] + np.arange(taps)[:, None]
        weight = np.where(at < last, np.take_along_axis(own.T, np.minimum(at, size - 1), axis=0), 0.0)
        start = (1 << (BITS - 1)) + PAD_COLOUR[0] * padding
        return cls(*(torch.from_numpy(part.astype(np.int32)).to(device) for part in (first, weight, start)))


def weights(size: int, wanted: int) -> npt.NDArray[np.float64]:
    """Pillow's bicubic weights for a pass from `size` to `wanted` pixels, times 2^22: whole numbers [wanted, size].

    Computed step by step as `precompute_coeffs` and `normalize_coeffs_8bpc` do, since each is rounded. A pass that
    changes no size changes nothing.
    """
    if size == wanted:
        return np.eye(size) * (1 << BITS)
    matrix = np.zeros((wanted, size))
    scale = size / wanted
    widening = max(scale, 1.0)
    support = 2.0 * widening
    inverse = 1.0 / widening
    for row in range(wanted):
        centre = (row + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(size, int(centre + support + 0.5))
        values = [_bicubic((place - centre + 0.5) * inverse) for place in range(first, last)]
        total = 0.0
        for value in values:
            total += value
        for place, value in enumerate(values, start=first):
            share = value / total * (1 << BITS)
            matrix[row, place] = int(share - 0.5) if share < 0 else int(share + 0.5)
    return matrix


def _bicubic(x: float) -> float:
    """`bicubic_filter` of `Resample.c`, a = -0.5."""
    a = -0.5
    x = abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * a if x < 2.0 else 0.0
