"""The device's resize gives Pillow's own pixels, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.input.pixels import frame_pixels, is_wide
from ghostbench_drivemm.input.resize import FrameResize

ASPECTS = ("pad", "square")


def resize_with(aspect: str) -> tuple[FrameResize, DriveMMConfig]:
    config = dataclasses.replace(DriveMMConfig.full_shape(), image_aspect_ratio=aspect)
    return FrameResize(config, torch.device("cpu")), config


def picture(width: int, height: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    kinds = (
        random.integers(0, 256, (height, width, 3)),
        random.integers(0, 2, (height, width, 3)) * 255,
        np.broadcast_to(np.linspace(0, 255, width)[None, :, None], (height, width, 3)),
        np.broadcast_to(random.integers(0, 256, (1, 1, 3)), (height, width, 3)),
    )
    return kinds[seed % len(kinds)].astype(np.uint8)


@pytest.mark.parametrize("aspect", ASPECTS)
@settings(max_examples=60)
@given(width=st.integers(1, 900), height=st.integers(1, 900), seed=st.integers(0, 40))
def test_wide_frames_of_every_size_get_pillows_pixels(aspect: str, width: int, height: int, seed: int) -> None:
    width, height = max(width, height), min(width, height)
    resize, config = resize_with(aspect)
    frames = np.stack([picture(width, height, seed), picture(width, height, seed + 1)])
    found = resize(torch.from_numpy(frames)).numpy()
    for one, frame in zip(found, frames, strict=True):
        assert np.array_equal(one, frame_pixels(Image.fromarray(frame), config))


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize(
    "size", [(1584, 660), (1920, 1080), (1280, 720), (640, 480), (384, 384), (384, 200), (3840, 384)]
)
def test_the_sizes_of_dashcams_agree(aspect: str, size: tuple[int, int]) -> None:
    assert is_wide(*size)
    resize, config = resize_with(aspect)
    assert resize.agrees(*size)
    for seed in range(4):
        frame = picture(*size, seed)
        found = resize(torch.from_numpy(frame[None])).numpy()[0]
        assert np.array_equal(found, frame_pixels(Image.fromarray(frame), config))


def test_disagreement_is_noticed() -> None:
    """Upright pictures are the other way round in Pillow 13: what is not computed here must not pass for agreement."""
    resize, _ = resize_with("square")
    assert not is_wide(700, 1584)
    assert not resize.agrees(700, 1584)
