"""Weights have their places before they are read: what one product computes lies together and is not copied."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ghostbench_drivemm.engine.weights import merged  # noqa: E402
from ghostbench_drivemm.network.allocation import allocate  # noqa: E402

LAYER = "model.layers.3.self_attn."
TOWER = "model.vision_tower.vision_tower.vision_model.encoder.layers.0.self_attn."
SHAPES = {
    f"{LAYER}v_proj.weight": (16, 64),
    f"{LAYER}k_proj.weight": (16, 64),
    f"{LAYER}q_proj.weight": (64, 64),
    f"{LAYER}o_proj.weight": (64, 64),
    f"{LAYER}q_proj.bias": (64,),
    f"{LAYER}k_proj.bias": (16,),
    f"{LAYER}v_proj.bias": (16,),
    "model.layers.3.mlp.up_proj.weight": (96, 64),
    "model.layers.3.mlp.gate_proj.weight": (96, 64),
    "model.layers.3.mlp.down_proj.weight": (64, 96),
    f"{TOWER}q_proj.weight": (32, 32),
    f"{TOWER}k_proj.weight": (32, 32),
    f"{TOWER}v_proj.weight": (32, 32),
    "q_proj": (2,),
    "model.norm.weight": (64,),
}


def test_every_tensor_has_its_shape_and_what_is_joined_is_in_one_place_already() -> None:
    made = allocate(SHAPES, torch.float32, torch.device("cpu"))
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == SHAPES
    assert all(tensor.is_contiguous() and not tensor.any() for tensor in made.values())
    for number, tensor in enumerate(made.values()):
        tensor.fill_(number)
    groups = [[f"{where}{part}_proj.{kind}" for part in "qkv"] for where, kind in
              ((LAYER, "weight"), (LAYER, "bias"), (TOWER, "weight"))]  # fmt: skip
    for names in (*groups, [f"model.layers.3.mlp.{part}_proj.weight" for part in ("gate", "up")]):
        parts = [made[name] for name in names]
        whole = merged(parts)
        assert whole.data_ptr() == parts[0].data_ptr()
        assert torch.equal(whole, torch.cat(parts))
    assert len({tensor.data_ptr() for tensor in made.values()}) == len(SHAPES), "and nothing lies on anything else"


def test_what_is_not_whole_or_does_not_fit_together_stays_apart() -> None:
    shapes = {f"{LAYER}q_proj.weight": (64, 64), f"{LAYER}k_proj.weight": (16, 64), "a.gate_proj.weight": (8, 4),
              "a.up_proj.weight": (8, 6)}  # fmt: skip
    made = allocate(shapes, torch.float32, torch.device("cpu"))
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == shapes
