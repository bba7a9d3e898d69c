"""The grid that comes as clips: what is committed is what the grid file says and the renderer draws."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ghostbench.datasets.embedded import ghost_grid
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.rendering.grid import find_grid
from ghostbench.rendering.parameters import Twin
from ghostbench.rendering.scene import scenes_of
from ghostbench.rendering.shots import Shooting
from ghostbench.rendering.sight import prepared
from ghostbench.rendering.work import twins_of

FOLDER = ghost_grid().parent
KNOWN: dict[str, dict[str, Any]] = json.loads((FOLDER / "parameters.json").read_text())


def test_every_scene_of_the_grid_is_there_with_its_twins() -> None:
    grid = find_grid("ghost-grid")
    assert json.loads((FOLDER / "rendered.json").read_text())["grid_sha256"] == grid.sha256
    wanted = {(scene.key, twin) for scene in scenes_of(grid) for twin in twins_of(scene)}
    assert {(each["scene"], each["twin"]) for each in KNOWN.values()} == wanted
    assert len(wanted) == len(KNOWN) == 49


def test_files_are_small_and_of_one_size() -> None:
    sizes = {path.stat().st_size for path in (FOLDER / "clips").iterdir()}
    assert len(sizes) == 1
    assert 49 * sizes.pop() < 6_000_000


def test_it_is_a_dataset_with_labels_and_parameters() -> None:
    split = select(SplitQuery(dataset="ghost-grid"))
    assert sorted(clip.id for clip in split.clips) == sorted(KNOWN)
    assert {
        truth: sum(clip.truth == truth for clip in split.clips) for truth in ("ghost_probing", "cut_in", "normal")
    } == {
        "ghost_probing": 14,
        "cut_in": 1,
        "normal": 34,
    }
    assert all(clip.media and Path(clip.media.split("?")[0]).exists() for clip in split.clips)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_renderer_draws_a_committed_clip_to_the_pixel() -> None:
    scene = min(scenes_of(find_grid("ghost-grid")), key=lambda scene: scene.key)
    twin: Twin = "no_actor"
    digest = hashlib.sha256()
    for shots in Shooting(prepared(scene)).frames([twin]):
        digest.update(shots[twin].pixels.tobytes())
    (stated,) = (each["drawn_sha256"] for each in KNOWN.values() if (each["scene"], each["twin"]) == (scene.key, twin))
    assert digest.hexdigest() == stated
