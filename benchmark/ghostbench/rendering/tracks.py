"""Where an actor is at a time: ways across and along the road, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

EGO_WIDTH = 1.815
"""The ego car's width, metres: Euro NCAP's."""
NOSE = 1.9
"""From the camera to the ego car's front, metres."""


@dataclass(frozen=True)
class Spot:
    """An actor at an instant: its reference point, metres; its heading, an angle from x towards z, radians; how far it
    has come, metres; how fast it is, m/s."""

    x: float
    z: float
    heading: float
    moved: float
    speed: float


class Track(Protocol):
    """A way with its times."""

    def at(self, time: float) -> Spot:
        """Where the actor is at a time, seconds from the clip's start; also before and after the clip."""


@dataclass(frozen=True)
class Crossing:
    """Straight across the road towards the ego car's path.

    side : 1 from the right, -1 from the left. start : from the middle of the path, metres, on that side. z : the line.
    speed : m/s, reached within `run_up` metres, evenly accelerated from standing. from_s : when it starts, seconds.
    stop : how far it goes, metres; None for on and on.
    """

    side: int
    start: float
    z: float
    speed: float
    run_up: float
    from_s: float
    stop: float | None = None

    @classmethod
    def meeting(
        cls, at_x: float, at_s: float, start: float, *, side: int, z: float, speed: float, run_up: float
    ) -> Crossing:
        """The crossing that reaches `at_x` metres from the middle of the path, on its side, at `at_s` seconds."""
        run_up = min(run_up, max(start - at_x, 0.0) / 2)
        return cls(side, start, z, speed, run_up, at_s - (start - at_x + run_up) / speed)

    def covered(self, time: float) -> tuple[float, float]:
        """Metres since the start, and m/s."""
        since = time - self.from_s
        if since <= 0:
            return 0.0, 0.0
        gathering = 2 * self.run_up / self.speed
        if since < gathering:
            far, fast = self.speed**2 * since**2 / (4 * self.run_up), self.speed**2 * since / (2 * self.run_up)
        else:
            far, fast = self.run_up + self.speed * (since - gathering), self.speed
        return (far, fast) if self.stop is None or far < self.stop else (self.stop, 0.0)

    def at(self, time: float) -> Spot:
        """Where the actor is."""
        far, fast = self.covered(time)
        return Spot(self.side * (self.start - far), self.z, np.pi if self.side > 0 else 0.0, far, fast)


@dataclass(frozen=True)
class AlongThenAcross:
    """Towards the ego car along the road in plain view, until it turns into the way across."""

    across: Crossing
    speed: float

    def at(self, time: float) -> Spot:
        """Where the actor is."""
        left = self.across.from_s - time
        if left <= 0:
            return self.across.at(time)
        way = self.across.side * self.across.start
        return Spot(way, self.across.z + self.speed * left, -np.pi / 2, -self.speed * left, self.speed)


@dataclass(frozen=True)
class CutIn:
    """A vehicle ahead in the next lane that changes into the ego lane within `takes` seconds from `from_s` on.

    lane : the x of the middle of its lane. ahead : metres from the camera at first. gains : m/s that it is faster.
    """

    lane: float
    ahead: float
    ego: float
    gains: float
    from_s: float
    takes: float = 2.4

    def at(self, time: float) -> Spot:
        """Where the vehicle is."""
        part = min(max((time - self.from_s) / self.takes, 0.0), 1.0)
        x = self.lane * (1 - (3 * part**2 - 2 * part**3))
        sideways = -self.lane * 6 * (part - part**2) / self.takes
        speed = self.ego + self.gains
        return Spot(x, self.ahead + speed * time, float(np.arctan2(speed, sideways)), speed * time, speed)

    def enters_s(self, half_width: float, line: float) -> float:
        """When the vehicle's nearer side crosses the lane line at |x| = `line`, seconds."""
        low, high = self.from_s, self.from_s + self.takes
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if abs(self.at(middle).x) - half_width > line else (low, middle)
        return high
