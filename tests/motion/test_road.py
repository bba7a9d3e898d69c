"""The road's geometry against a pinhole camera over a flat road, written down independently."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ghostbench_motion.road import EgoMotion, Road, working_size

HEIGHT, WIDTH = 270, 480
FOCAL, CAMERA_HEIGHT = 430.0, 1.3
ROAD = Road(HEIGHT, WIDTH, 0.45)
LOWEST_DROP = 0.9 * HEIGHT - ROAD.horizon_y
NEAREST = FOCAL * CAMERA_HEIGHT / LOWEST_DROP
"""How far away the lowest visible road is, metres."""


def drive(metres: float, seed: int = 3) -> npt.NDArray[np.uint8]:
    """A road with random blotches, fixed to the ground, rendered by casting a ray through each pixel; grey."""
    blotches = cv2.GaussianBlur(np.random.default_rng(seed).random((1500, 240)).astype(np.float32), (0, 0), 3)
    blotches = (blotches - blotches.min()) / (blotches.max() - blotches.min()) * 255
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    drop = np.maximum(y - ROAD.horizon_y, 0.5)
    ahead = FOCAL * CAMERA_HEIGHT / drop
    across = (x - WIDTH / 2) * ahead / FOCAL
    rows, columns = ((ahead + metres) * 10).astype(np.float32), (across * 10 + 120).astype(np.float32)
    picture = cv2.remap(blotches, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    picture[: int(ROAD.horizon_y) + 1] = 128
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize("metres", [0.0, 1.5, 4.0, 8.0])
def test_the_distance_driven_is_found_from_the_road_alone(metres: float) -> None:
    motion = ROAD.motion(drive(0.0), drive(metres))
    assert motion.travel * NEAREST == pytest.approx(metres, rel=0.15, abs=0.3)


def test_the_moved_frame_is_what_the_camera_sees_after_that_distance() -> None:
    metres = 4.0
    predicted = ROAD.moved(drive(0.0), EgoMotion(metres / NEAREST, (0.0, 0.0))).astype(float)
    seen = drive(metres).astype(float)
    near = np.zeros((HEIGHT, WIDTH), bool)
    near[180:240, 100:380] = True
    unmoved = np.abs(drive(0.0).astype(float) - seen)[near].mean()
    assert np.abs(predicted - seen)[near].mean() < 0.25 * unmoved


def test_a_turn_of_the_camera_is_a_shift_of_the_distant_scene() -> None:
    scene = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), 2), np.uint8)
    dx, dy = ROAD.motion(scene, np.roll(scene, (4, -17), axis=(0, 1))).shift
    assert dx == pytest.approx(-17, abs=0.5)
    assert dy == pytest.approx(4, abs=0.5)


def test_the_path_narrows_to_the_vanishing_point() -> None:
    widths = ROAD.path.sum(axis=1)
    rows = np.flatnonzero(widths)
    assert rows[0] > ROAD.horizon_y
    assert rows[-1] < HEIGHT - 1
    assert (np.diff(widths[rows]) >= 0).all()
    assert widths[rows[0]] < 0.15 * WIDTH < 0.6 * WIDTH < widths[rows[-1]]


@pytest.mark.parametrize(
    ("size", "expected"),
    [((660, 1584), (200, 480)), ((360, 640), (270, 480)), ((1, 5000), (96, 480)), ((5000, 1), (480, 480))],
)
def test_frames_are_analysed_480_pixels_wide(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert working_size(*size) == expected
