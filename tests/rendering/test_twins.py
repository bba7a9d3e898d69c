"""Twins are equal in every draw but for the one thing: pixels outside its reach are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ghostbench.rendering.cast import Placed
from ghostbench.rendering.drawing.canvas import Canvas
from ghostbench.rendering.parameters import Twin
from ghostbench.rendering.shots import Shooting
from ghostbench.rendering.stage import Stage

NUMBER = 14
SCENES: list[dict[str, Any]] = [
    {"actor": "child", "occluder": "van"},
    {"actor": "child", "occluder": "parked_cars", "light": "night", "side": "left"},
    {"actor": "adult", "occluder": "wall", "rain": 0.7},
    {"actor": "cyclist", "occluder": "hedge", "light": "dusk", "rain": 0.4},
    {"actor": "car", "occluder": "bus", "light": "night", "rain": 0.4},
]


def reach(stage: Stage, things: list[Placed]) -> NDArray[np.bool_]:
    """The pixels of a frame that things or their shadows may touch: blur, halo and chroma included."""
    canvas = Canvas(stage.cameras[NUMBER])
    for thing in things:
        assert thing.body is not None
        if thing.shadow is not None:
            canvas.owner_now = 9
            canvas.polygon(thing.shadow, (255.0, 255.0, 255.0))
        canvas.owner_now = 9
        thing.body.play(canvas)
    touched = (
        (canvas.owner == 9).astype(np.uint8).reshape(stage.sensor.height, 2, stage.sensor.width, 2).max(axis=(1, 3))
    )
    radius = int(np.ceil(14 * stage.sensor.scale)) + 2
    return cv2.dilate(touched, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0


@pytest.mark.parametrize("values", SCENES, ids=lambda values: "-".join(map(str, values.values())))
def test_pixels_out_of_reach_are_equal(staged: Callable[..., Stage], values: dict[str, Any]) -> None:
    stage = staged(**values)
    time = NUMBER / stage.scene.grid.fps
    twins: list[Twin] = ["as_is", "no_actor", "in_view", "no_occluder"]
    shots = Shooting(stage).frame(NUMBER, twins)
    actors = {twin: stage.actor(twin, time) for twin in twins}
    for twin in twins[1:]:
        things = [actor for actor in (actors["as_is"], actors[twin]) if actor]
        mask = reach(stage, things + (stage.hiding if twin == "no_occluder" else []))
        differs = (shots["as_is"].pixels != shots[twin].pixels).any(axis=2)
        assert differs.any(), twin
        assert not (differs & ~mask).any(), twin
        assert mask.mean() < 0.85


def test_the_mirror_image_is_the_scene_mirrored_to_the_pixel(staged: Callable[..., Stage]) -> None:
    shots = Shooting(staged()).frame(12, ["as_is", "mirror"])
    assert np.array_equal(shots["mirror"].pixels, shots["as_is"].pixels[:, ::-1])
    assert shots["mirror"].actor_pixels == shots["as_is"].actor_pixels


def test_a_frame_is_the_same_whichever_twins_and_frames_are_drawn_beside_it(staged: Callable[..., Stage]) -> None:
    values = {"rain": 0.5, "light": "night"}
    alone = Shooting(staged(**values)).frame(9, ["no_actor"])["no_actor"]
    shooting = Shooting(staged(**values))
    shooting.frame(3, ["as_is", "mirror"])
    assert np.array_equal(shooting.frame(9, ["in_view", "no_actor"])["no_actor"].pixels, alone.pixels)


def test_a_behaviour_changes_no_draw_but_the_actors_way(
    small: Callable[..., Any], staged: Callable[..., Stage]
) -> None:
    emerging, stopping = staged(), staged(behaviour="stops_behind")
    first, second = (Shooting(stage).frame(2, ["no_actor"])["no_actor"].pixels for stage in (emerging, stopping))
    assert np.array_equal(first, second)


def test_traffic_and_pedestrians_are_there_and_change_with_their_number(staged: Callable[..., Stage]) -> None:
    busy, empty = staged(traffic=4, pedestrians=12), staged(traffic=0, pedestrians=0)
    assert len(busy.others(1.0)) > 4
    assert empty.others(1.0) == []
    assert [thing.owner for thing in busy.others(1.0)] == [0] * len(busy.others(1.0))
