"""Draws the contact sheets of docs/grid.md: python docs/pictures/grid_sheets.py

Each row is a scene: as it is just after it comes into sight, as it is near contact, without the actor, with the actor
in plain view.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ghostbench.rendering.grid import Grid
from ghostbench.rendering.scene import scenes_of
from ghostbench.rendering.shots import Shooting
from ghostbench.rendering.sight import prepared, sight

SHEETS = {
    "day": [
        {"actor": "child", "occluder": "parked_cars"},
        {"actor": "cyclist", "occluder": "hedge", "ego_kmh": 50.0},
        {"actor": "adult", "occluder": "bus", "side": "left", "traffic": 2},
    ],
    "night": [
        {"actor": "child", "occluder": "parked_cars", "light": "night"},
        {"actor": "adult", "occluder": "van", "light": "night", "ego_kmh": 50.0},
        {"actor": "scooter", "occluder": "wall", "light": "night", "side": "left"},
    ],
    "rain": [
        {"actor": "child", "occluder": "van", "rain": 0.8},
        {"actor": "adult", "occluder": "wall", "rain": 0.6, "light": "dusk"},
        {"actor": "child", "occluder": "parked_cars", "rain": 0.7, "light": "night"},
    ],
}


def sheet(scenes: list[dict[str, object]]) -> Image.Image:
    """One sheet, 4 frames of 480 x 270 a row."""
    grid = Grid.model_validate(
        {"name": "sheet", "size": [480, 270], "scenes": [{"ego_kmh": 40.0} | each for each in scenes]}
    )
    rows = []
    for scene in scenes_of(grid):
        stage = prepared(scene)
        first = sight(stage, "as_is").first_s or 0.0
        shooting = Shooting(stage)
        early = min(round((first + 0.2) * grid.fps), grid.frames - 1)
        late = max(early + 5, round(min((first + stage.scene.contact_s) / 2 + 0.45, grid.seconds - 0.12) * grid.fps))
        late = min(late, grid.frames - 1)
        shots = shooting.frame(late, ["as_is", "no_actor", "in_view"])
        tiles = [shooting.frame(early, ["as_is"])["as_is"], shots["as_is"], shots["no_actor"], shots["in_view"]]
        rows.append(np.hstack([tile.pixels for tile in tiles]))
    return Image.fromarray(np.vstack(rows))


if __name__ == "__main__":
    for name, scenes in SHEETS.items():
        sheet(scenes).save(Path(__file__).with_name(f"grid-{name}.jpg"), quality=82)
