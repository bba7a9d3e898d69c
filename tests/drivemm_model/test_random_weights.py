"""Random weights of a shape, and what importing the package costs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig, VisionShape
from ghostbench_drivemm.network.synthetic import synthetic_tokenizer


def small_config() -> DriveMMConfig:
    return dataclasses.replace(
        DriveMMConfig.full_shape(),
        vocab_size=2048,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        vision=VisionShape(width=32, feed_forward=48, layers=2),
        eos_token_ids=(1793, 1800, 1801),
    )


def test_random_weights_answer_and_depend_on_the_seed_alone() -> None:
    frames = [Image.new("RGB", (64, 48), (40 * number, 10, 200)) for number in range(3)]
    traces = [
        DriveMM.from_random(small_config(), dtype="float32", device="cpu", seed=seed).trace(
            frames, "<image> What?", kind="video", max_new_tokens=4
        )
        for seed in (0, 0, 1)
    ]
    assert np.isfinite(traces[0].first_logits).all()
    assert np.array_equal(traces[0].first_logits, traces[1].first_logits)
    assert not np.array_equal(traces[0].first_logits, traces[2].first_logits)


def test_random_weights_are_said_to_be_random() -> None:
    model = DriveMM.from_random(small_config(), dtype="bfloat16", device="cpu", seed=7)
    assert model.facts["weights"] == "random, seed 7"
    assert model.facts["files"] == {}
    assert {p.dtype for p in model.language_model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("size", [268, 1024, 2048])
def test_the_stand_in_tokenizer_has_every_id_once_and_round_trips(size: int) -> None:
    tokenizer = synthetic_tokenizer(size)
    assert sorted(tokenizer.get_vocab().values()) == list(range(size))
    text = '{"grade": "normal"} 鬼探头 🚗'
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="267"):
        synthetic_tokenizer(267)


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    script = (
        "import sys, ghostbench_drivemm; "
        "print([m for m in ('torch','transformers','numpy','PIL','tokenizers','safetensors','huggingface_hub') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
