"""Cars, vans and buses as shaded solids with windows, lights, plates and wheels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ghostbench.rendering.drawing.light import Colour, Floats
from ghostbench.rendering.drawing.surface import Surface

GLASS: Colour = (52.0, 62.0, 70.0)
RUBBER: Colour = (30.0, 30.0, 32.0)
UNDERSIDE: Colour = (22.0, 22.0, 24.0)
RIM: Colour = (150.0, 152.0, 156.0)

Profile = Sequence[tuple[float, float, float]]
"""Corner points of a side view, rear to front over the top: along (metres from the middle), height, half width."""


@dataclass(frozen=True)
class Pose:
    """Where a vehicle's middle stands, and its heading in radians: 0 drives away from the camera, pi towards it."""

    x: float
    z: float
    heading: float = 0.0

    def world(self, points: Floats) -> Floats:
        """Points in vehicle axes (right, up, forward), shape (n, 3), in the world."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        result: Floats = points @ turn.T + np.array([self.x, 0.0, self.z])
        return result

    def normal(self, direction: tuple[float, float, float]) -> Floats:
        """A direction in vehicle axes, made a unit vector of the world."""
        vector = np.array(direction, dtype=np.float64)
        here = self.world(np.stack([np.zeros(3), vector / np.linalg.norm(vector)]))
        result: Floats = here[1] - here[0]
        return result


@dataclass(frozen=True)
class Vehicle:
    """What a vehicle looks like: `kind` is "car", "van" or "bus"; lights are off unless said."""

    kind: str
    colour: Colour
    braking: bool = False
    blinking_left: bool = False
    rolled: float = 0.0
    """Metres driven so far: turns the wheels."""

    @property
    def size(self) -> tuple[float, float, float]:
        """Length, width and height in metres."""
        return {"car": (4.3, 1.78, 1.46), "van": (5.3, 1.96, 2.35), "bus": (11.2, 2.5, 3.05)}[self.kind]

    def draw(self, canvas: Surface, pose: Pose) -> None:
        """Paint the vehicle; what is farther away must have been painted before."""
        length, width, _ = self.size
        painter = _Painter(canvas, pose, length / 2, width / 2)
        painter.underside()
        if self.kind == "car":
            _car(painter, self)
        elif self.kind == "van":
            _van(painter, self)
        else:
            _bus(painter, self)


class _Painter:
    """Draws parts given in vehicle axes; `l` and `w` are half the length and half the width."""

    def __init__(self, canvas: Surface, pose: Pose, half_length: float, half_width: float) -> None:
        self.canvas, self.pose, self.l, self.w = canvas, pose, half_length, half_width

    def face(
        self, points: Sequence[tuple[float, float, float]], normal: tuple[float, float, float], colour: Colour
    ) -> None:
        self.canvas.face(self.pose.world(np.array(points, dtype=np.float64)), self.pose.normal(normal), colour)

    def underside(self) -> None:
        w, l = self.w * 0.96, self.l * 0.95
        for z, facing in ((-l, -1.0), (l, 1.0)):
            self.face([(-w, 0.02, z), (w, 0.02, z), (w, 0.5, z), (-w, 0.5, z)], (0, 0, facing), UNDERSIDE)
        for x, facing in ((-w, -1.0), (w, 1.0)):
            self.face([(x, 0.02, -l), (x, 0.02, l), (x, 0.5, l), (x, 0.5, -l)], (facing, 0, 0), UNDERSIDE)

    def solid(self, profile: Profile, colours: Sequence[Colour], side: Colour) -> None:
        """An extruded side view; `colours` has one entry per edge between neighbouring profile points."""
        strips = []
        for (z0, y0, w0), (z1, y1, w1), colour in zip(profile, profile[1:], colours, strict=False):
            normal = (0.0, z1 - z0, -(y1 - y0))
            strips.append((normal, [(-w0, y0, z0), (w0, y0, z0), (w1, y1, z1), (-w1, y1, z1)], colour))
        for normal, corners, colour in strips:
            self.face(corners, normal, colour)
        for sign in (-1.0, 1.0):
            self.face([(sign * w, y, z) for z, y, w in profile], (sign, 0.12, 0), side)

    def end(self, front: bool, box: tuple[float, float, float, float], colour: Colour, lean: float = 0.0) -> None:
        """A flat patch (left, right, bottom, top) on the front or rear, mirrored for the viewer who faces it."""
        x0, x1, y0, y1 = box
        z = (self.l + 0.012) * (1 if front else -1) - lean
        self.face([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], (0, 0, 1 if front else -1), colour)

    def side(self, box: tuple[float, float, float, float], colour: Colour, width: float | None = None) -> None:
        """A flat patch (rear, front, bottom, top) on both long sides."""
        z0, z1, y0, y1 = box
        for sign in (-1.0, 1.0):
            x = sign * ((self.w if width is None else width) + 0.012)
            self.face([(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)], (sign, 0, 0), colour)

    def wheels(self, places: Sequence[float], radius: float, rolled: float) -> None:
        turn = rolled / radius
        for sign in (-1.0, 1.0):
            for z in places:
                for size, lift, colour in ((1.18, 0.015, UNDERSIDE), (1.0, 0.02, RUBBER), (0.62, 0.025, RIM)):
                    self._disc((sign * (self.w + lift), radius, z), radius * size, sign, colour)
                for spoke in range(5):
                    angle = turn + spoke * 2 * np.pi / 5
                    tip = radius * 0.42
                    centre = (
                        sign * (self.w + 0.03),
                        radius + tip * float(np.sin(angle)),
                        z + tip * float(np.cos(angle)),
                    )
                    self._disc(centre, radius * 0.13, sign, UNDERSIDE)
        for z, facing in ((min(places) - radius, -1.0), (max(places) + radius, 1.0)):
            for sign in (-1.0, 1.0):
                inner, outer = sorted((sign * (self.w - 0.24), sign * (self.w - 0.01)))
                self.face([(inner, 0, z), (outer, 0, z), (outer, 0.5, z), (inner, 0.5, z)], (0, 0, facing), RUBBER)

    def _disc(self, centre: tuple[float, float, float], radius: float, sign: float, colour: Colour) -> None:
        angles = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        points = [
            (centre[0], max(0.0, centre[1] + radius * float(np.sin(a))), centre[2] + radius * float(np.cos(a)))
            for a in angles
        ]
        self.face(points, (sign, 0, 0), colour)


def _tail_lights(painter: _Painter, look: Vehicle, height: float, size: tuple[float, float]) -> None:
    red: Colour = (255.0, 40.0, 34.0) if look.braking else (168.0, 22.0, 26.0)
    amber: Colour = (255.0, 168.0, 30.0)
    w = painter.w
    for sign in (-1.0, 1.0):
        outer, inner = sign * (w - 0.04), sign * (w - 0.04 - size[0])
        painter.end(False, (min(outer, inner), max(outer, inner), height, height + size[1]), red)
    if look.blinking_left:
        painter.end(False, (-w + 0.02, -w + 0.04 + size[0], height - 0.02, height + size[1] * 0.6), amber)


def _car(p: _Painter, look: Vehicle) -> None:
    c, l, w = look.colour, p.l, p.w
    dark: Colour = (c[0] * 0.55, c[1] * 0.55, c[2] * 0.55)
    body: Profile = [
        (-l, 0.30, w),
        (-l - 0.02, 0.62, w),
        (-l + 0.10, 0.95, w - 0.03),
        (-l + 0.5, 1.0, w - 0.05),
        (l - 1.2, 0.95, w - 0.05),
        (l - 0.15, 0.74, w - 0.04),
        (l, 0.5, w),
        (l - 0.03, 0.28, w),
    ]
    p.solid(body, [dark, c, c, c, c, c, dark], c)
    p.side((-l + 0.15, l - 0.15, 0.30, 0.42), dark)
    roof = w - 0.26
    cabin: Profile = [
        (-l + 0.25, 0.96, w - 0.05),
        (-l + 0.95, 1.42, roof),
        (-0.05, 1.46, roof),
        (l - 1.25, 0.94, w - 0.06),
    ]
    p.solid(cabin, [GLASS, c, GLASS], c)
    for sign in (-1.0, 1.0):
        for rear, front in ((-1.42, -0.42), (-0.34, 0.62)):
            lower = [
                (sign * (w - 0.045), 1.0, rear - 0.12),
                (sign * (w - 0.045), 1.0, front + (0.22 if front > 0 else 0)),
            ]
            upper = [
                (sign * (roof + 0.035), 1.37, front - (0.42 if front > 0 else 0)),
                (sign * (roof + 0.035), 1.37, rear + (0.32 if rear < -1 else 0)),
            ]
            p.face(lower + upper, (sign, 0.12, 0), GLASS)
    for seam in (-0.38, 0.66, -1.25):
        p.side((seam, seam + 0.025, 0.42, 0.94), dark)
    for handle in (-0.62, 0.42):
        p.side((handle - 0.16, handle, 0.80, 0.84), dark)
    _tail_lights(p, look, 0.68, (0.30, 0.17))
    p.end(False, (-0.27, 0.27, 0.58, 0.70), (226.0, 226.0, 214.0))
    p.end(False, (-w + 0.06, w - 0.06, 0.34, 0.50), dark)
    for sign in (-1.0, 1.0):
        p.end(True, (min(sign * 0.48, sign * 0.82), max(sign * 0.48, sign * 0.82), 0.54, 0.70), (236.0, 240.0, 244.0))
    p.end(True, (-0.42, 0.42, 0.50, 0.66), RUBBER)
    p.end(True, (-0.27, 0.27, 0.38, 0.48), (226.0, 226.0, 214.0))
    p.wheels((-l + 0.78, l - 0.82), 0.32, look.rolled)


def _van(p: _Painter, look: Vehicle) -> None:
    c, l, w = look.colour, p.l, p.w
    dark: Colour = (c[0] * 0.62, c[1] * 0.62, c[2] * 0.62)
    body: Profile = [
        (-l, 0.34, w),
        (-l + 0.03, 1.2, w),
        (-l + 0.06, 2.26, w - 0.07),
        (-l + 0.14, 2.35, w - 0.1),
        (l - 1.7, 2.33, w - 0.1),
        (l - 0.85, 1.32, w - 0.03),
        (l - 0.05, 1.02, w),
        (l, 0.34, w),
    ]
    p.solid(body, [c, c, c, c, GLASS, c, dark], c)
    p.side((-l + 0.05, l - 0.05, 0.36, 0.52), dark)
    p.side((-l + 0.3, l - 1.7, 1.02, 1.24), (40.0, 92.0, 150.0))
    p.side((-l + 1.2, l - 2.4, 1.42, 1.86), (40.0, 92.0, 150.0))
    p.side((-l + 1.3, l - 2.5, 1.58, 1.70), (238.0, 240.0, 240.0))
    p.side((l - 1.75, l - 1.0, 1.30, 1.92), GLASS, w - 0.03)
    for seam in (-0.3, 0.85, 1.72):
        p.side((seam, seam + 0.03, 0.52, 2.1), dark)
    for sign in (-1.0, 1.0):
        inner, outer = sorted((sign * 0.10, sign * 0.80))
        p.end(False, (inner, outer, 1.34, 1.98), GLASS, lean=-0.055)
    p.end(False, (-0.015, 0.015, 0.5, 2.2), dark, lean=-0.04)
    p.end(False, (-w + 0.03, w - 0.03, 0.36, 0.56), (52.0, 52.0, 56.0))
    p.end(False, (-0.27, 0.27, 0.66, 0.78), (226.0, 226.0, 214.0))
    p.end(False, (0.06, 0.24, 1.10, 1.16), (52.0, 52.0, 56.0), lean=-0.04)
    red: Colour = (255.0, 40.0, 34.0) if look.braking else (160.0, 24.0, 28.0)
    for sign in (-1.0, 1.0):
        inner, outer = sorted((sign * (w - 0.16), sign * (w - 0.02)))
        p.end(False, (inner, outer, 0.78, 1.28), red, lean=-0.02)
        p.end(True, (inner, outer, 0.70, 0.94), (236.0, 240.0, 244.0))
    p.wheels((-l + 1.0, l - 0.9), 0.34, look.rolled)


def _bus(p: _Painter, look: Vehicle) -> None:
    c, l, w = look.colour, p.l, p.w
    dark: Colour = (c[0] * 0.6, c[1] * 0.6, c[2] * 0.6)
    white: Colour = (232.0, 232.0, 226.0)
    body: Profile = [
        (-l, 0.34, w),
        (-l, 2.9, w),
        (-l + 0.1, 3.05, w - 0.1),
        (l - 0.15, 3.05, w - 0.1),
        (l, 2.9, w),
        (l, 0.34, w),
    ]
    p.solid(body, [c, c, white, c, c], c)
    p.side((-l, l, 2.42, 2.88), white)
    p.side((-l, l, 0.36, 0.62), dark)
    p.side((-l + 0.35, l - 0.3, 1.32, 2.36), (28.0, 32.0, 36.0))
    panes = 8
    step = (2 * l - 0.75) / panes
    for pane in range(panes):
        rear = -l + 0.40 + pane * step
        p.side((rear, rear + step - 0.10, 1.38, 2.30), GLASS, p.w + 0.004)
        p.side((rear + 0.1, rear + step * 0.4, 1.86, 2.28), (96.0, 108.0, 116.0), p.w + 0.008)
        p.side((rear, rear + 0.025, 0.62, 1.30), dark)
    for front in (True, False):
        top = 2.30 if front else 2.2
        p.end(front, (-w + 0.1, w - 0.1, 1.22 if front else 1.5, top), GLASS)
        p.end(front, (-w + 0.25, -0.1, 1.75, top - 0.08), (92.0, 104.0, 112.0), lean=-0.004 if front else 0.004)
        p.end(front, (-w + 0.3, w - 0.3, 2.42, 2.76), (20.0, 20.0, 22.0))
        for mark in range(7):
            p.end(
                front,
                (-0.7 + mark * 0.2, -0.58 + mark * 0.2, 2.50, 2.68),
                (252.0, 168.0, 40.0),
                lean=-0.004 if front else 0.004,
            )
        p.end(front, (-w + 0.04, w - 0.04, 0.36, 0.58), (60.0, 60.0, 64.0))
        p.end(front, (-0.26, 0.26, 0.62, 0.74), (226.0, 226.0, 214.0))
        for sign in (-1.0, 1.0):
            inner, outer = sorted((sign * 0.75, sign * 1.12))
            lamp: Colour = (246.0, 246.0, 236.0) if front else (170.0, 24.0, 28.0)
            p.end(front, (inner, outer, 0.70, 0.90), lamp)
    p.end(True, (-0.03, 0.03, 1.22, 2.30), (28.0, 32.0, 36.0), lean=-0.006)
    p.wheels((-l + 2.6, l - 2.4), 0.47, look.rolled)
