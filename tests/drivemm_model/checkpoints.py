"""Builds checkpoints of the DriveMM family from a tiny one: copied, then changed where a test says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

TOWER = "model.vision_tower.vision_tower.vision_model."


def copy_of(source: Path, target: Path, **config: Any) -> Path:
    """A writable copy with configuration values set; a value of `...` removes the key."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copyfile(file, target / file.name)
    edit_json(target / "config.json", **config)
    return target


def edit_json(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    for key, value in values.items():
        if value is ...:
            content.pop(key, None)
        else:
            content[key] = value
    path.write_text(json.dumps(content))


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]]) -> Path:
    """Change all tensors and write them as one file without index."""
    tensors = dict(change(tensors_of(folder)))
    for file in [*folder.glob("*.safetensors"), folder / "model.safetensors.index.json"]:
        file.unlink(missing_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def replace_in_shard(folder: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """Change one tensor inside its shard; returns the shard's file name."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shard: str = index["weight_map"][name]
    tensors = load_file(folder / shard)
    tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, folder / shard)
    return shard


def frames(count: int, size: tuple[int, int] = (528, 220)) -> list[Image.Image]:
    """Drawn frames: a gradient with a square that moves."""
    drawn = []
    for number in range(count):
        frame = Image.linear_gradient("L").resize(size).convert("RGB")
        frame.paste((200, 30 * number % 255, 40), (20 * number, 40, 20 * number + 60, 100))
        drawn.append(frame)
    return drawn
