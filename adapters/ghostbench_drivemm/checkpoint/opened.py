"""A checkpoint folder opened: its files accounted for, and the configuration that is in force."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ghostbench_drivemm.checkpoint.config import (
    FULL_VISION_LAYERS,
    FULL_VISION_WIDTH,
    PATCH_SIZE,
    VISION_HEADS,
    DriveMMConfig,
    VisionShape,
)
from ghostbench_drivemm.checkpoint.config_checks import resolve
from ghostbench_drivemm.checkpoint.inventory import Checkpoint, TensorEntry, inspect
from ghostbench_local.checkpoint.errors import CheckpointError

TOWER = "model.vision_tower.vision_tower.vision_model."
"""What the authors' parameter names of the vision tower begin with."""

_LAYER = re.compile(re.escape(TOWER) + r"encoder\.layers\.(\d{1,3})\.")


def open_checkpoint(
    path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None
) -> tuple[Checkpoint, DriveMMConfig]:
    """The folder's files, and its configuration; no weight is read.

    overrides : values set over `config.json` and `generation_config.json`.

    Raises
    ------
    CheckpointMissing
        No usable checkpoint is there.
    CheckpointError
        A file, configuration value or tensor is not as it must be; the message names it.
    """
    found = inspect(path)
    return found, resolve(found.config, found.generation, overrides or {}, _vision_shape(found.tensors))


def _vision_shape(tensors: Mapping[str, TensorEntry]) -> VisionShape:
    """The tower's shape from its tensors; the file has no configuration of it."""
    patch, first = f"{TOWER}embeddings.patch_embedding.weight", f"{TOWER}encoder.layers.0.mlp.fc1.weight"
    for name in (patch, first):
        if name not in tensors:
            raise CheckpointError(f"tensor {name} is missing: this is not a checkpoint of the DriveMM family")
    shape, inner = tensors[patch].shape, tensors[first].shape
    if shape[1:] != (3, PATCH_SIZE, PATCH_SIZE) or shape[0] % VISION_HEADS:
        raise CheckpointError(
            f"tensor {patch} has shape {list(shape)}; known: [a multiple of {VISION_HEADS}, 3, 14, 14]"
        )
    if len(inner) != 2:
        raise CheckpointError(f"tensor {first} has shape {list(inner)}; known: [any, {shape[0]}]")
    numbers = {int(found[1]) for name in tensors if (found := _LAYER.match(name))}
    width, layers = shape[0], max(numbers) + 1
    if width == FULL_VISION_WIDTH and layers != FULL_VISION_LAYERS:
        raise CheckpointError(
            f"the vision tower has {layers} layers of width {width}; the authors keep {FULL_VISION_LAYERS}"
        )
    return VisionShape(width=width, feed_forward=inner[0], layers=layers)
