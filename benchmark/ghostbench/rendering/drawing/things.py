"""What stands and moves on a street: vehicles and people, with their shadows and the order of painting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ghostbench.rendering.drawing.canvas import Canvas
from ghostbench.rendering.drawing.light import Floats
from ghostbench.rendering.drawing.people import Clothes, Stride, draw_person
from ghostbench.rendering.drawing.vehicles import Pose, Vehicle


@dataclass(frozen=True)
class Thing:
    """Something to draw: how far along the road it is, its ground shadow, and how to draw it."""

    z: float
    draw: Callable[[Canvas], None]
    shadow: Floats | None = None
    owner: int = 0


def car_at(vehicle: Vehicle, pose: Pose, owner: int = 0) -> Thing:
    """A vehicle with the shadow that the sun, from the upper left behind, throws to its right."""
    length, width, height = vehicle.size
    w, half = width / 2 + 0.05, length / 2 + 0.1
    outline = pose.world(np.array([[-w, 0, -half], [w, 0, -half], [w, 0, half], [-w, 0, half]], dtype=np.float64))
    cast = np.array([0.50, 0.0, 0.42]) * height * 0.8
    ends = np.concatenate([outline, outline + cast])
    hull = ends[_hull(ends[:, [0, 2]])]
    return Thing(pose.z, lambda canvas: vehicle.draw(canvas, pose), hull, owner)


def _hull(points: Floats) -> list[int]:
    centre = points.mean(axis=0)
    order = np.argsort(np.arctan2(*(points - centre).T))
    kept: list[int] = []
    for index in [*order, *order]:
        while len(kept) >= 2 and _turn(points[kept[-2]], points[kept[-1]], points[index]) >= 0:
            kept.pop()
        kept.append(int(index))
    start = len(kept) // 2
    return list(dict.fromkeys(kept[start:]))


def _turn(a: Floats, b: Floats, c: Floats) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def person_at(height: float, clothes: Clothes, stride: Stride, owner: int = 0) -> Thing:
    """A person with a shadow on the ground."""
    foot = np.array([stride.x, 0.0, stride.z])
    cast = np.array([0.50, 0.0, 0.42]) * height
    side = np.array([0.16, 0.0, -0.10])
    shadow = np.array([foot - side, foot + side, foot + cast + side, foot + cast - side])
    return Thing(stride.z, lambda canvas: draw_person(canvas, height, clothes, stride), shadow, owner)


def parked(seed: int, x: float, places: Sequence[float], heading: float = 0.0) -> list[Thing]:
    """A row of parked cars of different colours with their middles at `places`."""
    rng = np.random.default_rng(seed)
    colours = (
        (150, 152, 156),
        (196, 198, 200),
        (58, 62, 70),
        (120, 36, 38),
        (44, 70, 112),
        (88, 96, 84),
        (176, 160, 128),
    )
    things = []
    for z in places:
        tint = colours[int(rng.integers(len(colours)))]
        look = Vehicle("car", (float(tint[0]), float(tint[1]), float(tint[2])), rolled=float(rng.uniform(0, 3)))
        things.append(car_at(look, Pose(x + float(rng.uniform(-0.08, 0.08)), z, heading)))
    return things


def walkers(time: float, seed: int, x: float, places: Sequence[float]) -> list[Thing]:
    """People standing or strolling along a pavement, never towards the road."""
    rng = np.random.default_rng(seed)
    things = []
    for z in places:
        top, legs = rng.uniform(40, 190, 3), rng.uniform(30, 90, 3)
        clothes = Clothes(
            (float(top[0]), float(top[1]), float(top[2])), (float(legs[0]), float(legs[1]), float(legs[2]))
        )
        pace = float(rng.uniform(-0.9, 0.9))
        stride = Stride(
            x + float(rng.uniform(-0.8, 0.8)),
            z + pace * time,
            1.0 if rng.random() < 0.5 else -1.0,
            4.5 * pace * time,
            0.25,
        )
        things.append(person_at(float(rng.uniform(1.58, 1.84)), clothes, stride))
    return things
