"""The configuration in force: defaults, overrides, origins, and errors for what is not known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig, VisionShape
from ghostbench_drivemm.checkpoint.config_checks import resolve
from ghostbench_drivemm.network.assembly import expected_shapes, without_weights
from ghostbench_local.checkpoint.errors import CheckpointError

SHAPE = VisionShape(width=64, feed_forward=160, layers=2)


@pytest.fixture(scope="module")
def raw(drivemm_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((drivemm_data / "ckpt_a" / "config.json").read_text())
    return content


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mm_projector_type", "linear"),
        ("mm_projector_type", "mlp2x_res2x_gelu"),
        ("mm_spatial_pool_mode", "bicubic"),
        ("mm_newline_position", "row"),
        ("mm_newline_position", None),
        ("mm_patch_merge_type", "spatial_pad"),
        ("image_aspect_ratio", "highres"),
        ("image_aspect_ratio", "anyres_max_"),
        ("image_aspect_ratio", None),
        ("image_grid_pinpoints", "__import__('os').system('true')"),
        ("image_grid_pinpoints", [[384, 100]]),
        ("mm_vision_tower", "google/siglip-base-patch16-224"),
        ("mm_vision_tower", None),
        ("mm_resampler_type", "perceiver"),
        ("mm_use_im_start_end", True),
        ("add_faster_video", True),
        ("model_type", "llava_qwen"),
        ("quantization_config", {"load_in_4bit": True}),
        ("hidden_act", "gelu"),
        ("hidden_size", 64.0),
        ("hidden_size", True),
        ("num_hidden_layers", 0),
        ("rms_norm_eps", "1e-5"),
        ("rms_norm_eps", float("nan")),
        ("rope_scaling", {"rope_type": "su", "factor": 2.0}),
        ("rope_scaling", {"rope_type": "linear", "factor": 2.0, "beta": 1.0}),
        ("rope_scaling", {"rope_type": "linear", "factor": "2"}),
        ("rope_scaling", {"rope_type": "linear", "factor": float("nan")}),
        ("rope_scaling", {"rope_type": "linear", "factor": 10**400}),
        ("rope_scaling", {"rope_type": ["linear"], "factor": 2.0}),
        ("rope_parameters", {"rope_type": "default", "rope_theta": "ten"}),
        ("rope_scaling", "llama3"),
        ("tokenizer_model_max_length", 0),
    ],
)
def test_a_value_that_is_not_known_is_named_with_the_known_ones(key: str, value: Any, raw: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError) as caught:
        resolve({**raw, key: value}, {}, {}, SHAPE)
    message = str(caught.value)
    assert key in message
    assert "known:" in message
    assert "\n" not in message


def test_a_rope_factor_that_is_missing_is_named(raw: dict[str, Any]) -> None:
    scaling = {key: value for key, value in raw["rope_scaling"].items() if key != "low_freq_factor"}
    with pytest.raises(CheckpointError, match=r"rope_scaling\.low_freq_factor"):
        resolve({**raw, "rope_scaling": scaling}, {}, {}, SHAPE)


@pytest.mark.parametrize("ids", [None, [], "297", [297, None], [True]])
def test_end_tokens_that_are_none_stop_the_load(ids: Any, raw: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="eos_token_id"):
        resolve({**raw, "eos_token_id": ids}, {}, {}, SHAPE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("repetition_penalty", 1.05),
        ("no_repeat_ngram_size", 3),
        ("num_beams", 4),
        ("suppress_tokens", [5]),
        ("min_p", 0.1),
        ("typical_p", 0.9),
        ("penalty_alpha", 0.6),
        ("forced_eos_token_id", 297),
        ("top_k", -1),
        ("top_k", 1.5),
    ],
)
def test_a_way_of_choosing_tokens_that_is_not_computed_stops_the_load(
    key: str, value: Any, raw: dict[str, Any]
) -> None:
    with pytest.raises(CheckpointError, match=rf"{key}=.*known:"):
        resolve(raw, {"eos_token_id": 297, key: value}, {}, SHAPE)


def test_ways_of_choosing_tokens_that_change_nothing_are_let_through(raw: dict[str, Any]) -> None:
    neutral = {"repetition_penalty": 1.0, "num_beams": 1, "typical_p": 1.0, "penalty_alpha": None, "max_length": 4096}
    config = resolve(raw, {"eos_token_id": 297, "do_sample": True, **neutral}, {}, SHAPE)
    assert (config.top_k, config.origins["top_k"]) == (50, "authors' default")
    for given, expected in ((0, None), (None, None), (7, 7)):
        assert resolve(raw, {"eos_token_id": 297, "top_k": given}, {}, SHAPE).top_k == expected


def test_a_null_in_a_generation_configuration_is_not_given(raw: dict[str, Any], shared_data: Path) -> None:
    saved = json.loads((shared_data / "faults" / "generation-config" / "generation_config.json").read_text())
    config = resolve(raw, saved, {}, SHAPE)
    assert (config.temperature, config.top_p, config.top_k, config.do_sample) == (1.0, 1.0, 50, False)
    assert config.eos_token_ids == (1,)
    assert config.origins["temperature"] == config.origins["top_p"] == "authors' default"
    nulls = dict.fromkeys(("temperature", "top_p", "do_sample", "eos_token_id", "min_p", "num_beams"))
    config = resolve(raw, nulls, {}, SHAPE)
    assert (config.temperature, config.top_p, config.do_sample) == (1.0, 1.0, False)
    assert (config.eos_token_ids, config.origins["eos_token_ids"]) == ((289, 296, 297), "config.json")


def test_a_null_in_a_configuration_is_not_given(raw: dict[str, Any]) -> None:
    scaling = {"rope_type": "linear", "factor": 2.0}
    nulls = dict.fromkeys(("rope_parameters", "rms_norm_eps", "attention_bias", "mlp_bias", "rope_theta"))
    config = resolve({**raw, **nulls, "rope_scaling": scaling}, {}, {}, SHAPE)
    assert config.rope == {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
    assert (config.rms_norm_eps, config.attention_bias, config.mlp_bias) == (1e-6, False, False)
    assert config.origins["rms_norm_eps"] == "authors' default"


def test_every_value_says_where_it_came_from(raw: dict[str, Any]) -> None:
    without = {key: value for key, value in raw.items() if key not in ("mm_newline_position", "rms_norm_eps")}
    generation = {"eos_token_id": [1, 2, 3], "temperature": 0.6}
    config = resolve(without, generation, {"image_aspect_ratio": "square"}, SHAPE)
    assert config.mm_newline_position == "one_token"
    assert config.rms_norm_eps == 1e-6
    assert config.eos_token_ids == (1, 2, 3)
    described = config.described()
    assert described["mm_newline_position"] == {"value": "one_token", "from": "authors' default"}
    assert described["rms_norm_eps"]["from"] == "authors' default"
    assert described["image_aspect_ratio"] == {"value": "square", "from": "override"}
    assert described["hidden_size"] == {"value": 64, "from": "config.json"}
    assert described["eos_token_ids"]["from"] == described["temperature"]["from"] == "generation_config.json"
    assert described["vision"]["from"] == "tensors"
    assert all("from" in facts for key, facts in described.items() if key != "unused")
    json.dumps(described)


def test_end_tokens_come_from_the_configuration_where_there_is_no_generation_file(raw: dict[str, Any]) -> None:
    config = resolve(raw, {}, {}, SHAPE)
    assert config.eos_token_ids == (289, 296, 297)
    assert config.origins["eos_token_ids"] == "config.json"
    assert not config.do_sample


def test_an_override_of_no_known_key_is_an_error(raw: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="mm_newline_positon"):
        resolve(raw, {}, {"mm_newline_positon": "grid"}, SHAPE)


def test_keys_that_the_computation_does_not_depend_on_are_listed(raw: dict[str, Any]) -> None:
    config = resolve({**raw, "text_config": {"hidden_size": 1}}, {}, {}, SHAPE)
    assert config.hidden_size == 64
    assert {"text_config", "mm_vision_select_layer", "mm_spatial_pool_stride"} <= set(config.unused)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("(1x1),...,(2x2)", ((384, 384), (384, 768), (768, 384), (768, 768))),
        ("[[384, 768], [768, 384]]", ((384, 768), (768, 384))),
        ([(384, 384)], ((384, 384),)),
    ],
)
def test_tile_grids_are_read_in_all_the_forms_that_are_saved(given: Any, expected: Any, raw: dict[str, Any]) -> None:
    config = resolve({**raw, "image_aspect_ratio": "anyres", "image_grid_pinpoints": given}, {}, {}, SHAPE)
    assert config.image_grid_pinpoints == expected


def test_the_full_shape_is_the_public_checkpoint_tensor_by_tensor(drivemm_data: Path) -> None:
    index = json.loads((drivemm_data / "real_index.json").read_text())
    config = DriveMMConfig.full_shape()
    shapes = expected_shapes(without_weights(config, has_newline=config.has_newline))
    count = 0
    for shape in shapes.values():
        size = 1
        for side in shape:
            size *= side
        count += size
    assert set(shapes) == set(index["weight_map"])
    assert count == 8_449_517_088
    assert 2 * count == index["metadata"]["total_size"]


def test_facts_account_for_every_file_and_parameter(drivemm_data: Path) -> None:
    import hashlib

    folder = drivemm_data / "ckpt_a"
    facts = DriveMM.from_checkpoint(folder, dtype="bfloat16", device="cpu").facts
    assert facts["parameters"] == 298_944
    assert facts["bytes"] == 597_888
    assert facts["loaded_dtype"] == "bfloat16"
    assert facts["source"] is None
    assert {"config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json"} <= set(
        facts["files"]
    )
    assert sum(name.endswith(".safetensors") for name in facts["files"]) == 4
    for name, file in facts["files"].items():
        content = (folder / name).read_bytes()
        assert file == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    json.dumps(facts)


def test_an_unknown_dtype_is_named(drivemm_data: Path) -> None:
    with pytest.raises(ValueError, match="float8"):
        DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float8", device="cpu")


def test_an_unknown_device_is_named(drivemm_data: Path) -> None:
    with pytest.raises(ValueError, match="'gpu'"):
        DriveMM.from_checkpoint(drivemm_data / "ckpt_a", device="gpu")


def test_a_template_in_a_file_of_its_own_is_accounted_for(drivemm_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(drivemm_data / "ckpt_a", folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "chat_template.jinja").write_text(settings["chat_template"])
    files = DriveMM.from_checkpoint(folder, dtype="bfloat16", device="cpu").facts["files"]
    assert files["chat_template.jinja"]["bytes"] == len(settings["chat_template"].encode())
