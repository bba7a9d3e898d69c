"""Tiny checkpoints of every family, each made once, and requests about drawn clips."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

sys.path.insert(0, str(Path(__file__).parent / "tiny"))

from drawn_requests import drawn_request  # noqa: E402
from tiny_checkpoints import FAMILIES  # noqa: E402

from ghostbench import Request  # noqa: E402
from ghostbench_hf.adapter import HFModel  # noqa: E402
from ghostbench_hf.settings import HFSettings  # noqa: E402

Load = Callable[..., HFModel]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Products this small only lose by being shared among threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny checkpoint; not to be changed."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp("checkpoints") / family
            made[family].mkdir()
            FAMILIES[family](made[family])
        return made[family]

    return folder


@pytest.fixture(scope="session")
def _kept() -> dict[str, HFModel]:
    return {}


@pytest.fixture
def loaded(_kept: dict[str, HFModel]) -> Iterator[Load]:
    """Loads the checkpoint in a folder under some settings, on the CPU in float32 where they do not say otherwise.

    A model is kept for other tests, unless `fresh` says that it will be changed.
    """
    changed: list[HFModel] = []

    def load(folder: Path, *, fresh: bool = False, **settings: Any) -> HFModel:
        key = f"{folder} {sorted(settings.items())}"
        if fresh or key not in _kept:
            model = HFModel(HFSettings(**{"device": "cpu", "dtype": "float32", **settings}), str(folder))
            model.check()
            model.check_here()
            model.facts = model.load()
            if fresh:
                changed.append(model)
                return model
            _kept[key] = model
        return _kept[key]

    yield load
    for model in changed:
        model.close()


@pytest.fixture
def ask() -> Callable[..., list[Request]]:
    """Requests about clips of so many frames each, prepared by a model."""

    def requests(model: HFModel, counts: tuple[int, ...], *task: Any) -> list[Request]:
        asked = [drawn_request(seed, count, *task) for seed, count in enumerate(counts)]
        return [replace(one, prepared=model.prepare(one)) for one in asked]

    return requests
