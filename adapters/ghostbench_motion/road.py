"""The road ahead as a forward-looking camera sees it: where the ego path is, and how driving on moves the picture.

The camera looks along a flat road, its vanishing point in the middle of the frame's width at a given horizon. A point
of the road that is z ahead of a camera h above it lies f*h/z pixels below the horizon (f: focal length in pixels).
After driving d, it lies f*h/(z - d) below: with y measured from the horizon and k = d/(f*h), the point at y moves to
y/(1 - k*y), and its distance from the middle column grows by the same factor. So one number, k, says how the whole road
moves, and it is found by trying some. Things that stand on the road are measured against the drop from the horizon to
their foot: that drop is the camera's height (about 1.3 m) at their distance, whatever f is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

WIDTH = 480
"""Working width, pixels: every clip is brought to it, so that pixel constants mean the same for all."""
_MIN_HEIGHT, _MAX_HEIGHT = 96, 480

_BOTTOM = 0.90
"""Lower end of the road, as a share of the height: below it is the bonnet."""
_PATH_HALF_WIDTHS = (0.045, 0.35)
"""Half the ego path's width, as a share of the frame's width, just under the horizon and at the bottom."""
_PATH_TOP = 0.035
"""Where the path begins under the horizon, as a share of the height."""
_TRAVELS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.25, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0, 5.0)
"""Tried distances between two frames, in units of the distance to the lowest visible road (some 5 m)."""
_CLIPPED_DIFFERENCE = 40
"""Grey levels: beyond it a pixel is simply not the road, and says no more about how far the car went."""
_MIN_RESPONSE = 0.1
"""A phase correlation under it found no shift."""


def working_size(height: int, width: int) -> tuple[int, int]:
    """Height and width, pixels, that a frame is analysed at: 480 wide, its proportions kept within reason."""
    return int(np.clip(round(WIDTH * height / width), _MIN_HEIGHT, _MAX_HEIGHT)), WIDTH


def resized(image: Image, width: int, height: int) -> Image:
    """The image at another size. Halved by means first, which is fast, so that little is left to interpolate."""
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


@dataclass(frozen=True, slots=True)
class EgoMotion:
    """How the camera moved between two frames.

    travel : distance driven, >= 0, in units of the distance to the lowest visible road.
    shift : how far the distant scene moved right and down, pixels (the camera turned the other way).
    """

    travel: float
    shift: tuple[float, float]


class Road:
    """The ego path in frames of one working size, and the ego motion between two of them.

    Parameters
    ----------
    height, width : of the frames, pixels.
    horizon : its height as a share of the frame's, from the top, in (0, 0.9).

    Attributes
    ----------
    horizon_y, middle_x : the vanishing point, pixels.
    path : bool [height, width], True where the frame shows the ego path on the road.
    """

    def __init__(self, height: int, width: int, horizon: float) -> None:
        self.height = height
        self.width = width
        self.horizon_y = horizon * height
        self.middle_x = width / 2
        self._top_y = self.horizon_y + _PATH_TOP * height
        self._bottom_y = _BOTTOM * height
        self.path: npt.NDArray[np.bool_] = self._path_mask(1)
        self._half_path = self._path_mask(2)
        far_top, far_bottom = max(0, int(self.horizon_y - 0.25 * height)), int(self.horizon_y + 0.1 * height)
        self._far = (slice(far_top, far_bottom), slice(int(0.2 * width), int(0.8 * width)))
        self._far_window = cv2.createHanningWindow(
            (int(0.8 * width) - int(0.2 * width), far_bottom - far_top), cv2.CV_32F
        )

    def half_width(self, y: float) -> float:
        """Half the ego path's width at row y, pixels; constant above the path's top and below its bottom."""
        share = (y - self._top_y) / (self._bottom_y - self._top_y)
        narrow, wide = _PATH_HALF_WIDTHS
        return self.width * (narrow + (wide - narrow) * float(np.clip(share, 0, 1)))

    def motion(self, before: Image, after: Image) -> EgoMotion:
        """The ego motion between two grey frames of the working size, uint8 [height, width].

        The shift is a phase correlation of the distant scene; the travel is the one of those tried under which the
        road of `before` comes closest to that of `after` (mean absolute difference, clipped), 0 where all are equal.
        """
        shift = self._far_shift(before, after)
        width, height = self.width // 2, self.height // 2
        before_half = resized(before, width, height)
        after_half = resized(after, width, height)[self._half_path]
        costs = []
        for travel in _TRAVELS:
            moved = self._moved(before_half, EgoMotion(travel, (shift[0] / 2, shift[1] / 2)), 2)[self._half_path]
            costs.append(float(np.minimum(cv2.absdiff(moved, after_half), _CLIPPED_DIFFERENCE).mean()))
        return EgoMotion(_TRAVELS[int(np.argmin(costs))], shift)

    def moved(self, image: Image, motion: EgoMotion) -> Image:
        """The frame as it would look after that motion if everything in it lay on the road; edges are repeated."""
        return self._moved(image, motion, 1)

    def _moved(self, image: Image, motion: EgoMotion, shrink: int) -> Image:
        x, y = self.middle_x / shrink, self.horizon_y / shrink
        k = motion.travel / (self._bottom_y / shrink - y)
        to_origin = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], np.float64)
        from_origin = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
        back = np.array([[1, 0, 0], [0, 1, 0], [0, k, 1]], np.float64)
        unshift = np.array([[1, 0, -motion.shift[0]], [0, 1, -motion.shift[1]], [0, 0, 1]], np.float64)
        source = unshift @ from_origin @ back @ to_origin
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (image.shape[1], image.shape[0])
        return np.asarray(
            cv2.warpPerspective(image, source, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )

    def _far_shift(self, before: Image, after: Image) -> tuple[float, float]:
        """Shift of the scene around the vanishing point, pixels; none where it is unclear or too large to be true."""
        first, second = before[self._far].astype(np.float32), after[self._far].astype(np.float32)
        (dx, dy), response = cv2.phaseCorrelate(first, second, self._far_window)
        clear = response >= _MIN_RESPONSE and abs(dx) <= 0.1 * self.width and abs(dy) <= 0.06 * self.height
        return (float(dx), float(dy)) if clear else (0.0, 0.0)

    def _path_mask(self, shrink: int) -> npt.NDArray[np.bool_]:
        corners = [
            (self.middle_x + side * self.half_width(y), y)
            for y, side in ((self._top_y, -1), (self._top_y, 1), (self._bottom_y, 1), (self._bottom_y, -1))
        ]
        mask = np.zeros((self.height // shrink, self.width // shrink), np.uint8)
        cv2.fillPoly(mask, [np.array(corners).astype(np.int32) // shrink], 1)
        return mask.astype(bool)
