"""When an actor can be seen: lines of sight from the camera past what hides it, in the world and not in pixels.

A line of sight runs from the camera to each corner of the outline of the actor's limbs or faces as they are drawn; it
is free if it meets no part of the occluder as it is drawn, and the corner lies in the picture. The moment at which the
first one becomes free is found by halving, to a tenth of a millisecond.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ghostbench.errors import BadInput
from ghostbench.rendering.drawing.canvas import Camera
from ghostbench.rendering.drawing.light import Floats
from ghostbench.rendering.parameters import Twin
from ghostbench.rendering.scene import LANE_LINE, Scene
from ghostbench.rendering.stage import Sight, Stage
from ghostbench.rendering.tracks import NOSE, CutIn

_STEP_S: Final = 0.04
_COARSE_S: Final = 0.2
_FINE_S: Final = 1e-4
_PAUSE_S: Final = 0.5
_PASSING_M: Final = 10.0
"""From how far at most who stops behind the occluder is in sight: as the ego car comes past it, over a bonnet say."""
_BONNET: Final = 0.944
"""The share of the picture's height above the ego car's bonnet."""


def sight(stage: Stage, twin: Twin) -> Sight:
    """When the actor of a twin is in sight (of the mirror image: of what it mirrors)."""
    twin = "as_is" if twin == "mirror" else twin
    if twin not in stage.sights:
        stage.sights[twin] = _looked_for(stage, twin)
    return stage.sights[twin]


def _looked_for(stage: Stage, twin: Twin) -> Sight:
    if stage.scene.track(twin) is None:
        return Sight(None, 0.0)
    end = min(stage.scene.grid.seconds, stage.scene.contact_s)
    times = np.linspace(0.0, end, max(2, round(end / _STEP_S) + 1))
    free = np.array([in_sight(stage, twin, float(time)) for time in times])
    if not free.any():
        return Sight(None, 0.0)
    seen = np.flatnonzero(free)
    pauses = np.flatnonzero(np.diff(seen) > round(_PAUSE_S / _STEP_S))
    start = int(seen[pauses[-1] + 1] if len(pauses) else seen[0])
    before = float(free[:start].sum() * (times[1] - times[0]))
    if start == 0:
        return Sight(0.0, 0.0)
    return Sight(_between(stage, twin, float(times[start - 1]), float(times[start]), _FINE_S), before)


def _between(stage: Stage, twin: Twin, low: float, high: float, fine: float) -> float:
    """When a line of sight becomes free, between a time at which none is and one at which one is."""
    while high - low > fine:
        middle = (low + high) / 2
        low, high = (low, middle) if in_sight(stage, twin, middle) else (middle, high)
    return high


def in_sight(stage: Stage, twin: Twin, time: float) -> bool:
    """Whether a line of sight to the actor is free at a time, seconds."""
    actor = stage.actor(twin, time)
    if actor is None or actor.body is None:
        return False
    camera = _camera_at(stage, time)
    shapes = [shape for part in actor.body.polygons(camera) for shape in part]
    if not shapes:
        return False
    corners = np.concatenate(shapes)
    sensor = camera.sensor
    inside = (corners >= 0).all(axis=1) & (corners <= [sensor.columns, _BONNET * sensor.rows]).all(axis=1)
    corners = corners[inside]
    for body in [] if twin == "no_occluder" else [thing.body for thing in stage.hiding if thing.body is not None]:
        if not len(corners):
            return False
        if body.overlaps(camera, corners.min(axis=0), corners.max(axis=0)):
            for polygon in (shape for part in body.polygons(camera) for shape in part):
                corners = corners[~_covered(corners, polygon)]
    return bool(len(corners))


def _covered(points: Floats, polygon: Floats) -> NDArray[np.bool_]:
    """Which points, (n, 2), a polygon, (k, 2), covers: a ray from them crosses its edges an odd number of times."""
    covered: NDArray[np.bool_] = ((points >= polygon.min(axis=0)) & (points <= polygon.max(axis=0))).all(axis=1)
    if not covered.any():
        return covered
    x, y = points[covered].T[:, :, None]
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
    spans = (y0 <= y) != (y1 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses = spans & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    covered[covered] = crosses.sum(axis=1) % 2 == 1
    return covered


def _camera_at(stage: Stage, time: float) -> Camera:
    """The camera between two frames, held level: how it shakes changes no line of sight."""
    cameras, place = stage.cameras, time * stage.scene.grid.fps
    x = float(np.interp(place, np.arange(len(cameras)), [camera.x for camera in cameras]))
    return replace(cameras[0], x=x, z=stage.scene.ego * time, pitch=0.0, yaw=0.0, roll=0.0)


def prepared(scene: Scene) -> Stage:
    """The stage of a scene, its occluder set so that the actor is in sight for as long as is wanted.

    Raises `BadInput` where that is out of reach, where an actor that is to emerge, or to stop behind the occluder, is
    in sight before, and where a vehicle cuts in only after the clip's end.
    """
    parameters = scene.parameters
    wanted = parameters.visible_s
    if parameters.visible_m is not None:
        wanted = parameters.visible_m / scene.ego
    stage = Stage(scene)
    if wanted is not None:
        stage = _set_for(scene, wanted)
    track = scene.track("as_is")
    if isinstance(track, CutIn) and track.enters_s(scene.box.width / 2, LANE_LINE) >= scene.grid.seconds:
        raise _not_to_be(scene, "in the lane only after the clip's end; give longer clips, or another contact_s")
    if parameters.behaviour not in ("emerges", "stops_behind") or track is None:
        return stage
    found = sight(stage, "as_is")
    if parameters.behaviour == "stops_behind":
        seen = found.first_s
        if found.before_s > 0 or seen == 0 or (seen is not None and distance_m(scene, seen) > _PASSING_M):
            raise _not_to_be(scene, f"it stops in sight (over the occluder, or beside it); {_HIDE_IT}")
    elif found.first_s is None or found.first_s >= scene.grid.seconds:
        raise _not_to_be(scene, "in sight only after the clip's end; give it more clearance_m")
    elif found.first_s == 0 or found.before_s > 0:
        raise _not_to_be(scene, f"in sight before it emerges (over the occluder, or beside it); {_HIDE_IT}")
    return stage


_HIDE_IT: Final = "take a taller occluder, a smaller start_m or longer clips, or leave it out with exclude"


def _not_to_be(scene: Scene, why: str) -> BadInput:
    said = scene.parameters
    behind = f" behind {said.occluder}" if said.behaviour in ("emerges", "stops_behind") else ""
    return BadInput(f"grid {scene.grid.name}: a {said.actor}{behind}, ego car {said.ego_kmh:g} km/h: {why}")


def _set_for(scene: Scene, wanted: float) -> Stage:
    """The stage whose clearance gives the wanted visible time, found by halving: more clearance is seen for longer."""
    low, high = 0.1, 40.0

    def visible(clearance: float) -> tuple[float, Stage]:
        stage = Stage(scene.with_clearance(clearance))
        time = scene.contact_s
        while time > 0 and in_sight(stage, "as_is", time):
            time -= _COARSE_S
        emerges = _between(stage, "as_is", time, time + _COARSE_S, _COARSE_S / 128)
        return scene.contact_s - emerges, stage

    shortest, stage = visible(low)
    if shortest > scene.contact_s - 0.1:
        raise _not_to_be(scene, f"in sight from the first frame, wherever the occluder ends; {_HIDE_IT}")
    if wanted < shortest - 0.02 or wanted > scene.contact_s - 0.1:
        raise BadInput(
            f"grid {scene.grid.name}: visible for {wanted:.2f} s is out of reach: {shortest:.2f} to "
            f"{scene.contact_s - 0.1:.2f} s with lateral_m {scene.parameters.lateral_m:g}, "
            f"actor_kmh {scene.parameters.speed_kmh:g} and this clip length; a smaller lateral_m or a faster actor is "
            "seen for less"
        )
    for _ in range(14):
        middle = (low + high) / 2
        found, stage = visible(middle)
        if abs(found - wanted) < 0.005:
            break
        low, high = (middle, high) if found < wanted else (low, middle)
    return stage


def distance_m(scene: Scene, time: float) -> float:
    """From the ego car's front to the actor's line at a time, metres."""
    return scene.line_z - scene.box.width / 2 - NOSE - scene.ego * time
