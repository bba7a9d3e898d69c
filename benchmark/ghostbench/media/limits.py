"""What is too large to be a dashcam clip: guards against files made to exhaust memory."""

from __future__ import annotations

from typing import Final

from ghostbench.errors import DecodeFailed

MAX_FRAME_PIXELS: Final = 1 << 26
"""The most pixels of one frame (67 million: 8K video has 33 million)."""
MAX_FRAMES: Final = 1_000_000
"""The most frames of one clip (nine hours at 30 frames per second)."""
MAX_SAMPLE_BYTES: Final = 2 << 30
"""The most bytes that the sampled frames of one clip may take as RGB."""


def check_frame_size(width: int, height: int) -> None:
    """Raises `DecodeFailed` for a frame without pixels or with more than `MAX_FRAME_PIXELS`."""
    if width < 1 or height < 1:
        raise DecodeFailed(f"the frames are {width}x{height} pixels")
    if width * height > MAX_FRAME_PIXELS:
        raise DecodeFailed(f"the frames are {width}x{height} pixels, more than the {MAX_FRAME_PIXELS} that are decoded")


def check_sample_size(n_frames: int, width: int, height: int) -> None:
    """Raises `DecodeFailed` if n_frames frames of this size are more than `MAX_SAMPLE_BYTES`."""
    size = n_frames * width * height * 3
    if size > MAX_SAMPLE_BYTES:
        raise DecodeFailed(
            f"the sampler takes {n_frames} frames of {width}x{height}, {size >> 20} MiB, "
            f"more than the {MAX_SAMPLE_BYTES >> 20} MiB that one clip may take; sample fewer frames"
        )
