"""Who and what stands on a rendered street: people, riders, vehicles, hedges and walls, recorded to be painted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ghostbench.rendering.drawing.barriers import Piece, draw_hedge, draw_wall
from ghostbench.rendering.drawing.canvas import Canvas
from ghostbench.rendering.drawing.cyclist import CyclistLook, draw_cyclist
from ghostbench.rendering.drawing.light import Colour, Dark, Floats, Light
from ghostbench.rendering.drawing.people import Clothes, ScooterLook, Stride, draw_person, draw_scooter
from ghostbench.rendering.drawing.recording import Recording
from ghostbench.rendering.drawing.street import disc
from ghostbench.rendering.drawing.things import car_at, person_at
from ghostbench.rendering.drawing.vehicles import Pose, Vehicle
from ghostbench.rendering.scene import WIDTHS, Unit
from ghostbench.rendering.tracks import Spot

HEIGHTS_M = {"child": 1.17, "adult": 1.78}
"""Euro NCAP's child dummy is 1.15 m tall."""
_STEPS_M = {"child": 0.55, "adult": 0.74}
PAINTS: tuple[Colour, ...] = (
    (150.0, 152.0, 156.0),
    (196.0, 198.0, 200.0),
    (58.0, 62.0, 70.0),
    (120.0, 36.0, 38.0),
    (44.0, 70.0, 112.0),
    (88.0, 96.0, 84.0),
    (176.0, 160.0, 128.0),
)


@dataclass(frozen=True)
class Placed:
    """A thing to paint: the nearer end's place along the road, which orders the painting, and its shadow's outline.

    body : what lines of sight meet; None for what hides nothing.
    """

    near: float
    paint: Callable[[Canvas], None]
    shadow: Floats | None = None
    owner: int = 0
    body: Recording | None = None


@dataclass(frozen=True)
class Look:
    """The colours of an actor of any kind, drawn once per scene."""

    clothes: Clothes
    paint: Colour
    helmet: Colour


def some_look(draws: np.random.Generator) -> Look:
    """Colours of clothes, vehicle and helmet."""
    top, legs, bag = (_tone(draws.uniform(low, high, 3)) for low, high in ((40, 215), (28, 96), (40, 190)))
    hair = (44.0, 34.0, 28.0) if draws.random() < 0.6 else (104.0, 76.0, 46.0)
    sack = bag if draws.random() < 0.5 else None
    paint = PAINTS[int(draws.integers(len(PAINTS)))]
    return Look(Clothes(top, legs, hair, sack), paint, _tone(draws.uniform(60, 235, 3)))


def an_actor(kind: str, look: Look, spot: Spot, light: Light, owner: int) -> Placed:
    """An actor of a kind at an instant."""
    if kind in HEIGHTS_M:
        return a_person(HEIGHTS_M[kind], _STEPS_M[kind], look.clothes, spot, light, owner)
    if kind == "car":
        return a_vehicle(Vehicle("car", look.paint, rolled=spot.moved), _pose(spot), light, owner)
    toward, turned = _facing(spot.heading)
    recording = Recording(light, turned, (spot.x, spot.z))
    if kind == "cyclist":
        cyclist = CyclistLook(look.paint, look.clothes.top, look.clothes.trousers, look.helmet)
        draw_cyclist(recording, cyclist, (spot.x, spot.z), toward, spot.moved)
    else:
        scooter = ScooterLook(look.paint, look.clothes.top, look.helmet)
        draw_scooter(recording, scooter, (spot.x, spot.z), toward, spot.moved)
    along = np.array([np.cos(spot.heading), 0.0, np.sin(spot.heading)]) * 0.9
    foot, cast = np.array([spot.x, 0.0, spot.z]), np.array([0.55, 0.0, 0.46])
    shadow = np.array([foot - along, foot + along, foot + along * 0.5 + cast, foot - along * 0.5 + cast])
    return Placed(spot.z, recording.play, shadow, owner, recording)


def a_person(height: float, step: float, clothes: Clothes, spot: Spot, light: Light, owner: int = 0) -> Placed:
    """Somebody on foot; `step` is the length of a step, metres."""
    toward, turned = _facing(spot.heading)
    recording = Recording(light, turned, (spot.x, spot.z))
    swing = min(0.55, 0.30 + 0.14 * spot.speed) if spot.speed else 0.03
    stride = Stride(spot.x, spot.z, toward, np.pi * spot.moved / step, swing, 0.05 if spot.speed else 0.01)
    draw_person(recording, height, clothes, stride)
    return Placed(spot.z, recording.play, person_at(height, clothes, stride).shadow, owner, recording)


def a_vehicle(vehicle: Vehicle, pose: Pose, light: Light, owner: int = 0) -> Placed:
    """A moving vehicle, its lamps lit in the dark."""
    recording = Recording(light)
    vehicle.draw(recording, pose)
    length, width, _ = vehicle.size
    along = float(np.cos(pose.heading))
    if isinstance(light, Dark) and light.beams and abs(along) > 0.8:
        end, colour, radius = (1, (255.0, 250.0, 232.0), 0.10) if along < 0 else (-1, (214.0, 34.0, 30.0), 0.07)
        for across in (-1.0, 1.0):
            local = np.array([[across * (width / 2 - 0.26), 0.64, (length / 2 + 0.03) * end]])
            recording.glow(disc(pose.world(local)[0], radius), colour)
    reach = abs(along) * length / 2 + abs(float(np.sin(pose.heading))) * width / 2
    return Placed(pose.z - reach, recording.play, car_at(vehicle, pose).shadow, owner, recording)


def a_hiding_unit(unit: Unit, side: int, inner: float, light: Light, draws: np.random.Generator) -> Placed:
    """One parked vehicle or piece of hedge or wall at the side of the road, `inner` metres from the path's middle."""
    recording = Recording(light)
    outer = inner + WIDTHS[unit.kind]
    if unit.kind in ("hedge", "wall"):
        piece = Piece(side * inner, side * outer, unit.near, unit.far)
        (draw_hedge if unit.kind == "hedge" else draw_wall)(recording, piece, draws)
        beyond = side * (outer + 0.7)
        corners = [(piece.inner, unit.near), (beyond, unit.near), (beyond, unit.far + 0.5), (piece.inner, unit.far)]
        shadow = np.array([(x, 0.0, z) for x, z in corners])
        return Placed(unit.near, recording.play, shadow, 0, recording)
    paint = PAINTS[int(draws.integers(len(PAINTS)))]
    colour = {"van": (224.0, 224.0, 220.0), "bus": (46.0, 116.0, 84.0)}.get(unit.kind, paint)
    vehicle = Vehicle(unit.kind, colour, rolled=float(draws.uniform(0, 3)))
    pose = Pose(side * (inner + outer) / 2, (unit.near + unit.far) / 2)
    vehicle.draw(recording, pose)
    return Placed(unit.near, recording.play, car_at(vehicle, pose).shadow, 0, recording)


def _pose(spot: Spot) -> Pose:
    return Pose(spot.x, spot.z, np.pi / 2 - spot.heading)


def _facing(heading: float) -> tuple[float, float]:
    """Which way a profile looks, -1 or 1 along x, and by how much it is then turned."""
    return (1.0, heading) if np.cos(heading) > -1e-9 else (-1.0, heading - np.pi)


def _tone(values: Floats) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
