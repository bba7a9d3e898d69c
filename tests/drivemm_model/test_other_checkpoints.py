"""Other checkpoints of the same family, against transformers' own loading and a merging written out plainly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel

from ghostbench_drivemm import DriveMM

TOWER = "model.vision_tower.vision_tower.vision_model."
VIDEO = "<image>.\nWhat is the car doing?"
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 4.0,
    "high_freq_factor": 8.0,
    "low_freq_factor": 2.0,
    "original_max_position_embeddings": 512,
}


class Plain:
    """The checkpoint by transformers' `from_pretrained` for the Llama, and by hand for the rest."""

    def __init__(self, folder: Path, tensors: dict[str, torch.Tensor], scratch: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config.pop("text_config", None)
        config.update(model_type="llama", architectures=["LlamaForCausalLM"])
        scratch.mkdir()
        (scratch / "config.json").write_text(json.dumps(config))
        language = {
            name: tensor.contiguous()
            for name, tensor in tensors.items()
            if not name.startswith((TOWER, "model.mm_projector", "model.image_newline"))
        }
        save_file(language, scratch / "model.safetensors", metadata={"format": "pt"})
        self.language, loading = LlamaForCausalLM.from_pretrained(
            scratch, dtype=torch.float32, output_loading_info=True
        )
        assert not loading["missing_keys"]
        assert not loading["unexpected_keys"]
        state = {name.removeprefix(TOWER): t.float() for name, t in tensors.items() if name.startswith(TOWER)}
        self.tower = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=64,
                intermediate_size=160,
                num_hidden_layers=2,
                num_attention_heads=16,
                image_size=384,
                patch_size=14,
                vision_use_head=False,
            )
        )
        self.tower.load_state_dict(state)
        self.tower.eval()
        self.tensors = {name: tensor.float() for name, tensor in tensors.items()}

    @torch.no_grad()
    def run(self, ids: list[int], pixels: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Embeddings and last logits for one video with bilinear pooling and a newline after each row."""
        tower = self.tower(pixel_values=torch.from_numpy(pixels), output_hidden_states=True)
        hidden = tower.hidden_states[-1]
        weight = self.tensors
        step = torch.nn.functional.linear(
            hidden, weight["model.mm_projector.0.weight"], weight["model.mm_projector.0.bias"]
        )
        step = torch.nn.functional.gelu(step)
        tokens = torch.nn.functional.linear(
            step, weight["model.mm_projector.2.weight"], weight["model.mm_projector.2.bias"]
        )
        rows = []
        for frame in tokens:
            small = torch.nn.functional.interpolate(frame.T.reshape(1, -1, 27, 27), size=(14, 14), mode="bilinear")[0]
            for y in range(14):
                rows += [small[:, y, x] for x in range(14)]
                rows.append(weight["model.image_newline"])
        embedding = self.language.get_input_embeddings().weight
        merged = []
        for number in ids:
            merged += rows if number == -200 else [embedding[number]]
        embeds = torch.stack(merged)
        logits = self.language(inputs_embeds=embeds[None]).logits[0, -1]
        return embeds.numpy(), logits.numpy()


def assert_same_function(
    folder: Path, family: Any, scratch: Path, tensors: dict[str, torch.Tensor] | None = None
) -> DriveMM:
    """DriveMM and the plain computation agree on a drawn video, and the first token is the same."""
    plain = Plain(folder, tensors or family.tensors(folder), scratch)
    model = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu")
    trace = model.trace(family.frames(3), VIDEO, kind="video", max_new_tokens=1)
    embeds, logits = plain.run(trace.input_ids.tolist(), trace.pixel_values)
    np.testing.assert_allclose(trace.inputs_embeds, embeds, rtol=0, atol=5e-5)
    np.testing.assert_allclose(trace.first_logits, logits, rtol=0, atol=1e-4)
    assert trace.output_ids[0] == logits.argmax()
    return model


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llava_llama"},
        {"text_config": {"hidden_size": 4096, "model_type": "llama", "num_attention_heads": 32}},
        {"text_config": "stray"},
        {"num_attention_heads": 8, "num_key_value_heads": 4},
        {"num_attention_heads": 2, "num_key_value_heads": 1},
        {"rope_scaling": None},
        {"rope_scaling": None, "rope_theta": 10000.0},
        {"rope_scaling": LLAMA3},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}},
        {"rope_scaling": ..., "rope_theta": ..., "rope_parameters": {**LLAMA3, "rope_theta": 20000.0}},
        {"rms_norm_eps": 1e-3},
    ],
    ids=lambda config: ",".join(f"{key}={value}" for key, value in config.items())[:60],
)
def test_other_configurations_give_what_transformers_gives(config: Any, family: Any, tmp_path: Path) -> None:
    assert_same_function(family.copy(**config), family, tmp_path / "plain")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_files_of_other_element_types_load(dtype: torch.dtype, family: Any, tmp_path: Path) -> None:
    folder = family.rewrite(family.copy(), lambda tensors: {name: t.to(dtype) for name, t in tensors.items()})
    model = assert_same_function(folder, family, tmp_path / "plain")
    assert model.facts["stored_dtypes"] == [{torch.float16: "F16", torch.float32: "F32"}[dtype]]


def test_prompts_that_a_dynamic_rope_would_stretch_for_are_refused(family: Any) -> None:
    folder = family.copy(rope_scaling={"rope_type": "dynamic", "factor": 2.0}, max_position_embeddings=4480)
    model = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu")
    assert model.prepare([], "Is it red?", kind="text").length <= 4480 - 4096
    with pytest.raises(ValueError, match="the checkpoint allows 384"):
        model.prepare([], "Is it red? " * 20, kind="text")


def test_a_tied_head_may_be_absent_from_the_file(family: Any, tmp_path: Path) -> None:
    def drop_head(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in tensors.items() if name != "lm_head.weight"}

    folder = family.rewrite(family.copy(tie_word_embeddings=True), drop_head)
    model = assert_same_function(folder, family, tmp_path / "plain")
    assert model.language_model.lm_head.weight.data_ptr() == model.language_model.model.embed_tokens.weight.data_ptr()


def test_attention_biases_are_loaded_when_the_configuration_has_them(family: Any, tmp_path: Path) -> None:
    def with_biases(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        for name, tensor in list(tensors.items()):
            if ".self_attn." in name and name.startswith("model.layers."):
                bias = torch.randn(tensor.shape[0], generator=generator).to(tensor.dtype)
                tensors[name.replace("weight", "bias")] = bias
        return tensors

    folder = family.rewrite(family.copy(attention_bias=True), with_biases)
    assert_same_function(folder, family, tmp_path / "plain")


def test_rows_beyond_the_tokenizer_are_cut_off_as_the_authors_do(family: Any, tmp_path: Path) -> None:
    def with_more_rows(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for name in ("lm_head.weight", "model.embed_tokens.weight"):
            tensors[name] = torch.cat([tensors[name], torch.full((20, 64), 9.0, dtype=tensors[name].dtype)])
        return tensors

    plain = family.copy()
    folder = family.rewrite(family.copy(vocab_size=320), with_more_rows)
    wide = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu")
    narrow = DriveMM.from_checkpoint(plain, dtype="float32", device="cpu")
    question = "Is the light red?"
    found = wide.trace([], question, kind="text", max_new_tokens=4)
    expected = narrow.trace([], question, kind="text", max_new_tokens=4)
    assert wide.config.vocab_size == 300
    assert np.array_equal(found.first_logits, expected.first_logits)
    assert found.output_ids.tolist() == expected.output_ids.tolist()


def test_loading_as_bfloat16_leaves_the_rotary_frequencies_in_float32(family: Any) -> None:
    folder = family.copy()
    narrow = DriveMM.from_checkpoint(folder, dtype="bfloat16", device="cpu")
    wide = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu")
    assert {p.dtype for p in narrow.language_model.parameters()} == {torch.bfloat16}
    frequencies = narrow.language_model.model.rotary_emb.inv_freq
    assert frequencies.dtype == torch.float32
    assert torch.equal(frequencies, wide.language_model.model.rotary_emb.inv_freq)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_answers_stay_near_the_float32_ones(dtype: str, family: Any) -> None:
    folder = family.copy()
    traces = [
        DriveMM.from_checkpoint(folder, dtype=kind, device="cpu").trace(
            family.frames(2), VIDEO, kind="video", max_new_tokens=1
        )
        for kind in (dtype, "float32")
    ]
    near, exact = (trace.first_logits.astype(np.float64) for trace in traces)
    bound = {"bfloat16": 5e-2, "float16": 1e-2}[dtype]
    assert np.linalg.norm(near - exact) / np.linalg.norm(exact) < bound
