"""A scene in the world: who stands where and moves how, computed from its parameters and its draws."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np

from ghostbench.rendering.drawing.barriers import HEDGE_THICKNESS, WALL_THICKNESS
from ghostbench.rendering.grid import Grid
from ghostbench.rendering.parameters import SceneParameters, Twin
from ghostbench.rendering.tracks import EGO_WIDTH, NOSE, AlongThenAcross, Crossing, CutIn, Track

LANE_LINE: Final = 1.75
"""The |x| of the ego lane's lines, metres."""
NEXT_LANE: Final = 3.5
_GAP = 1.0
"""Between parked cars, metres: Euro NCAP's."""
_PIECE = 1.0
"""Length of a piece of hedge or wall, metres."""

UnitKind = Literal["car", "van", "bus", "hedge", "wall"]
LENGTHS: Final[dict[UnitKind, float]] = {"car": 4.3, "van": 5.3, "bus": 11.2, "hedge": _PIECE, "wall": _PIECE}
WIDTHS: Final[dict[UnitKind, float]] = {
    "car": 1.78,
    "van": 1.96,
    "bus": 2.5,
    "hedge": HEDGE_THICKNESS,
    "wall": WALL_THICKNESS,
}


@dataclass(frozen=True)
class Box:
    """The upright box around an actor: how far it reaches before and behind its reference point along its way, and how
    wide it is, metres."""

    before: float
    behind: float
    width: float


BOXES: Final[dict[str, Box]] = {
    "child": Box(0.396, 0.315, 0.298),
    "adult": Box(0.53, 0.50, 0.50),
    "cyclist": Box(0.89, 0.86, 0.50),
    "scooter": Box(0.90, 0.90, 0.60),
    "car": Box(2.16, 2.16, 1.78),
}
"""The child's is Euro NCAP's dummy: .711 by .298 m, with its reference point .396 m from its front."""


@dataclass(frozen=True)
class Unit:
    """One thing that hides: its kind and its ends along the road, metres."""

    kind: UnitKind
    near: float
    far: float


@dataclass(frozen=True)
class Scene:
    """One scene of a grid; `seed` is what all of its draws follow from, whatever its behaviour and its twins."""

    parameters: SceneParameters
    grid: Grid
    seed: int
    key: str

    @property
    def side(self) -> int:
        """1 where the actor comes from the right, -1 from the left."""
        return 1 if self.parameters.side == "right" else -1

    @property
    def ego(self) -> float:
        """The ego car's speed, m/s."""
        return self.parameters.ego_kmh / 3.6

    @property
    def speed(self) -> float:
        """The actor's speed, m/s."""
        return self.parameters.speed_kmh / 3.6

    @property
    def box(self) -> Box:
        """The actor's box; a child's where there is no actor."""
        return BOXES.get(self.parameters.actor, BOXES["child"])

    @cached_property
    def contact_s(self) -> float:
        """When the ego car's front reaches the actor's near side."""
        if self.parameters.contact_s is not None:
            return self.parameters.contact_s
        return self.grid.seconds + float(self.draws("contact").uniform(0.08, 0.40))

    @property
    def line_z(self) -> float:
        """The actor's line across the road."""
        return self.ego * self.contact_s + NOSE + self.box.width / 2

    @property
    def face(self) -> float:
        """From the middle of the ego car's path to the occluder's side."""
        return EGO_WIDTH / 2 + self.parameters.lateral_m

    @property
    def impact(self) -> float:
        """From the middle of the ego car's path to the point of contact, positive on the actor's side."""
        return EGO_WIDTH * (0.5 - self.parameters.impact_percent / 100)

    def draws(self, purpose: str) -> np.random.Generator:
        """The random numbers for one purpose; they depend on no other draw."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What hides the actor: the occluder, and behind it as long a row as hides it from the first frame on."""
        kind = self.parameters.occluder
        if kind == "none":
            return ()
        far = self.line_z - self.box.width / 2 - self.parameters.clearance_m
        tall = self.parameters.actor not in ("child", "none")
        kinds: dict[str, list[UnitKind]] = {
            "parked_cars": ["car", "car"],
            "van": ["van"],
            "bus": ["bus"],
            "queue": ["van", "bus"] if tall else ["van", "car", "car"],
            "hedge": ["hedge"],
            "wall": ["wall"],
        }
        first = kinds[kind]
        outermost = self.parameters.start + self.box.behind
        enough = self.line_z * (self.face + 0.2 * WIDTHS[first[0]]) / max(outermost, self.face + 1.0)
        filler: UnitKind = first[0] if kind in ("hedge", "wall") else "van" if tall and kind != "parked_cars" else "car"
        units: list[Unit] = []
        while first or far > enough:
            kind_now = first.pop(0) if first else filler
            units.append(Unit(kind_now, far - LENGTHS[kind_now], far))
            far = units[-1].near - (0.0 if kind_now in ("hedge", "wall") else _GAP)
        return tuple(units)

    @property
    def kerb(self) -> float:
        """From the middle of the ego car's path to the kerb on the actor's side."""
        if self.parameters.occluder in ("hedge", "wall"):
            return self.face - 0.3
        widest = max((WIDTHS[unit.kind] for unit in self.units), default=WIDTHS["car"])
        return self.face + widest + 0.3

    @property
    def pavement(self) -> float:
        """The width of both pavements: the actor's way starts on it."""
        return max(4.0, self.parameters.start + self.box.behind + 0.8 - self.kerb)

    def track(self, twin: Twin) -> Track | None:
        """The way of the actor in a twin (of the mirror image: before it is mirrored); None where there is none."""
        if self.parameters.actor == "none" or twin == "no_actor":
            return None
        behaviour = self.parameters.behaviour
        if twin == "in_view" or behaviour == "walks_in_view":
            return self._in_view()
        if behaviour == "cuts_in":
            enters = self.contact_s - 2.6 if self.parameters.contact_s else 0.45 * self.grid.seconds
            return CutIn(-self.side * NEXT_LANE, 14.0, self.ego, 0.5, enters)
        if behaviour == "crosses_far":
            z, middle = self.line_z + self.parameters.far_m, 0.55 * self.grid.seconds
            return Crossing.meeting(0.0, middle, 5.2, side=-self.side, z=z, speed=self.speed, run_up=0.0)
        way = self._across(self.parameters.start)
        if behaviour == "stops_behind":
            hidden = max(self.face + self.box.before + 0.45, self.parameters.start - 1.6)
            way = replace(way, stop=max(0.0, self.parameters.start - hidden))
        return way

    def _across(self, start: float, run_up: float = 1.0) -> Crossing:
        return Crossing.meeting(
            self.impact, self.contact_s, start, side=self.side, z=self.line_z, speed=self.speed, run_up=run_up
        )

    def _in_view(self) -> Track:
        """On foot along the road, before the occluder's side; on wheels across the road from its open side."""
        if self.parameters.walks:
            beside = (EGO_WIDTH / 2 + self.face) / 2
            return AlongThenAcross(self._across(max(beside, self.impact + 0.1), run_up=0.0), self.speed)
        return Crossing.meeting(
            -self.impact,
            self.contact_s,
            max(self.parameters.start, 5.0),
            side=-self.side,
            z=self.line_z,
            speed=self.speed,
            run_up=1.0,
        )

    def with_clearance(self, clearance: float) -> Scene:
        """The same scene, its draws included, with the occluder's end so far from the actor's line."""
        changed = self.parameters.model_copy(update={"clearance_m": clearance})
        return replace(self, parameters=changed)


def scenes_of(grid: Grid) -> list[Scene]:
    """Every scene of a grid, in the order of its combinations; each replicate has draws of its own."""
    found = []
    for cell in grid.cells:
        place = {key: value for key, value in cell.model_dump(mode="json").items() if key != "behaviour"}
        for replicate in range(grid.replicates):
            seed = _number([grid.seed, replicate, place])
            key = hashlib.sha256(json.dumps([seed, cell.behaviour]).encode()).hexdigest()[:12]
            found.append(Scene(cell, grid, seed, key))
    return found


def _number(value: object) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:6], "big")
