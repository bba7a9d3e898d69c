"""Finds things that are newly there on the ego path: the evidence behind `motion`'s score, from pixels alone."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ghostbench_motion.remembered import Remembered, digest
from ghostbench_motion.road import EgoMotion, Image, Road, resized, working_size

_TOLERANCE = 0.008
"""Radius within which a pixel may find its likeness in the earlier frame, as a share of the width."""
_CHANNEL_WEIGHTS = np.array([0.5, 2.0, 2.0], np.float32)
"""Weights of the channels of 8-bit Lab: shadows and exposure change lightness far more than colour."""
_UNEXPLAINED = 8.0
"""Residual from which a pixel belongs to a region; camera noise and compression stay below it."""
_CLEARLY_UNEXPLAINED = 24.0
_GROWTH = 3.0
"""A thing that was in view may cover this many times the pixels it covered one frame earlier."""
_COLOURS = 8 * 32 * 32 + 32 * 32
_FOLLOW_UP = 2.0
"""How many times the strength of its first sight a thing's second sight may add: an emergence starts with something."""
_KEPT = 4
"""Regions of a frame that are followed: the strongest."""
_PAIRS_KEPT = 4096
"""Pairs of frames of which it is remembered what was found: numbers alone."""
_VIEWS_KEPT = 32
"""Frames kept as they are compared, some 0.8 MB each: the next frame of a growing clip is compared with the last."""


@dataclass(frozen=True, slots=True)
class Region:
    """Something in a frame that the frame before does not explain.

    strength : in [0, 1], how much it is new, clear, near, upright, and on the ego path.
    left, top, right : pixels of the working frame, right exclusive.
    lateral, tall : distance of its foot from the middle of the ego path (right > 0), and its height, in camera heights.
    """

    strength: float
    left: int
    top: int
    right: int
    lateral: float
    tall: float


@dataclass(frozen=True, slots=True)
class Emergence:
    """The strongest evidence in a clip that something new came onto the ego path.

    evidence : in [0, 2]. position : of the frame it first shows in, None where there is no region at all.
    region : what was seen there. unrest : mean residual on the ego path over the clip, >= 0, in units of
    `_CLEARLY_UNEXPLAINED`.
    """

    evidence: float
    position: int | None
    region: Region | None
    unrest: float


def find_emergence(
    pixels: npt.NDArray[np.uint8], times_s: tuple[float, ...], horizon: float, kept: Looks | None = None
) -> Emergence:
    """What emerges in a clip's frames, uint8 [n, height, width, 3] RGB, n >= 0, taken at times_s seconds, ascending.

    A region's own strength counts, and to it is added the strength of a region in the next frame that can be the same
    thing gone sideways: what steps into the path is still there a moment later, and elsewhere.

    kept : what was found between neighbouring frames before: those that are the same, pixel for pixel, are not looked
        at again. What is found is the same without it.
    """
    if len(pixels) < 2:
        return Emergence(0.0, None, None, 0.0)
    regions: list[list[Region]] = [[]]
    unrest = []
    for found, residual in _compare(pixels, horizon, Looks() if kept is None else kept):
        regions.append(found)
        unrest.append(residual)
    best = Emergence(0.0, None, None, float(np.mean(unrest)) / _CLEARLY_UNEXPLAINED)
    for position in range(1, len(regions)):
        later = regions[position + 1] if position + 1 < len(regions) else []
        passed = times_s[position + 1] - times_s[position] if later else 0.0
        for region in regions[position]:
            most = _FOLLOW_UP * region.strength
            followed = max((_same_gone_sideways(region, n, passed) * min(n.strength, most) for n in later), default=0.0)
            evidence = region.strength + followed
            if evidence > best.evidence:
                best = Emergence(evidence, position, region, best.unrest)
    return best


class Looks:
    """What was found between neighbouring frames, and the frames that were looked at last, as they are compared. May be
    used by several threads."""

    def __init__(self) -> None:
        self.found: Remembered[tuple[bytes, bytes, float], tuple[list[Region], float]] = Remembered(_PAIRS_KEPT)
        self.views: Remembered[bytes, _View] = Remembered(_VIEWS_KEPT)


def _compare(pixels: npt.NDArray[np.uint8], horizon: float, kept: Looks) -> Iterator[tuple[list[Region], float]]:
    """For each frame but the first: its regions, and the mean residual on the ego path."""
    height, width = working_size(pixels.shape[1], pixels.shape[2])
    names = [digest(frame) for frame in pixels]

    def view(place: int) -> _View:
        return kept.views.get(names[place], lambda: _View.of(pixels[place], height, width))

    def look(place: int) -> tuple[list[Region], float]:
        road, before, after = _road(height, width, horizon), view(place - 1), view(place)
        residual = _residual(road, before, after, road.motion(before.grey, after.grey))
        return _regions(road, before, after, residual), float(residual[road.path].mean())

    for place in range(1, len(pixels)):
        yield kept.found.get((names[place - 1], names[place], horizon), functools.partial(look, place))


@functools.lru_cache(maxsize=8)
def _road(height: int, width: int, horizon: float) -> Road:
    return Road(height, width, horizon)


@dataclass(frozen=True, slots=True)
class _View:
    """A frame at working size. grey : [h, w]. lab : slightly smoothed, [h, w, 3]. colours : Lab cell, [h, w]."""

    grey: Image
    lab: Image
    colours: npt.NDArray[np.int32]

    @classmethod
    def of(cls, frame: Image, height: int, width: int) -> _View:
        small = resized(frame, width, height)
        lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.0)
        cells = lab.astype(np.int32)
        colours = (cells[..., 0] >> 5) * 1024 + ((cells[..., 1] + 4) >> 3) * 32 + ((cells[..., 2] + 4) >> 3)
        return cls(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8), np.asarray(lab, np.uint8), colours)


def _residual(road: Road, before: _View, after: _View, motion: EgoMotion) -> npt.NDArray[np.float32]:
    """How far each pixel lies outside the range of the earlier frame's pixels around where it should come from.

    The earlier frame is moved as the road moves and, for what drives ahead at our speed, as the distant scene does;
    the smaller residual counts. Taking the range over a neighbourhood forgives small errors of the motion.
    """
    size = 2 * max(1, round(_TOLERANCE * road.width)) + 1
    around = np.ones((size, size), np.uint8)
    least = np.full(after.grey.shape, np.inf, np.float32)
    for travel in {motion.travel, 0.0}:
        moved = road.moved(before.lab, EgoMotion(travel, motion.shift))
        above = cv2.subtract(after.lab, cv2.dilate(moved, around))
        below = cv2.subtract(cv2.erode(moved, around), after.lab)
        outside = np.maximum(above, below).astype(np.float32) * _CHANNEL_WEIGHTS
        distance = np.sqrt((outside * outside).sum(axis=2, dtype=np.float32))
        least = np.minimum(least, distance)
    return np.asarray(cv2.GaussianBlur(least, (0, 0), 1.5), np.float32)


def _regions(road: Road, before: _View, after: _View, residual: npt.NDArray[np.float32]) -> list[Region]:
    """The frame's strongest regions, strongest first."""
    unexplained = (residual > _UNEXPLAINED).astype(np.uint8)
    closed = cv2.morphologyEx(unexplained, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(closed)
    found = []
    for number in range(1, count):
        left, top, width, height, area = (int(value) for value in boxes[number])
        shape = _shape(road, left, top, width, height, area / (width * height))
        if shape == 0:
            continue
        inside = labels[top : top + height, left : left + width] == number
        unlike = np.where(inside, residual[top : top + height, left : left + width], 0)
        clear = _ramp(float(unlike.sum()) / area, _UNEXPLAINED, _CLEARLY_UNEXPLAINED)
        strength = shape * clear * _newness(before, after, (left, top, width, height), unlike)
        drop = top + height - road.horizon_y
        lateral = (left + width / 2 - road.middle_x) / drop
        found.append(Region(strength, left, top, left + width, lateral, height / drop))
    return sorted(found, key=lambda region: -region.strength)[:_KEPT]


def _shape(road: Road, left: int, top: int, width: int, height: int, fill: float) -> float:
    """In [0, 1]: whether a box can be a person or vehicle that stands on the ego path, near enough to matter.

    In camera heights (about 1.3 m), counted at the foot's distance: taller than 0.5 (marks on the road are flat),
    fully from 0.9, no taller than 3 and no wider than 3.5. With a focal length of 0.9 widths, the two ends of the
    ramp for the drop are about 40 m and 15 m away. What touches the frame's side may as well be passing.
    """
    drop = top + height - road.horizon_y
    if drop <= 0 or width < 0.012 * road.width or height < 0.04 * road.height:
        return 0.0
    aside = abs(left + width / 2 - road.middle_x) / road.half_width(top + height - 1)
    on_path = 1 - _ramp(aside, 0.8, 1.25)
    near = _ramp(drop / road.width, 0.0315, 0.084)
    upright = _ramp(height / drop, 0.5, 0.9) * (1 - _ramp(height / drop, 2.0, 3.0))
    wide = _ramp(width / drop, 0.1, 0.3) * (1 - _ramp(width / drop, 2.5, 3.5))
    cut_off = 0.3 if left == 0 or left + width == road.width else 1.0
    return on_path * near * upright * wide * cut_off * _ramp(fill, 0.15, 0.35)


def _newness(before: _View, after: _View, box: tuple[int, int, int, int], unlike: npt.NDArray[np.float32]) -> float:
    """In [0, 1]: how much of a region, from top to foot, has colours that were not to be seen around it before.

    A thing that was in view, however it moved since, brought its colours along: each of its pixels is accounted for by
    a pixel of the same colour in the earlier frame, around the box, that may have grown `_GROWTH` times. The share of
    the others (weighted by residual) is taken row by row and then averaged: a brake light that goes on is new, and is
    only a few rows of a car.
    """
    left, top, width, height = box
    frame_height, frame_width = after.colours.shape
    margin_x, margin_y = max(width, frame_width // 25), max(height // 2, frame_width // 25)
    rows = slice(max(0, top - margin_y), min(frame_height, top + height + margin_y))
    columns = slice(max(0, left - margin_x), min(frame_width, left + width + margin_x))
    here = after.colours[top : top + height, left : left + width]
    counts = np.bincount(here[unlike > 0], minlength=_COLOURS)
    earlier = np.bincount(before.colours[rows, columns].ravel(), minlength=_COLOURS)
    new = np.maximum(0.0, 1.0 - _GROWTH * earlier / np.maximum(counts, 1))
    weights = np.minimum(unlike, _CLEARLY_UNEXPLAINED)
    totals = weights.sum(axis=1)
    shown = totals > 0
    return float(((weights * new[here]).sum(axis=1)[shown] / totals[shown]).mean())


def _same_gone_sideways(first: Region, second: Region, passed_s: float) -> float:
    """In [0, 1]: whether the second region can be the first, moved sideways over the road at 0.4 m/s to 10 m/s."""
    speed = abs(second.lateral - first.lateral) / max(passed_s, 1e-3)
    ratio = max(first.tall, second.tall) / max(min(first.tall, second.tall), 1e-3)
    return _ramp(speed, 0.3, 0.8) * (1 - _ramp(speed, 8.0, 12.0)) * (1 - _ramp(ratio, 1.5, 2.5))


def _ramp(value: float, start: float, end: float) -> float:
    """0 up to start, 1 from end on, linear between."""
    return min(1.0, max(0.0, (value - start) / (end - start)))
