"""The first line of sight is exact: as plane geometry says, as the drawn pixels say, and as the grid asks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ghostbench.errors import BadInput
from ghostbench.rendering.grid import Grid, find_grid
from ghostbench.rendering.parameters import Actor, Occluder
from ghostbench.rendering.scene import WIDTHS, scenes_of
from ghostbench.rendering.shots import Shooting
from ghostbench.rendering.sight import distance_m, prepared, sight
from ghostbench.rendering.stage import Stage
from ghostbench.rendering.tracks import EGO_WIDTH, NOSE


@pytest.mark.parametrize("ego_kmh", [20.0, 50.0])
@pytest.mark.parametrize("lateral_m", [0.6, 1.4])
def test_past_a_wall_it_is_the_line_from_the_camera_over_the_walls_corner(
    staged: Callable[..., Stage], ego_kmh: float, lateral_m: float
) -> None:
    stage = staged(actor="adult", occluder="wall", ego_kmh=ego_kmh, lateral_m=lateral_m, clearance_m=1.5)
    scene, found = stage.scene, sight(stage, "as_is")
    assert found.first_s is not None
    camera_z, camera_x = (
        scene.ego * found.first_s,
        np.interp(found.first_s * 5, range(15), [camera.x for camera in stage.cameras]),
    )
    corner = (EGO_WIDTH / 2 + lateral_m - camera_x, scene.line_z - scene.box.width / 2 - 1.5 - camera_z)
    grazing = camera_x + corner[0] / corner[1] * (scene.line_z - camera_z)
    track = scene.track("as_is")
    assert track is not None
    middle = track.at(found.first_s).x
    assert middle - scene.box.before - 0.1 < grazing < middle + 0.1
    assert found.before_s == 0


@pytest.mark.parametrize(
    ("actor", "occluder", "side"),
    [
        ("child", "parked_cars", "right"),
        ("adult", "van", "left"),
        ("cyclist", "hedge", "right"),
        ("scooter", "bus", "left"),
    ],
)
def test_no_pixel_of_an_actor_is_drawn_before_its_first_line_of_sight_and_one_is_soon_after(
    staged: Callable[..., Stage], actor: Actor, occluder: Occluder, side: str
) -> None:
    stage = staged(actor=actor, occluder=occluder, side=side, fps=25, size=[320, 180], traffic=0, pedestrians=0)
    first = sight(stage, "as_is").first_s
    assert first is not None
    shooting = Shooting(stage)
    before, after = int(np.ceil(first * 25)) - 1, int(np.ceil(first * 25)) + 3
    assert shooting.painted(before, "as_is").visible(1) == 0
    assert shooting.painted(before, "no_occluder").visible(1) > 10
    assert shooting.painted(after, "as_is").visible(1) > 0


@pytest.mark.parametrize("impact", [25.0, 50.0, 75.0])
def test_the_ego_cars_front_and_the_actor_meet_at_the_stated_point(staged: Callable[..., Stage], impact: float) -> None:
    scene = staged(impact_percent=impact, seconds=5).scene
    track = scene.track("as_is")
    assert track is not None
    spot = track.at(scene.contact_s)
    assert scene.ego * scene.contact_s + NOSE == pytest.approx(scene.line_z - scene.box.width / 2)
    assert spot.x == pytest.approx(EGO_WIDTH / 2 - impact / 100 * EGO_WIDTH)
    assert track.at(0.0).x == pytest.approx(4.0)
    assert spot.speed == pytest.approx(5 / 3.6)
    assert scene.contact_s > scene.grid.seconds


@pytest.mark.parametrize("wanted", [{"visible_s": 1.7}, {"visible_s": 2.3}, {"visible_m": 16.0}])
def test_the_occluder_is_set_so_that_the_actor_is_seen_as_long_as_asked(
    staged: Callable[..., Stage], wanted: dict[str, float]
) -> None:
    stage = staged(occluder="van", lateral_m=0.6, **wanted)
    first = sight(stage, "as_is").first_s
    assert first is not None
    if "visible_s" in wanted:
        assert stage.scene.contact_s - first == pytest.approx(wanted["visible_s"], abs=0.01)
    else:
        assert distance_m(stage.scene, first) == pytest.approx(wanted["visible_m"], abs=0.1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"visible_s": 0.3}, "out of reach"),
        ({"actor": "adult", "occluder": "parked_cars"}, "before it emerges"),
        ({"contact_s": 20.0}, "after the clip's end"),
        # Its head is above their roofs all the time, so nothing hides who stops there.
        ({"behaviour": "stops_behind", "actor": "adult", "occluder": "parked_cars"}, "stops in sight"),
        ({"behaviour": "stops_behind", "occluder": "van", "clearance_m": 12.0}, "stops in sight"),
        ({"behaviour": "stops_behind", "occluder": "wall", "ego_kmh": 5.0, "clearance_m": 40.0}, "stops in sight"),
        ({"behaviour": "cuts_in", "actor": "car", "seconds": 1}, "in the lane only after the clip's end"),
        ({"behaviour": "cuts_in", "actor": "scooter", "contact_s": 6.0}, "in the lane only after the clip's end"),
        ({"actor": "adult", "occluder": "parked_cars", "visible_s": 1.5}, "wherever the occluder ends"),
    ],
)
def test_what_cannot_be_is_bad_input(staged: Callable[..., Stage], values: dict[str, object], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        staged(**values)


def test_in_plain_view_and_without_the_occluder_it_is_in_sight_from_the_first_frame(
    staged: Callable[..., Stage],
) -> None:
    stage = staged()
    for twin in ("in_view", "no_occluder"):
        assert sight(stage, twin).first_s == 0  # type: ignore[arg-type]
    assert sight(stage, "no_actor").first_s is None


def test_who_stops_behind_the_occluder_is_hidden_but_for_the_last_instant(small: Callable[..., Grid]) -> None:
    (scene,) = scenes_of(small(behaviour="stops_behind", occluder="van"))
    stage = prepared(scene)
    first = sight(stage, "as_is").first_s
    assert first is None or first > scene.grid.seconds - 0.4
    assert Shooting(stage).painted(10, "no_occluder").visible(1) > 0


def test_the_drawn_cars_are_as_large_as_the_protocol_allows_and_stand_as_it_says() -> None:
    for scene in scenes_of(find_grid("cpnco")):
        small_car, large_car = scene.units[:2]
        assert small_car.far == pytest.approx(scene.line_z - scene.box.width / 2 - 1)
        assert small_car.near - large_car.far == pytest.approx(1)
        assert 4.1 <= small_car.far - small_car.near <= 4.4
        assert 4.3 <= large_car.far - large_car.near + 1e-9 <= 4.7
        assert 1.75 <= WIDTHS["car"] <= 1.9
