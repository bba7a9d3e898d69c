"""Things drawn once and shown from many places: quicker than drawing anew, and what lines of sight are taken from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ghostbench.rendering.drawing.canvas import NEAR, Camera, Canvas, clip_near
from ghostbench.rendering.drawing.light import Colour, Floats, Light

_CORNERS = 20
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)) for f in (np.cos, np.sin)], axis=1)


class Recording:
    """A surface that keeps what is drawn on it, to be played to any number of canvases with the same light.

    turned : an angle about an upright axis through `centre`, (x, z), by which everything drawn is turned, radians;
        a quarter turn takes what runs to the right (x) to what runs away (z).
    """

    def __init__(self, light: Light, turned: float = 0.0, centre: tuple[float, float] = (0.0, 0.0)) -> None:
        self.light = light
        self._turned, self._centre = turned, centre
        self._flat: list[tuple[Floats, Floats | None, Colour, bool]] = []
        self._sticks: list[tuple[Floats, tuple[float, float], Colour]] = []
        self._order: list[tuple[bool, int]] = []

    def polygon(self, points: Floats, colour: Colour) -> None:
        """Keep a flat polygon."""
        self._keep(points, None, colour, False)

    def glow(self, points: Floats, colour: Colour) -> None:
        """Keep a polygon that shines by itself."""
        self._keep(points, None, colour, True)

    def face(self, points: Floats, normal: Floats, colour: Colour) -> None:
        """Keep a polygon of a solid, shaded."""
        self._keep(points, self._turn(normal, about=False), self.light.lit(colour, normal), False)

    def limb(self, start: Floats, end: Floats, radii: tuple[float, float], colour: Colour) -> None:
        """Keep a tapered round stick."""
        self._order.append((True, len(self._sticks)))
        self._sticks.append((self._turn(np.array([start, end], dtype=np.float64)), radii, colour))

    def _keep(self, points: Floats, normal: Floats | None, colour: Colour, glows: bool) -> None:
        self._order.append((False, len(self._flat)))
        self._flat.append((self._turn(np.asarray(points, dtype=np.float64)), normal, colour, glows))

    def _turn(self, points: Floats, about: bool = True) -> Floats:
        if not self._turned:
            return points
        c, s = np.cos(self._turned), np.sin(self._turned)
        pivot = np.array([self._centre[0], 0.0, self._centre[1]]) if about else np.zeros(3)
        result: Floats = (points - pivot) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) + pivot
        return result

    @cached_property
    def _arrays(self) -> _Arrays:
        counts = np.array([len(points) for points, *_ in self._flat], dtype=np.intp)
        normals = [np.zeros(3) if normal is None else normal for _, normal, *_ in self._flat]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp) if len(counts) else counts
        none = np.zeros((0, 3))
        return _Arrays(
            vertices=np.concatenate([points for points, *_ in self._flat]) if len(counts) else none,
            starts=starts,
            counts=counts,
            normals=np.array(normals).reshape(-1, 3),
            bare=np.array([normal is None for _, normal, *_ in self._flat], dtype=bool),
            colours=np.array([colour for *_, colour, _ in self._flat]).reshape(-1, 3),
            glows=np.array([glows for *_, glows in self._flat], dtype=bool),
            ends=np.array([ends for ends, *_ in self._sticks]).reshape(-1, 2, 3),
            radii=np.array([radii for _, radii, _ in self._sticks]).reshape(-1, 2),
            tints=np.array([tint for *_, tint in self._sticks]).reshape(-1, 3),
        )

    def polygons(self, camera: Camera) -> list[list[Floats]]:
        """For each part, in the order of painting, its polygons in drawn pixels, (n, 2); none where it is not seen."""
        flat, sticks = self._arrays.flat_shapes(camera), self._arrays.stick_shapes(camera)
        return [sticks[number] if stick else flat[number] for stick, number in self._order]

    def overlaps(self, camera: Camera, low: Floats, high: Floats) -> bool:
        """Whether it may be seen within a rectangle of the picture, its corners in drawn pixels, (2,); where it comes
        up to the camera, it may."""
        placed = camera.to_camera(np.concatenate([self._arrays.vertices, self._arrays.ends.reshape(-1, 3)]))
        if placed[:, 2].min() < NEAR:
            return True
        flat = camera.to_pixels(placed)
        widest = camera.sensor.focal * float(self._arrays.radii.max(initial=0.0)) / float(placed[:, 2].min())
        return bool((flat.min(axis=0) - widest <= high).all() and (flat.max(axis=0) + widest >= low).all())

    def play(self, canvas: Canvas) -> None:
        """Paint it as if it were drawn on the canvas."""
        arrays, light = self._arrays, canvas.light
        flat = light.all_seen(
            arrays.colours, arrays.centres, arrays.depths(canvas.camera, arrays.centres), arrays.glows
        )
        middles = arrays.ends.mean(axis=1)
        dark = np.zeros(len(middles), dtype=bool)
        sticks = light.all_seen(arrays.tints, middles, arrays.depths(canvas.camera, middles), dark)
        for (stick, number), polygons in zip(self._order, self.polygons(canvas.camera), strict=True):
            for polygon in polygons:
                canvas.fill(polygon, (sticks if stick else flat)[number])


@dataclass(frozen=True)
class _Arrays:
    """The parts of a recording, flat polygons and round sticks apart."""

    vertices: Floats
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]
    normals: Floats
    bare: NDArray[np.bool_]
    colours: Floats
    glows: NDArray[np.bool_]
    ends: Floats
    radii: Floats
    tints: Floats

    @cached_property
    def centres(self) -> Floats:
        if not len(self.starts):
            return np.zeros((0, 3))
        result: Floats = np.add.reduceat(self.vertices, self.starts) / self.counts[:, None]
        return result

    @staticmethod
    def depths(camera: Camera, places: Floats) -> Floats:
        result: Floats = (places - camera.position) @ camera.rotation[2]
        return result

    def flat_shapes(self, camera: Camera) -> list[list[Floats]]:
        if not len(self.starts):
            return []
        placed = camera.to_camera(self.vertices)
        near = np.minimum.reduceat(placed[:, 2], self.starts)
        far = np.maximum.reduceat(placed[:, 2], self.starts)
        facing = self.bare | (((camera.position - self.vertices[self.starts]) * self.normals).sum(axis=1) > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = camera.to_pixels(placed)
        left, top = np.minimum.reduceat(flat, self.starts).T
        right, bottom = np.maximum.reduceat(flat, self.starts).T
        inside = (right >= 0) & (bottom >= 0) & (left <= camera.sensor.columns) & (top <= camera.sensor.rows)
        shapes: list[list[Floats]] = []
        for number, (start, count) in enumerate(zip(self.starts, self.counts, strict=True)):
            if not facing[number] or far[number] < NEAR:
                shapes.append([])
            elif near[number] >= NEAR:
                shapes.append([flat[start : start + count]] if inside[number] else [])
            else:
                kept = clip_near(placed[start : start + count])
                shapes.append([camera.to_pixels(kept)] if len(kept) else [])
        return shapes

    def stick_shapes(self, camera: Camera) -> list[list[Floats]]:
        if not len(self.ends):
            return []
        placed = camera.to_camera(self.ends.reshape(-1, 3)).reshape(-1, 2, 3)
        shown = placed[:, :, 2].min(axis=1) >= NEAR
        depth = np.maximum(placed[:, :, 2], NEAR)
        placed[:, :, 2] = depth
        flat = camera.to_pixels(placed.reshape(-1, 3)).reshape(-1, 2, 2)
        sizes = camera.sensor.focal * self.radii / depth
        circles = flat[:, :, None] + sizes[:, :, None, None] * _CIRCLE
        along = flat[:, 1] - flat[:, 0]
        length = np.hypot(along[:, 0], along[:, 1])
        across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(length, 1e-12)[:, None]
        side, end_side = across * sizes[:, :1], across * sizes[:, 1:]
        quads = np.stack([flat[:, 0] + side, flat[:, 1] + end_side, flat[:, 1] - end_side, flat[:, 0] - side], axis=1)
        return [
            [circles[i, 0], circles[i, 1], *([quads[i]] if length[i] > 1e-9 else [])] if shown[i] else []
            for i in range(len(self.ends))
        ]
