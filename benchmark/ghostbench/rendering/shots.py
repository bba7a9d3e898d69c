"""The frames of a scene and of its twins, drawn side by side: what they share is drawn once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ghostbench.rendering.drawing.canvas import Camera, Canvas
from ghostbench.rendering.drawing.film import Film, draw_bonnet
from ghostbench.rendering.drawing.light import Dark, Floats, Floats32, Light, Pixels
from ghostbench.rendering.drawing.rain import drops, rained, streaks
from ghostbench.rendering.drawing.street import Ground
from ghostbench.rendering.parameters import Twin
from ghostbench.rendering.stage import ACTOR, Stage

_HOUSES = 2
"""The number under which a canvas knows house fronts."""
_RAIN_TONES = {"day": 205.0, "dusk": 128.0, "night": 84.0}


@dataclass(frozen=True)
class Shot:
    """One frame, (height, width, 3) RGB, and how many of its pixels the actor shows."""

    pixels: Pixels
    actor_pixels: float


class Shooting:
    """Draws any frame of a scene's twins; a frame depends on no other."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        scene = stage.scene
        self._film = Film(stage.sensor, int(scene.draws("film").integers(1 << 30)))
        self._rain = scene.parameters.rain
        self._glass = drops(stage.sensor, self._rain, scene.draws("drops"))

    def frames(self, twins: Sequence[Twin]) -> Iterator[dict[Twin, Shot]]:
        """Every frame of these twins, in order."""
        for number in range(self.stage.scene.grid.frames):
            yield self.frame(number, twins)

    def frame(self, number: int, twins: Sequence[Twin]) -> dict[Twin, Shot]:
        """Frame `number`, from 0, of these twins; the mirror image is that of the scene as it is."""
        scene = self.stage.scene
        shared = self._shared(number)
        grain = self._film.grain(scene.draws(f"grain {number}")) * scene.parameters.camera_noise
        fallen = streaks(self.stage.sensor, self._rain, scene.draws(f"rain {number}")) if self._rain else None
        found: dict[Twin, Shot] = {}
        for twin in twins:
            if twin != "mirror":
                found[twin] = self._shot(twin, shared, grain, fallen)
        if "mirror" in twins:
            shot = found.get("as_is") or self._shot("as_is", shared, grain, fallen)
            found["mirror"] = Shot(np.ascontiguousarray(shot.pixels[:, ::-1]), shot.actor_pixels)
        return found

    def painted(self, number: int, twin: Twin) -> Canvas:
        """Frame `number` of a twin as drawn, before the lens and the sensor."""
        return self._painted(twin, self._shared(number))

    def _shared(self, number: int) -> _Shared:
        stage, camera = self.stage, self.stage.cameras[number]
        light = stage.light_at(camera)
        behind = Canvas(camera, light)
        stage.street.draw_distance(behind)
        houses = Canvas(camera, light)
        houses.owner_now = _HOUSES
        stage.street.draw_houses(houses)
        ground = stage.street.ground_seen_by(behind)
        return _Shared(number / stage.scene.grid.fps, camera, light, behind.image, ground, houses)

    def _painted(self, twin: Twin, shared: _Shared) -> Canvas:
        stage = self.stage
        things = [*stage.others(shared.time), *([] if twin == "no_occluder" else stage.hiding)]
        actor = stage.actor(twin, shared.time)
        things += [actor] if actor else []
        canvas = Canvas(shared.camera, shared.light)
        canvas.image[:] = shared.distance
        shadows = [thing.shadow for thing in things if thing.shadow is not None]
        stage.street.lay_ground(canvas, shared.ground, shadows)
        np.copyto(canvas.image, shared.houses.image, where=(shared.houses.owner == _HOUSES)[:, :, None])
        for thing in sorted([*things, *stage.standing], key=lambda thing: -thing.near):
            if thing.near < shared.camera.z - 12:
                continue
            canvas.owner_now = thing.owner
            thing.paint(canvas)
        draw_bonnet(canvas)
        return canvas

    def _shot(self, twin: Twin, shared: _Shared, grain: Floats, fallen: Floats32 | None) -> Shot:
        canvas = self._painted(twin, shared)
        picture = self._film.reduced(canvas.image)
        if isinstance(shared.light, Dark):
            picture = self._film.glare(picture)
        if fallen is not None:
            picture = rained(picture, fallen, self._glass, _RAIN_TONES[self.stage.scene.parameters.light])
        return Shot(self._film.exposed(picture, grain), canvas.visible(ACTOR))


@dataclass(frozen=True)
class _Shared:
    """What all twins show at an instant: sky, road without shadows, house fronts."""

    time: float
    camera: Camera
    light: Light
    distance: Pixels
    ground: Ground
    houses: Canvas
