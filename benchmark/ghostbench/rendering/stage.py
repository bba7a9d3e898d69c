"""A scene's street with all that stands and moves on it, for all of its twins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from ghostbench.rendering.cast import PAINTS, Look, Placed, a_hiding_unit, a_person, a_vehicle, an_actor, some_look
from ghostbench.rendering.drawing.canvas import Camera, Sensor
from ghostbench.rendering.drawing.light import Dark, Light, light_of
from ghostbench.rendering.drawing.ride import Mount, ride
from ghostbench.rendering.drawing.street import Furniture, Line, Street
from ghostbench.rendering.drawing.vehicles import Pose, Vehicle
from ghostbench.rendering.parameters import Twin
from ghostbench.rendering.scene import LANE_LINE, NEXT_LANE, Scene
from ghostbench.rendering.tracks import NOSE, Spot

ACTOR = 1
"""The number under which a canvas knows the actor."""
_OTHER_KERB = 7.4
"""From the middle of the ego car's path to the kerb on the open side, metres."""
_FREE = 8.0
"""Traffic keeps this many metres from an actor whose way it shares."""


@dataclass(frozen=True)
class Sight:
    """When an actor is in sight, seconds from the clip's start.

    first_s : from when on it stays in sight until the clip ends or it leaves the picture, but for pauses of less than
        half a second, as when a foot passes behind a wheel; None if it never is.
    before_s : for how long it was in sight before that.
    """

    first_s: float | None
    before_s: float


class Stage:
    """The street of a scene. Everything but the actor and what hides it is the same in all twins."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.sensor = Sensor(*scene.grid.size)
        self.sights: dict[Twin, Sight] = {}
        light = light_of(scene.parameters.light, scene.parameters.rain)
        dark_lamps = isinstance(light, Dark) and not scene.parameters.lamps
        self.light: Light = replace(light, glow=0.0) if isinstance(light, Dark) and dark_lamps else light

    @cached_property
    def street(self) -> Street:
        """The street with its houses; of its trees and lamp posts those that hide nobody."""
        scene = self.scene
        left, right = (_OTHER_KERB, scene.kerb) if scene.side > 0 else (scene.kerb, _OTHER_KERB)
        edge = Line(scene.side * (scene.face - 0.12), width=0.10)
        street = Street(
            int(scene.draws("street").integers(1 << 30)),
            -left,
            right,
            scene.pavement,
            (Line(-scene.side * LANE_LINE, 3.0, 4.5), edge),
            light=self.light,
            sensor=self.sensor,
            texels=min(40, max(8, round(40 * self.sensor.scale))),
        )
        return street.keeping(self._stands_clear)

    def _stands_clear(self, item: Furniture) -> bool:
        """Whether a tree or lamp post is not between the camera and the actor's way."""
        scene = self.scene
        return item.x * scene.side < 0 or abs(item.x) > scene.parameters.start + 0.8 or item.z > scene.line_z + 2

    @cached_property
    def cameras(self) -> list[Camera]:
        """The camera of every frame."""
        scene = self.scene
        times = np.arange(scene.grid.frames) / scene.grid.fps
        mount = Mount(scene.parameters.camera_height_m, self.sensor)
        seed = int(scene.draws("camera").integers(1 << 30))
        steady = np.full(len(times), scene.ego)
        return ride(scene.ego * times, steady, np.zeros(len(times)), seed, scene.grid.fps, mount)

    def light_at(self, camera: Camera) -> Light:
        """The light of a frame: the ego car's lamps move with it."""
        if not isinstance(self.light, Dark):
            return self.light
        lamps = [lamp for lamp in self.street.lamps if -12 < lamp.z - camera.z < 110]
        return replace(self.light, front=camera.z + NOSE, lamps=tuple(lamps) if self.light.glow else ())

    @cached_property
    def hiding(self) -> list[Placed]:
        """The occluder and the row behind it."""
        scene, draws = self.scene, self.scene.draws("occluder")
        return [a_hiding_unit(unit, scene.side, scene.face, self.light, draws) for unit in scene.units]

    @cached_property
    def standing(self) -> list[Placed]:
        """Trees and lamp posts."""
        return [Placed(item.z, partial(self.street.draw_furniture, item=item)) for item in self.street.furniture]

    @cached_property
    def _look(self) -> Look:
        return some_look(self.scene.draws("actor"))

    def actor(self, twin: Twin, time: float) -> Placed | None:
        """The actor of a twin at a time, seconds; None where there is none."""
        track = self.scene.track(twin)
        if track is None:
            return None
        return an_actor(self.scene.parameters.actor, self._look, track.at(time), self.light, ACTOR)

    def others(self, time: float) -> list[Placed]:
        """Traffic and people that have nothing to do with it."""
        side, found = self.scene.side, []
        for look, place, speed in self._traffic:
            pose = Pose(-side * NEXT_LANE, place + speed * time, 0.0 if speed > 0 else np.pi)
            found.append(a_vehicle(replace(look, rolled=abs(speed) * time), pose, self.light))
        for look_of, height, x, place, pace in self._pedestrians:
            spot = Spot(x, place + pace * time, np.pi / 2 * np.sign(pace), pace * time, abs(pace))
            found.append(a_person(height, 0.74, look_of.clothes, spot, self.light))
        return found

    @cached_property
    def _traffic(self) -> list[tuple[Vehicle, float, float]]:
        """Each vehicle with its place at first and its speed along the road; none that shares an actor's way."""
        scene, draws, found = self.scene, self.scene.draws("traffic"), []
        for number in range(scene.parameters.traffic):
            kind = "van" if draws.random() < 0.2 else "car"
            look = Vehicle(kind, PAINTS[int(draws.integers(len(PAINTS)))])
            place, speed = 20 + 34 * number + float(draws.uniform(0, 22)), float(draws.uniform(8, 13))
            if scene.side > 0:
                place, speed = place + 8 * scene.grid.seconds, -speed
            if self._keeps_clear(place, speed):
                found.append((look, place, speed))
        return found

    def _keeps_clear(self, place: float, speed: float) -> bool:
        scene = self.scene
        if scene.parameters.behaviour == "cuts_in":
            return False
        twins: tuple[Twin, ...] = ("as_is", "in_view")
        ways = [track for track in map(scene.track, twins) if track is not None]
        for time in np.linspace(0, scene.grid.seconds, 41):
            for spot in (way.at(float(time)) for way in ways):
                if -scene.side * spot.x > LANE_LINE - 0.6 and abs(spot.z - place - speed * time) < _FREE:
                    return False
        return True

    @cached_property
    def _pedestrians(self) -> list[tuple[Look, float, float, float, float]]:
        """Each with looks, height, place across and at first along the road, and pace; none near an actor's way."""
        scene, draws, found = self.scene, self.scene.draws("pedestrians"), []
        count = scene.parameters.pedestrians
        for number in range(count):
            side = 1 if draws.random() < 0.5 else -1
            share, part = float(draws.uniform(0.5, 0.85)), float(draws.uniform(0, 1))
            pace, height = float(draws.uniform(0.6, 1.4)), float(draws.uniform(1.58, 1.84))
            pace *= 1 if draws.random() < 0.5 else -1
            look = some_look(draws)
            kerb = scene.kerb if side == scene.side else _OTHER_KERB
            out, place = kerb + 0.5 + share * (scene.pavement - 0.9), 12 + (scene.line_z + 30) * (number + part) / count
            if side == scene.side and out < scene.parameters.start + 0.8 and place < scene.line_z + 10:
                continue
            found.append((look, height, side * out, place, pace))
        return found
