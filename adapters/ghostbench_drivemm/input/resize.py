"""Pillow's bicubic resize of 8-bit frames, bit for bit, on the device: in exact integers, so in any order of sums.

Source of the arithmetic: Pillow's `Resample.c`. A pass along one axis multiplies pixels with whole numbers of 22 binary
places, rounds half up and clips to 8 bits; rows are resized before columns, and 8 bits are kept in between. Products
and sums stay below 2^53, so that float64 holds them exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ghostbench_drivemm.checkpoint.config import IMAGE_SIZE, DriveMMConfig
from ghostbench_drivemm.input.pixels import PAD_COLOUR, frame_pixels

_BITS = 22
"""`PRECISION_BITS` of `Resample.c`: 32 less 8 for the pixel and 2 for overflow."""
_MOST_VALUES = 1 << 25
"""Pixel values that are widened to 8 bytes at a time: 256 MiB."""


class FrameResize:
    """`frame_pixels` for whole videos, on one device. Not for several threads at once."""

    def __init__(self, config: DriveMMConfig, device: torch.device) -> None:
        self._config = config
        self._pads = config.image_aspect_ratio == "pad"
        self._device = device
        self._agreed: dict[tuple[int, int], bool] = {}
        self._matrices: dict[int, Tensor] = {}

    def agrees(self, width: int, height: int) -> bool:
        """Whether it gives what the installed Pillow gives for frames of this size; tried once a size, on noise."""
        size = (width, height)
        if size not in self._agreed:
            noise = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
            noise[:, height // 2 :] = noise[:, height // 2 :] // 128 * 255
            found = self(torch.from_numpy(noise).to(self._device))[0].cpu().numpy()
            wanted = frame_pixels(Image.fromarray(noise[0]), self._config)
            self._agreed[size] = bool(np.array_equal(found, wanted))
        return self._agreed[size]

    def __call__(self, frames: Tensor) -> Tensor:
        """uint8 [F, height, width, 3] on the device to uint8 [F, 3, 384, 384]."""
        together = max(1, _MOST_VALUES // frames[0].numel())
        return torch.cat([self._resized(part) for part in torch.split(frames, together)])

    def _resized(self, frames: Tensor) -> Tensor:
        count, height, width, _ = frames.shape
        lines = frames.permute(0, 1, 3, 2)
        if width != IMAGE_SIZE:
            wide = lines.to(torch.float64, memory_format=torch.contiguous_format)
            lines = _rounded(wide @ self._weights(width).T)
        columns = lines.reshape(count, height, 3 * IMAGE_SIZE)
        side = width if self._pads else height
        if side != IMAGE_SIZE:
            weights = self._weights(side)
            top = (side - height) // 2
            sums = weights[:, top : top + height] @ columns.double()
            # What is padded has one colour, row by row: only the sum of its weights matters.
            padding = weights.sum(1) - weights[:, top : top + height].sum(1)
            columns = _rounded(sums + PAD_COLOUR[0] * padding[:, None])
        elif side != height:
            columns = torch.nn.functional.pad(
                columns, (0, 0, (side - height) // 2, side - height - (side - height) // 2), value=PAD_COLOUR[0]
            )
        return columns.view(count, IMAGE_SIZE, 3, IMAGE_SIZE).transpose(1, 2).contiguous()

    def _weights(self, size: int) -> Tensor:
        if size not in self._matrices:
            self._matrices[size] = torch.from_numpy(weights(size, IMAGE_SIZE)).to(self._device)
        return self._matrices[size]


def _rounded(sums: Tensor) -> Tensor:
    return ((sums + (1 << (_BITS - 1))) / (1 << _BITS)).floor_().clamp_(0, 255).to(torch.uint8)


def weights(size: int, wanted: int) -> npt.NDArray[np.float64]:
    """Pillow's bicubic weights for a pass from `size` to `wanted` pixels, times 2^22: whole numbers [wanted, size].

    Computed step by step as `precompute_coeffs` and `normalize_coeffs_8bpc` do, since each is rounded.
    """
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
            share = value / total * (1 << _BITS)
            matrix[row, place] = int(share - 0.5) if share < 0 else int(share + 0.5)
    return matrix


def _bicubic(x: float) -> float:
    """`bicubic_filter` of `Resample.c`, a = -0.5."""
    a = -0.5
    x = abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return (((x - 5.0) * x + 8.0) * x - 4.0) * a if x < 2.0 else 0.0
