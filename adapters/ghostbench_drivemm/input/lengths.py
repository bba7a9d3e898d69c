"""How many visual tokens a video or an image becomes, counted from its size alone, as the network will make them."""

from __future__ import annotations

import math

from ghostbench_drivemm.checkpoint.config import IMAGE_SIZE, PATCHES_PER_SIDE, DriveMMConfig
from ghostbench_drivemm.input.pixels import best_grid

POOL_STRIDE = 2
"""Stride of the video pooling; the authors' inference code ignores `mm_spatial_pool_stride`."""


def pooled_side(mode: str) -> int:
    """Tokens per side of a pooled frame: 14 for bilinear (rounded up), 13 for average and max."""
    return math.ceil(PATCHES_PER_SIDE / POOL_STRIDE) if mode == "bilinear" else PATCHES_PER_SIDE // POOL_STRIDE


def frame_length(config: DriveMMConfig) -> int:
    """Number of tokens of each frame of a video, with the newlines that belong to it."""
    side = pooled_side(config.mm_spatial_pool_mode)
    if config.mm_patch_merge_type == "flat" or config.mm_newline_position in ("no_token", "one_token"):
        return side * side
    return side * side + (side if config.mm_newline_position == "grid" else 1)


def closing_length(config: DriveMMConfig) -> int:
    """Number of tokens behind a video's last frame that belong to the video."""
    if config.mm_patch_merge_type == "flat" or config.mm_newline_position != "one_token":
        return 0
    return int(config.has_newline)


def video_length(frames: int, config: DriveMMConfig) -> int:
    """Number of tokens that `video_tokens` gives for so many frames."""
    return frames * frame_length(config) + closing_length(config)


def image_length(size: tuple[int, int], config: DriveMMConfig) -> int:
    """Number of tokens that `image_tokens` gives for an image of this (width, height)."""
    base = PATCHES_PER_SIDE**2
    if not config.is_anyres:
        return base + int(config.has_newline)
    across, down = (tiles * PATCHES_PER_SIDE for tiles in tiling(size, config))
    if config.mm_patch_merge_type == "flat":
        return base + across * down
    if "maxpool2x2" in config.mm_patch_merge_type:
        count = (across // 2) * (down // 2)
    elif config.has_newline:
        top, bottom, left, right = unpadded_box(size, (across, down))
        rows, columns = shrunk_shape(bottom - top, right - left, config) or (bottom - top, right - left)
        count = rows * (columns + 1)
    else:
        count = across * down
    return count if "nobase" in config.mm_patch_merge_type else base + count


def tiling(size: tuple[int, int], config: DriveMMConfig) -> tuple[int, int]:
    """Tiles across and down."""
    width, height = best_grid(size, config.image_grid_pinpoints)
    return width // IMAGE_SIZE, height // IMAGE_SIZE


def unpadded_box(size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part (top, bottom, left, right) of a token grid (columns, rows) that shows the image and not its padding."""
    width, height = size
    columns, rows = grid
    if width / height > columns / rows:
        padding = (rows - int(height * (columns / width))) // 2
        return padding, rows - padding, 0, columns
    padding = (columns - int(width * (rows / height))) // 2
    return 0, rows, padding, columns - padding


def shrunk_shape(rows: int, columns: int, config: DriveMMConfig) -> tuple[int, int] | None:
    """The smaller (rows, columns) when the picture has over 1.21 times the tokens that anyres_max_N allows."""
    limit = config.anyres_limit
    if limit is None:
        return None
    times = math.sqrt(rows * columns / (limit * PATCHES_PER_SIDE**2))
    return (int(rows // times), int(columns // times)) if times > 1.1 else None
