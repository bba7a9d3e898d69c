"""Tiny models for the engine: random ones of any shape, and the checkpoints with golden values where they are there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmark" / "perf"))
pytest.importorskip("llguidance")

import dataclasses  # noqa: E402

from ghostbench_drivemm import DriveMM  # noqa: E402
from ghostbench_drivemm.checkpoint.config import DriveMMConfig, VisionShape  # noqa: E402

TINY = {
    "vocab_size": 1024,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vision": VisionShape(width=64, feed_forward=96, layers=2),
    "eos_token_ids": (769, 776, 777),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Products this small only lose by being shared among threads."""
    torch.set_num_threads(1)


@pytest.fixture
def tiny() -> Callable[..., DriveMM]:
    """Makes a tiny model with random weights, spread widely enough that its answers differ."""

    def make(dtype: str = "float32", seed: int = 0, **shape: object) -> DriveMM:
        config = dataclasses.replace(DriveMMConfig.full_shape(), **{**TINY, **shape})
        model = DriveMM.from_random(config, dtype=dtype, device="cpu", seed=seed)
        with torch.no_grad():
            for weight in model.language_model.parameters():
                if weight.ndim > 1:
                    weight.mul_(8)
        return model

    return make


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The tiny checkpoint with golden values."""
    here = Path(os.environ.get("GHOSTBENCH_SHARED", Path(__file__).parents[2].parent / "shared" / "data"))
    folder = here / "drivemm" / "ckpt_a"
    if not folder.is_dir():
        pytest.skip("the tiny checkpoint is not here")
    return folder
