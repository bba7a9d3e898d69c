"""The language model and the tower compute what transformers' own compute from the same weights, to the last bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_transformers import llama_config, plain_llama, plain_tower
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig, VisionShape
from ghostbench_drivemm.network.llama import Llama
from ghostbench_drivemm.network.rotary import frequencies_of

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 64,
}


def model(dtype: str = "float32", **shape: Any) -> DriveMM:
    """A tiny model with random weights, spread so far that no part of it is as good as zero."""
    tiny = {
        "vocab_size": 600,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vision": VisionShape(width=64, feed_forward=96, layers=2),
        "eos_token_ids": (599,),
        **shape,
    }
    made = DriveMM.from_random(dataclasses.replace(DriveMMConfig.full_shape(), **tiny), dtype=dtype, device="cpu")
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in (*made.language_model.parameters(), *made.vision_tower.parameters()):
            weight.copy_(torch.randn(weight.shape, generator=draw) * (0.3 if weight.ndim > 1 else 1.0))
    return made


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1, "attention_bias": True},
        {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "mlp_bias": True},
        {"rope": LLAMA3, "rms_norm_eps": 1e-3},
        {"rope": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "attention_factor": 1.3}},
    ],
    ids=["grouped", "a key head for each", "one key head, biases", "other heads", "llama3, eps", "yarn"],
)
def test_logits_are_those_of_transformers_own_llama(shape: Any, dtype: str) -> None:
    ours = model(dtype, **shape)
    theirs = plain_llama(ours)
    for batch, length in ((1, 1), (2, 37), (1, 130)):
        embeds = torch.randn(batch, length, 64, generator=torch.Generator().manual_seed(length)).to(ours.dtype)
        with torch.no_grad():
            expected = theirs(inputs_embeds=embeds, use_cache=False).logits
            assert torch.equal(ours.language_model(embeds), expected)
            kept = theirs(inputs_embeds=embeds, use_cache=False, logits_to_keep=1).logits
            assert torch.equal(ours.language_model(embeds, last=1), kept)
        assert torch.isfinite(expected).all()
        assert expected.unique().numel() > 100


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_features_are_those_of_transformers_own_siglip(dtype: str) -> None:
    ours = model(dtype)
    pixels = torch.randn(2, 3, 384, 384, generator=torch.Generator().manual_seed(0)).to(ours.dtype)
    with torch.no_grad():
        # The last layer's output, before the norm behind it.
        expected = plain_tower(ours)(pixel_values=pixels, output_hidden_states=True).hidden_states[-1]
        assert torch.equal(ours.vision_tower(pixels), expected)
    assert torch.isfinite(expected).all()
    assert expected.unique().numel() > 100


@pytest.mark.parametrize("biased", [False, True])
def test_weights_have_the_names_and_shapes_that_checkpoints_have(biased: bool) -> None:
    ours = model(attention_bias=biased, mlp_bias=biased)

    def named(module: torch.nn.Module) -> list[tuple[str, torch.Size]]:
        return [(name, tensor.shape) for name, tensor in module.state_dict().items()]

    assert sorted(named(ours.language_model)) == sorted(named(plain_llama(ours)))
    assert sorted(named(ours.vision_tower)) == sorted(named(plain_tower(ours)))


sizes = st.integers(1, 1 << 17)
factors = st.floats(1.0, 64.0) | st.sampled_from([1.0, 2.0, 8.0, 32.0])
thetas = st.floats(2.0, 1e7) | st.sampled_from([10000.0, 500000.0])
ropes = st.one_of(
    st.fixed_dictionaries({"rope_type": st.just("default"), "rope_theta": thetas}),
    st.fixed_dictionaries({"rope_type": st.just("linear"), "rope_theta": thetas, "factor": factors}),
    st.fixed_dictionaries(
        {
            "rope_type": st.just("llama3"),
            "rope_theta": thetas,
            "factor": factors,
            "low_freq_factor": st.floats(0.5, 3.0),
            "high_freq_factor": st.floats(3.5, 8.0),
            "original_max_position_embeddings": sizes,
        }
    ),
    st.fixed_dictionaries(
        {"rope_type": st.just("yarn"), "rope_theta": thetas, "factor": factors},
        optional={
            "attention_factor": st.floats(0.5, 2.0),
            "beta_fast": st.floats(8.0, 64.0),
            "beta_slow": st.floats(0.5, 4.0),
            "mscale": st.floats(0.1, 2.0),
            "mscale_all_dim": st.floats(0.1, 2.0),
            "original_max_position_embeddings": sizes,
        },
    ),
)


@settings(max_examples=60)
@given(rope=ropes, half=st.integers(2, 64), positions=st.integers(64, 1 << 17))
def test_rotary_frequencies_are_those_of_transformers_own(rope: Any, half: int, positions: int) -> None:
    config = dataclasses.replace(
        DriveMMConfig.full_shape(), head_dim=2 * half, max_position_embeddings=positions, rope=rope
    )
    theirs = LlamaRotaryEmbedding(llama_config(config))
    found, scaling = frequencies_of(rope, 2 * half, positions)
    assert torch.equal(found, theirs.inv_freq)
    assert scaling == theirs.attention_scaling


def test_cosines_and_sines_of_far_positions_are_those_of_transformers_own() -> None:
    ours = model("bfloat16", rope=LLAMA3)
    embeds = torch.zeros(1, 5000, 64, dtype=torch.bfloat16)
    places = torch.arange(5000)
    expected = plain_llama(ours).model.rotary_emb(embeds, places[None])
    found = ours.language_model.model.rotary_emb(embeds, places)
    assert all(torch.equal(one, other[0]) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("value", "named"),
    [({"hidden_act": "gelu"}, "gelu"), ({"rope": {"rope_type": "longrope", "rope_theta": 1e4}}, "longrope")],
)
def test_what_is_not_computed_here_is_refused(value: Any, named: str) -> None:
    with pytest.raises(NotImplementedError, match=named):
        Llama(dataclasses.replace(DriveMMConfig.full_shape(), num_hidden_layers=1, **value))
