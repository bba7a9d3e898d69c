"""Grids small enough to be drawn in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ghostbench.rendering.grid import Grid
from ghostbench.rendering.scene import scenes_of
from ghostbench.rendering.sight import prepared
from ghostbench.rendering.stage import Stage


@pytest.fixture(scope="session")
def small() -> Callable[..., Grid]:
    """A grid of tiny pictures: `small(actor="child", seconds=3, …)`; scene parameters and the grid's own keys."""

    def build(**values: Any) -> Grid:
        own = {key: values.pop(key) for key in list(values) if key in Grid.model_fields}
        said = {"name": "small", "seconds": 3, "fps": 5, "size": [160, 90], "scenes": [{"ego_kmh": 30.0} | values]}
        return Grid.model_validate(said | own)

    return build


@pytest.fixture(scope="session")
def staged(small: Callable[..., Grid]) -> Callable[..., Stage]:
    """The stage of a grid's only scene, its occluder set as `visible_s` asks."""

    def build(**values: Any) -> Stage:
        (scene,) = scenes_of(small(**values))
        return prepared(scene)

    return build
