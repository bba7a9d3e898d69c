"""From pixels to visual tokens: tower, projector, pooling, newline tokens, tiles.

Functions here take and return tensors on one device, know every shape from Python integers, and never
synchronise with the device.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ghostbench_drivemm.checkpoint.config import (
    PATCHES_PER_SIDE,
    DriveMMConfig,
)
from ghostbench_drivemm.input.lengths import POOL_STRIDE, pooled_side, shrunk_shape, tiling, unpadded_box
from ghostbench_drivemm.network.siglip import Tower
from ghostbench_drivemm.network.unset import Linear


def build_projector(config: DriveMMConfig) -> nn.Sequential:
    """`mlpNx_gelu`: N linear layers with exact GELU between them, weights not set."""
    layers: list[nn.Module] = [Linear(config.vision.width, config.hidden_size)]
    for _ in range(1, config.projector_depth):
        layers += [nn.GELU(), Linear(config.hidden_size, config.hidden_size)]
    return nn.Sequential(*layers)


def normalise(pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """uint8 pixels as `(v / 255 - 0.5) / 0.5`, bit for bit the authors' float32 values, then rounded to `dtype`."""
    # Dividing by a tensor is a true division on every device; by a Python number CUDA multiplies by the reciprocal.
    whole = torch.full((), 255.0, dtype=torch.float32, device=pixels.device)
    return ((pixels.to(torch.float32) / whole - 0.5) * 2.0).to(dtype)


def frame_features(tower: Tower, pixels: torch.Tensor, *, plainly: bool = False) -> torch.Tensor:
    """Features of each patch, [F, 729, vision width]: the last kept layer's output, before the post layer norm.

    `pixels` is normalised, [F, 3, 384, 384], in the tower's dtype. On CUDA in 16 bits the same layers run joined and
    fused, see `ghostbench_drivemm.engine.tower`; not if `plainly`.
    """
    if pixels.is_cuda and pixels.dtype != torch.float32 and not plainly:
        from ghostbench_drivemm.engine.tower import fast_tower

        return fast_tower(tower)(pixels)
    with _exact_convolution(pixels.dtype):
        hidden = tower.embeddings(pixels)
    features: torch.Tensor = tower.encoder(hidden)
    return features


_FLAGS = threading.Lock()
"""cuDNN's flags are the whole process's, and replicas compute in threads of their own."""


@contextmanager
def _exact_convolution(dtype: torch.dtype) -> Iterator[None]:
    """In float32, no TensorFloat-32 in the patch convolution: cuDNN would use it by default."""
    if dtype != torch.float32 or not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        yield
        return
    with _FLAGS, torch.backends.cudnn.flags(allow_tf32=False):
        yield


def pool(tokens: torch.Tensor, mode: str) -> torch.Tensor:
    """Pool each frame's 27 x 27 tokens: [F, 729, H] to [F, side * side, H]."""
    frames, _, width = tokens.shape
    grid = tokens.view(frames, PATCHES_PER_SIDE, PATCHES_PER_SIDE, width).permute(0, 3, 1, 2)
    if mode == "average":
        small = nn.functional.avg_pool2d(grid, POOL_STRIDE)
    elif mode == "max":
        small = nn.functional.max_pool2d(grid, POOL_STRIDE)
    else:
        side = pooled_side(mode)
        small = nn.functional.interpolate(grid, size=(side, side), mode="bilinear", align_corners=False)
    return small.permute(0, 2, 3, 1).reshape(frames, -1, width)


def pooled_tokens(projector: nn.Sequential, features: torch.Tensor, mode: str) -> torch.Tensor:
    """Each frame's features [F, 729, vision width] projected and pooled: [F, side * side, H].

    Where pooling is a mean with weights that sum to 1, the projector's last product is made of the pooled tokens: it is
    the same function, with a quarter of the work.
    """
    if mode == "max":
        return pool(projector(features), mode)
    tokens: torch.Tensor = projector[-1](pool(projector[:-1](features), mode))
    return tokens


def video_tokens(pooled: torch.Tensor, newline: torch.Tensor | None, config: DriveMMConfig) -> torch.Tensor:
    """One video's tokens [n, H] from its pooled frames [F, p, H], with newline tokens where the mode puts them."""
    frames, count, width = pooled.shape
    position = "no_token" if config.mm_patch_merge_type == "flat" else config.mm_newline_position
    if position == "one_token" and not config.has_newline:
        position = "no_token"
    if position == "no_token":
        return pooled.reshape(-1, width)
    assert newline is not None
    if position == "one_token":
        return torch.cat([pooled.reshape(-1, width), newline[None]])
    # A newline after each row of the grid, or after each frame: rows of equal length either way.
    side = math.isqrt(count)
    rows = pooled.reshape(frames * side, side, width) if position == "grid" else pooled
    return torch.cat([rows, newline.expand(rows.shape[0], 1, width)], dim=1).reshape(-1, width)


def image_tokens(
    tiles: torch.Tensor, size: tuple[int, int], newline: torch.Tensor | None, config: DriveMMConfig
) -> torch.Tensor:
    """One image's tokens [n, H] from its tiles' tokens [T, 729, H]; `size` is the image's (width, height)."""
    width = tiles.shape[-1]
    if config.mm_patch_merge_type == "flat":
        return tiles.reshape(-1, width)
    if tiles.shape[0] == 1:
        return torch.cat([tiles[0], newline[None]]) if config.has_newline and newline is not None else tiles[0]
    tokens = _tile_tokens(tiles[1:], size, newline, config)
    return tokens if "nobase" in config.mm_patch_merge_type else torch.cat([tiles[0], tokens])


def _tile_tokens(
    tiles: torch.Tensor, size: tuple[int, int], newline: torch.Tensor | None, config: DriveMMConfig
) -> torch.Tensor:
    """The tiles' tokens put side by side as one picture, without its padding where the merge type says so."""
    width, side = tiles.shape[-1], PATCHES_PER_SIDE
    across, down = tiling(size, config)
    split = tiles.view(down, across, side, side, width)
    picture = split.permute(0, 2, 1, 3, 4).reshape(down * side, across * side, width)
    if "maxpool2x2" in config.mm_patch_merge_type:
        return nn.functional.max_pool2d(picture.permute(2, 0, 1), 2).flatten(1).transpose(0, 1)
    if not config.has_newline:
        return picture.reshape(-1, width)
    top, bottom, left, right = unpadded_box(size, (across * side, down * side))
    picture = picture[top:bottom, left:right]
    shape = shrunk_shape(bottom - top, right - left, config)
    if shape is not None:
        planes = picture.permute(2, 0, 1)[None]
        small = nn.functional.interpolate(planes, size=shape, mode="bilinear", align_corners=False)
        picture = small[0].permute(1, 2, 0)
    assert newline is not None
    return torch.cat([picture, newline.expand(picture.shape[0], 1, width)], dim=1).reshape(-1, width)
