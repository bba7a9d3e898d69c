"""Pixels as the authors' code makes them, up to the 8-bit image: pad or cut into tiles, then resize with PIL.

The remaining arithmetic, `(v / 255 - 0.5) / 0.5`, has 256 possible inputs and is done on the device
(`normalise` in `network/vision.py`), so that a quarter of the bytes cross the bus.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ghostbench_drivemm.checkpoint.config import IMAGE_SIZE, DriveMMConfig

PAD_COLOUR = (127, 127, 127)
"""`int(0.5 * 255)` for each channel: the mean colour that `pad` fills with."""

Pixels = npt.NDArray[np.uint8]


def frame_pixels(frame: Image.Image, config: DriveMMConfig) -> Pixels:
    """One frame of a video, [3, 384, 384] uint8.

    Under `pad` it is first padded to a square; under every other setting it is resized without keeping its aspect ratio
    (tiles are for single images: under anyres the authors' training resizes frames in this way too).
    """
    return padded_and_resized(frame) if config.image_aspect_ratio == "pad" else resized(frame)


def image_pixels(image: Image.Image, config: DriveMMConfig) -> Pixels:
    """One image as [tiles, 3, 384, 384] uint8; one tile unless the aspect setting is an anyres one.

    Under anyres the first tile is the whole image resized, the others are the letterboxed image row by row.
    """
    if config.image_aspect_ratio == "pad":
        return padded_and_resized(image)[None]
    if not config.is_anyres:
        return resized(image)[None]
    whole = image.resize((IMAGE_SIZE, IMAGE_SIZE))
    boxed = letterboxed(image, best_grid(image.size, config.image_grid_pinpoints))
    tiles = [
        boxed.crop((x, y, x + IMAGE_SIZE, y + IMAGE_SIZE))
        for y in range(0, boxed.height, IMAGE_SIZE)
        for x in range(0, boxed.width, IMAGE_SIZE)
    ]
    return np.stack([resized(tile) for tile in [whole, *tiles]])


def resized(image: Image.Image) -> Pixels:
    """Direct bicubic resize to 384 x 384, channels first."""
    # An equal size makes PIL return the pixels untouched, as it does in the authors' code.
    small = image.resize((IMAGE_SIZE, IMAGE_SIZE), resample=Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(small, dtype=np.uint8).transpose(2, 0, 1))


def padded_and_resized(image: Image.Image) -> Pixels:
    """`resized(pad_to_square(image))`, bit for bit, in less than half the time for wide images."""
    width, height = image.size
    if width <= height:
        return resized(pad_to_square(image))
    # PIL resizes rows first and keeps 8 bits in between, and rows of one colour stay what they are: they can be added
    # after the first pass.
    narrow = image.resize((IMAGE_SIZE, height), resample=Image.Resampling.BICUBIC)
    padded = Image.new("RGB", (IMAGE_SIZE, width), PAD_COLOUR)
    padded.paste(narrow, (0, (width - height) // 2))
    return resized(padded)


def pad_to_square(image: Image.Image) -> Image.Image:
    """The image centred on a square of its longer side, filled with `PAD_COLOUR`."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new("RGB", (side, side), PAD_COLOUR)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def best_grid(size: tuple[int, int], grids: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The grid (width, height) that keeps most of the image's pixels, and among those wastes the fewest.

    The first grid wins among equals. `size` is (width, height) in pixels.
    """
    width, height = size

    def merit(grid: tuple[int, int]) -> tuple[int, int]:
        scale = min(grid[0] / width, grid[1] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - grid[0] * grid[1]

    return max(grids, key=merit)


def letterboxed(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """The image resized to fit `target` (width, height), centred on black."""
    width, height = image.size
    scale_x, scale_y = target[0] / width, target[1] / height
    if scale_x < scale_y:
        inner = (target[0], min(math.ceil(height * scale_x), target[1]))
    else:
        inner = (min(math.ceil(width * scale_y), target[0]), target[1])
    boxed = Image.new("RGB", target, (0, 0, 0))
    boxed.paste(image.resize(inner), ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2))
    return boxed


def is_wide(width: int, height: int) -> bool:
    """Whether the device may resize frames of this size; Pillow 13 resizes the columns of upright pictures first."""
    return width >= height
