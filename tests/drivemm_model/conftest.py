"""Fixtures around the tiny checkpoints in the authors' layout."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra ghostbench[drivemm]")
pytest.importorskip("transformers", reason="needs the extra ghostbench[hf]")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmark" / "perf"))
safetensors_torch = pytest.importorskip("safetensors.torch", reason="needs the extra ghostbench[drivemm]")

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Products this small only lose by being shared among threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def drivemm_data(shared_data: Path) -> Path:
    """The folder with tiny checkpoints and the golden values that the authors' own code gave for them."""
    folder = shared_data / "drivemm"
    if not (folder / "README.md").is_file():
        pytest.skip("the tiny DriveMM checkpoints are not here")
    return folder


class Family:
    """Makes checkpoints of the DriveMM family: a tiny one copied, then changed where a test says so."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source = source
        self._target = target
        self._count = 0

    def copy(self, **config: Any) -> Path:
        """A writable copy with configuration values set; a value of `...` removes the key."""
        self._count += 1
        folder = self._target / f"checkpoint{self._count}"
        folder.mkdir()
        for file in self._source.iterdir():
            shutil.copyfile(file, folder / file.name)
        self.edit(folder / "config.json", **config)
        return folder

    @staticmethod
    def edit(path: Path, **values: Any) -> None:
        """Set values of a JSON file; `...` removes the key."""
        content = json.loads(path.read_text())
        content.update(values)
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    @staticmethod
    def tensors(folder: Path) -> dict[str, Any]:
        """All tensors of a checkpoint."""
        tensors: dict[str, Any] = {}
        for file in sorted(folder.glob("*.safetensors")):
            tensors |= safetensors_torch.load_file(file)
        return tensors

    def rewrite(self, folder: Path, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Path:
        """Change all tensors and write them as one file without index."""
        tensors = {name: tensor.contiguous().clone() for name, tensor in change(self.tensors(folder)).items()}
        for file in [*folder.glob("*.safetensors"), folder / INDEX]:
            file.unlink(missing_ok=True)
        safetensors_torch.save_file(tensors, folder / "model.safetensors")
        return folder

    @staticmethod
    def change_in_shard(folder: Path, name: str, change: Callable[[Any], Any]) -> str:
        """Change one tensor inside its shard (None takes it out); returns the shard's file name."""
        shard: str = json.loads((folder / INDEX).read_text())["weight_map"][name]
        tensors = safetensors_torch.load_file(folder / shard)
        changed = change(tensors.pop(name))
        if changed is not None:
            tensors[name] = changed.contiguous()
        safetensors_torch.save_file(tensors, folder / shard)
        return shard

    @staticmethod
    def frames(count: int, size: tuple[int, int] = (528, 220)) -> list[Image.Image]:
        """Drawn frames: a gradient with a square that moves."""
        drawn = []
        for number in range(count):
            frame = Image.linear_gradient("L").resize(size).convert("RGB")
            frame.paste((200, 30 * number % 255, 40), (20 * number, 40, 20 * number + 60, 100))
            drawn.append(frame)
        return drawn


@pytest.fixture
def family(drivemm_data: Path, tmp_path: Path) -> Family:
    """Checkpoints made from the four-shard tiny one."""
    return Family(drivemm_data / "ckpt_a", tmp_path)
