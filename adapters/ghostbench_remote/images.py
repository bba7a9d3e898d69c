"""Frames as JPEG, each encoded once per clip and shared by every attempt, moment and model that wants the same size."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ghostbench import ExampleFramePart, FramePart, Frames, Request, TextPart

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

JPEG_QUALITY = 90
"""Of 95 that Pillow advises at most: no visible blocking on small road users, at a third of the bytes."""


def fitted(width: int, height: int, max_side: int) -> tuple[int, int]:
    """The size, pixels, at which a frame of this size is sent: its longer side at most max_side, never enlarged."""
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def jpegs(frames: Frames, max_side: int) -> tuple[bytes, ...]:
    """Each frame as a JPEG in base64, ready for a data URL. Encoded when first asked for."""
    return frames.memo_each(("jpeg-base64", JPEG_QUALITY, max_side), lambda pixels: _encode(pixels, max_side))


def message(request: Request, max_side: int) -> Iterator[str | bytes]:
    """The user's message in its order: texts, and each frame that is shown as `jpegs` has it, those of examples too."""
    images = jpegs(request.frames, max_side) if request.frames is not None else ()
    examples = [jpegs(frames, max_side) for frames in request.examples]
    for part in request.prompt.parts:
        if isinstance(part, TextPart):
            yield part.text
        elif isinstance(part, FramePart) and images:
            yield images[part.position]
        elif isinstance(part, ExampleFramePart):
            yield examples[part.example][part.position]


def sizes_sent(request: Request, max_side: int) -> list[tuple[int, int]]:
    """Width and height, pixels, of each image of the message, in its order. Nothing is encoded for it."""
    sizes = []
    for part in request.prompt.parts:
        frames = None
        if isinstance(part, FramePart):
            frames = request.frames
        elif isinstance(part, ExampleFramePart):
            frames = request.examples[part.example]
        if frames is not None:
            height, width = frames.original().pixels.shape[1:3]
            sizes.append(fitted(width, height, max_side))
    return sizes


def _encode(pixels: npt.NDArray[np.uint8], max_side: int) -> bytes:
    from PIL import Image

    height, width = pixels.shape[:2]
    size = fitted(width, height, max_side)
    image = Image.fromarray(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue())
