"""Pillow's bicubic resize of 8-bit frames, bit for bit, on the device: in exact integers, so in any order of sums.

Source of the arithmetic: Pillow's `Resample.c`. A pass along one axis multiplies pixels with whole numbers of 22 binary
places, rounds half up and clips to 8 bits; rows are resized before columns, and 8 bits are kept in between. Sums stay
below 2^31.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ghostbench_drivemm.checkpoint.config import IMAGE_SIZE, DriveMMConfig
from ghostbench_drivemm.input.pixels import frame_pixels
from ghostbench_drivemm.input.taps import BITS, Taps, weights


class FrameResize:
    """`frame_pixels` for whole videos, on one device. Not for several threads at once."""

    def __init__(self, config: DriveMMConfig, device: torch.device) -> None:
        self._config = config
        self._pads = config.image_aspect_ratio == "pad"
        self._device = device
        self._agreed: dict[tuple[int, int], bool] = {}
        self._passes: dict[tuple[int, int], tuple[Taps, Taps]] = {}

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
        across, down = self._taps(frames.shape[2], frames.shape[1])
        if frames.is_cuda:
            from ghostbench_drivemm.input.resize_kernels import resize

            return resize(frames, across, down)
        lines = _passed(frames.permute(0, 1, 3, 2), across)
        return _passed(lines.permute(0, 2, 3, 1), down).permute(0, 1, 3, 2).contiguous()

    def _taps(self, width: int, height: int) -> tuple[Taps, Taps]:
        if (width, height) not in self._passes:
            side = width if self._pads else height
            across = Taps.of(weights(width, IMAGE_SIZE), 0, width, self._device)
            down = Taps.of(weights(side, IMAGE_SIZE), (side - height) // 2, height, self._device)
            self._passes[width, height] = across, down
        return self._passes[width, height]


def _passed(pixels: Tensor, taps: Taps) -> Tensor:
    """A pass along the last axis: uint8 [..., size] to uint8 [..., 384]; float64 holds the whole numbers exactly."""
    count, wanted = taps.weight.shape
    dense = torch.zeros(pixels.shape[-1] + count, wanted, dtype=torch.float64)
    dense.scatter_(0, taps.first.long() + torch.arange(count)[:, None], taps.weight.double())
    total = pixels.to(torch.float64, memory_format=torch.contiguous_format) @ dense[: pixels.shape[-1]]
    return ((total + taps.start) / (1 << BITS)).floor_().clamp_(0, 255).to(torch.uint8)
