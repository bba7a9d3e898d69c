"""The five scenes: who stands where, who moves how, and how the ego car answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ghostbench.rendering.drawing.canvas import Camera
from ghostbench.rendering.drawing.light import Floats
from ghostbench.rendering.drawing.people import Clothes, ScooterLook, Stride, draw_scooter
from ghostbench.rendering.drawing.ride import ride
from ghostbench.rendering.drawing.street import Line, Street
from ghostbench.rendering.drawing.things import Thing, car_at, parked, person_at, walkers
from ghostbench.rendering.drawing.vehicles import Pose, Vehicle

FPS = 25
ACTOR = 1
"""The number under which a canvas knows the road user that the scene is about."""


@dataclass(frozen=True)
class Brake:
    """From `start` seconds on, slow down by `rate` m/s² until `down_to` m/s."""

    start: float
    rate: float
    down_to: float = 0.0


@dataclass(frozen=True)
class Emergence:
    """What is known about the actor beyond what the renderer counts: its kind, its occluder, where it comes from."""

    actor: str
    occluder: str | None
    side: str
    path: Callable[[float], tuple[float, float]]
    """The (x, z) of the actor's middle at a time."""


@dataclass(frozen=True)
class Scene:
    """One clip: `label` is "ghost probing", "cut-in" or "none"; `things` gives what is on the road at a time."""

    clip: str
    title: str
    label: str
    seconds: float
    street: Street
    speed: float
    brake: Brake | None
    things: Callable[[float], Sequence[Thing]]
    emergence: Emergence | None = None
    lane_entry: Callable[[float], bool] | None = None
    """For a cut-in: whether the actor's nearer side is over the line of the ego lane at a time."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * FPS)

    def drive(self) -> tuple[Floats, Floats, Floats]:
        """Place (m), speed (m/s) and braking (m/s²) of the ego car at every frame, each of shape (frames,)."""
        steps = 20
        place, speed = 0.0, self.speed
        log = []
        for tick in range(self.frames * steps):
            time = tick / (FPS * steps)
            rate = 0.0
            if self.brake is not None and time >= self.brake.start and speed > self.brake.down_to:
                rate = self.brake.rate
            if tick % steps == 0:
                log.append((place, speed, rate))
            speed = max(speed - rate / (FPS * steps), 0.0)
            place += speed / (FPS * steps)
        places, speeds, rates = np.array(log).T
        return places, speeds, rates

    @cached_property
    def cameras(self) -> list[Camera]:
        """The camera of every frame."""
        places, speeds, rates = self.drive()
        return ride(places, speeds, rates, self.street.seed + 77, FPS)


def _child() -> Scene:
    street = Street(11, -7.6, 4.1, 4.2, (Line(-1.75, 3.0, 4.5), Line(1.85, gap=0.0, width=0.10)))
    van = Vehicle("van", (226.0, 226.0, 222.0))
    clothes = Clothes((206.0, 52.0, 44.0), (44.0, 60.0, 104.0), (60.0, 42.0, 30.0), (38.0, 108.0, 176.0))

    def path(time: float) -> tuple[float, float]:
        return 2.62 - 2.5 * max(0.0, time - 2.75), 44.3

    def things(time: float) -> list[Thing]:
        x, z = path(time)
        row = parked(5, 3.05, (8.0, 14.3, 20.4, 26.6, 50.5, 56.4, 68.0, 80.0)) + parked(
            6, -6.5, (12, 24, 30, 41, 53, 66, 79), np.pi
        )
        running = time > 2.75
        child = Stride(x, z, -1.0, 3.9 * (2.62 - x) / 0.9, 0.92 if running else 0.0, 0.22 if running else 0.02)
        return [
            *row,
            *walkers(time, 8, -9.6, (22, 35, 47)),
            *walkers(time, 9, 6.4, (31, 60)),
            car_at(van, Pose(3.02, 41.0)),
            person_at(1.24, clothes, child, ACTOR),
        ]

    return Scene(
        "ghost5_02",
        "a child runs out from behind a parked van",
        "ghost probing",
        6.0,
        street,
        9.0,
        Brake(3.55, 6.5),
        things,
        Emergence("child", "parked van", "right", path),
    )


def _scooter() -> Scene:
    street = Street(23, -8.2, 4.4, 3.6, (Line(-1.75, 2.5, 2.5), Line(-5.1, 0.9, 0.9, 0.1), Line(3.9, width=0.10)))
    bus = Vehicle("bus", (46.0, 116.0, 84.0))
    look = ScooterLook((196.0, 44.0, 40.0), (222.0, 178.0, 44.0), (232.0, 232.0, 232.0))

    def path(time: float) -> tuple[float, float]:
        return -4.3 + 3.6 * max(0.0, time - 2.3), 50.0

    def things(time: float) -> list[Thing]:
        x, z = path(time)
        queue = [
            car_at(Vehicle("car", (170.0, 174.0, 180.0)), Pose(-3.4, 55.2, np.pi)),
            car_at(Vehicle("car", (70.0, 84.0, 120.0)), Pose(-3.45, 61.0, np.pi)),
            car_at(Vehicle("car", (128.0, 40.0, 42.0)), Pose(-3.4, 30.6, np.pi)),
        ]
        rider = Thing(
            z,
            lambda canvas: draw_scooter(canvas, look, (x, z), 1.0, x),
            np.array([[x - 0.9, 0, z - 0.1], [x + 0.9, 0, z - 0.1], [x + 1.5, 0, z + 0.6], [x - 0.2, 0, z + 0.6]]),
            ACTOR,
        )
        return [
            *queue,
            *parked(15, -7.1, (9, 15, 27, 40, 52, 70), np.pi),
            *walkers(time, 18, 5.8, (18, 33, 41, 70)),
            car_at(bus, Pose(-3.55, 42.6, np.pi)),
            rider,
        ]

    return Scene(
        "ghost5_05",
        "a scooter comes out from behind a standing bus",
        "ghost probing",
        6.4,
        street,
        10.0,
        Brake(3.3, 6.0),
        things,
        Emergence("scooter", "standing bus", "left", path),
    )


def _cut_in() -> Scene:
    street = Street(37, -5.4, 5.5, 5.0, (Line(-1.8, 3.0, 0.0, 0.16), Line(1.8, 3.0, 5.0)))

    def path(time: float) -> tuple[float, float]:
        across = np.clip((time - 2.0) / 2.2, 0, 1)
        return 3.6 * (1 - (3 * across**2 - 2 * across**3)), 14.5 + 12.2 * time - 0.34 * max(0.0, time - 2.0) ** 2

    def things(time: float) -> list[Thing]:
        x, z = path(time)
        sideways = (path(time + 0.02)[0] - path(time - 0.02)[0]) / 0.04 / 12.0
        blinking = 1.2 < time < 4.4 and (time * 1.5) % 1.0 < 0.5
        car = Vehicle("car", (44.0, 76.0, 138.0), braking=time > 4.4, blinking_left=blinking, rolled=z)
        lorry = Vehicle("van", (206.0, 204.0, 196.0), rolled=60 + 11 * time)
        oncoming = Vehicle("car", (176.0, 178.0, 182.0), rolled=11 * time)
        return [
            car_at(lorry, Pose(3.5, 52 + 11.0 * time)),
            car_at(oncoming, Pose(-3.6, 78 - 11.0 * time, np.pi)),
            *walkers(time, 28, 7.6, (20, 38, 66, 83)),
            *walkers(time, 29, -7.2, (25, 52, 77)),
            car_at(car, Pose(x, z, float(np.arctan(sideways))), ACTOR),
        ]

    return Scene(
        "ghost5_01",
        "a car in plain view changes into the ego lane",
        "cut-in",
        6.4,
        street,
        12.0,
        Brake(3.6, 1.6, 9.4),
        things,
        Emergence("car", None, "right", path),
        lambda time: path(time)[0] - 0.89 < 1.8,
    )


def _crossing() -> Scene:
    street = Street(41, -6.0, 4.6, 4.4, (Line(-1.75, 3.0, 4.5), Line(4.0, width=0.10)), zebra_z=64.0)
    clothes = Clothes((62.0, 92.0, 62.0), (52.0, 54.0, 66.0), (36.0, 30.0, 28.0))

    def path(time: float) -> tuple[float, float]:
        return -5.4 + 1.35 * time, 64.0

    def things(time: float) -> list[Thing]:
        x, z = path(time)
        person = Stride(x, z, 1.0, 4.4 * x, 0.46)
        return [
            *parked(35, -5.0, (10.0, 16.0, 28.0, 80.0, 92.0), np.pi),
            *parked(36, 3.7, (84.0, 91.0)),
            *walkers(time, 38, 6.8, (16, 29, 51, 78)),
            *walkers(time, 39, -8.0, (33, 48)),
            person_at(1.74, clothes, person, ACTOR),
        ]

    return Scene(
        "ghost5_04",
        "a pedestrian crosses in plain view, far ahead",
        "none",
        6.0,
        street,
        7.5,
        Brake(1.2, 1.0, 3.4),
        things,
        Emergence("pedestrian", None, "left", path),
    )


def _plain() -> Scene:
    street = Street(53, -7.4, 4.2, 4.0, (Line(-1.75, 3.0, 4.5), Line(1.9, width=0.10)))

    def things(time: float) -> list[Thing]:
        oncoming = Vehicle("car", (150.0, 44.0, 44.0), rolled=10 * time)
        ahead = Vehicle("car", (186.0, 188.0, 192.0), rolled=10.4 * time)
        return [
            car_at(oncoming, Pose(-3.5, 74 - 10.0 * time, np.pi)),
            car_at(ahead, Pose(0.05, 33 + 10.4 * time)),
            *parked(45, 3.1, (11, 24, 30, 47, 53, 66, 83, 89)),
            *parked(46, -6.3, (14, 20, 37, 49, 61, 76), np.pi),
            *walkers(time, 48, 6.2, (19, 44, 70)),
            *walkers(time, 49, -9.2, (27, 58)),
        ]

    return Scene("ghost5_03", "plain driving past parked cars", "none", 5.2, street, 10.5, None, things)


def scenes() -> list[Scene]:
    """The five scenes in the order of their clip names, which is shuffled so that a name tells nothing."""
    return sorted((_child(), _scooter(), _cut_in(), _crossing(), _plain()), key=lambda scene: scene.clip)
