"""What must stop the load: every fault of a file or tensor, each by a single line that names it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.inventory import NEEDED
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import CheckpointMissing, weight_files_in

INDEX = "model.safetensors.index.json"
NAME = "model.layers.1.mlp.up_proj.weight"


def fault_of(folder: Path, dtype: str = "float32") -> str:
    """The line with which the load stops."""
    with pytest.raises(CheckpointError) as caught:
        DriveMM.from_checkpoint(folder, dtype=dtype, device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", [NAME, "model.embed_tokens.weight", "model.image_newline"])
def test_a_weight_that_is_not_finite_is_named(name: str, value: float, family: Any) -> None:
    folder = family.copy()

    def plant(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[-1] = value
        return tensor

    shard = family.change_in_shard(folder, name, plant)
    message = fault_of(folder)
    assert name in message
    assert shard in message
    assert "not finite" in message


def test_a_value_that_overflows_float16_is_named_with_the_load_type(family: Any) -> None:
    folder = family.copy()
    family.change_in_shard(folder, NAME, lambda tensor: tensor.index_fill(0, torch.tensor([3]), 1e6))
    message = fault_of(folder, dtype="float16")
    assert NAME in message
    assert "as float16" in message
    assert DriveMM.from_checkpoint(folder, dtype="bfloat16", device="cpu").facts["parameters"] == 298_944


def test_a_tensor_missing_from_its_shard_is_named(family: Any) -> None:
    folder = family.copy()
    shard = family.change_in_shard(folder, NAME, lambda _: None)
    message = fault_of(folder)
    assert f"{NAME} is missing" in message
    assert shard in message


def test_a_tensor_missing_from_shard_and_index_is_named(family: Any) -> None:
    folder = family.rewrite(family.copy(), lambda t: {name: tensor for name, tensor in t.items() if name != NAME})
    assert f"{NAME} is missing" in fault_of(folder)


@pytest.mark.parametrize(
    "name",
    [
        "model.image_newline",
        "model.mm_projector.2.bias",
        "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight",
    ],
)
def test_a_missing_visual_tensor_is_never_left_at_random(name: str, family: Any) -> None:
    folder = family.rewrite(family.copy(), lambda t: {key: tensor for key, tensor in t.items() if key != name})
    assert f"{name} is missing" in fault_of(folder)


def test_a_tensor_that_nothing_asks_for_is_named(family: Any) -> None:
    extra = "model.vision_tower.vision_tower.vision_model.head.probe"
    folder = family.rewrite(family.copy(), lambda t: {**t, extra: torch.zeros(1, 1, 64, dtype=torch.bfloat16)})
    message = fault_of(folder)
    assert extra in message
    assert "unexpected" in message


def test_a_tensor_in_a_shard_but_not_in_the_index_is_named(family: Any) -> None:
    folder = family.copy()
    index = json.loads((folder / INDEX).read_text())
    del index["weight_map"][NAME]
    (folder / INDEX).write_text(json.dumps(index))
    assert NAME in fault_of(folder)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(family: Any) -> None:
    folder = family.copy()
    family.change_in_shard(folder, NAME, lambda tensor: tensor.T)
    message = fault_of(folder)
    assert NAME in message
    assert "[64, 176]" in message
    assert "[176, 64]" in message


@pytest.mark.parametrize("name", ["embeddings.patch_embedding.weight", "encoder.layers.0.mlp.fc1.weight"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_tensor_that_gives_the_towers_shape_and_has_none_is_named(
    name: str, shape: tuple[int, ...], family: Any
) -> None:
    name = f"model.vision_tower.vision_tower.vision_model.{name}"

    def flattened(tensors: dict[str, Any]) -> dict[str, Any]:
        return {**tensors, name: torch.zeros(shape, dtype=torch.bfloat16)}

    with pytest.raises(CheckpointError, match=rf"{name}.* has shape"):
        DriveMM.from_checkpoint(family.rewrite(family.copy(), flattened), dtype="float32", device="cpu")


def test_head_counts_that_do_not_fit_the_tensors_are_found(family: Any) -> None:
    assert "model.layers.0.self_attn.k_proj.weight" in fault_of(family.copy(num_key_value_heads=4))


@pytest.mark.parametrize("keep", [0, 7, 200, 0.5, 0.999])
def test_a_truncated_shard_is_named(keep: float, family: Any) -> None:
    folder = family.copy()
    shard = folder / "model-00003-of-00004.safetensors"
    data = shard.read_bytes()
    shard.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    message = fault_of(folder)
    assert shard.name in message
    assert "whole" in message


def test_a_shard_with_bytes_at_its_end_is_named(family: Any) -> None:
    folder = family.copy()
    shard = folder / "model-00002-of-00004.safetensors"
    shard.write_bytes(shard.read_bytes() + b"\0" * 64)
    assert shard.name in fault_of(folder)


def test_a_total_size_that_is_not_the_tensors_size_stops_the_load(family: Any) -> None:
    folder = family.copy()
    family.edit(folder / INDEX, metadata={"total_size": 597_886})
    message = fault_of(folder)
    assert "597886" in message
    assert "597888" in message


def test_a_tensor_in_two_shards_is_named_with_both(family: Any) -> None:
    folder = family.copy()
    tensors = load_file(folder / "model-00004-of-00004.safetensors")
    first = load_file(folder / "model-00001-of-00004.safetensors")
    tensors["model.embed_tokens.weight"] = first["model.embed_tokens.weight"]
    save_file(tensors, folder / "model-00004-of-00004.safetensors")
    message = fault_of(folder)
    assert "model.embed_tokens.weight" in message
    assert "model-00001-of-00004.safetensors" in message
    assert "model-00004-of-00004.safetensors" in message


def test_a_whole_file_is_read_and_shards_and_index_beside_it_are_not(family: Any) -> None:
    folder = family.copy()
    shards = sorted(folder.glob("*.safetensors"))
    save_file({name: own for shard in shards for name, own in load_file(shard).items()}, folder / "model.safetensors")
    for shard in shards:
        shard.unlink()
        shard.write_bytes(b"cut short")
    facts = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu").facts
    assert facts["parameters"] == 298_944
    assert [name for name in facts["files"] if name.endswith(".safetensors")] == ["model.safetensors"]


def test_an_absent_shard_is_found_from_the_listing(family: Any) -> None:
    folder = family.copy()
    (folder / "model-00002-of-00004.safetensors").unlink()
    with pytest.raises(CheckpointMissing, match="model-00002-of-00004"):
        weight_files_in(folder, NEEDED)


@pytest.mark.parametrize("name", ["../model-00001-of-00004.safetensors", "/etc/passwd", "model.bin"])
def test_an_index_can_only_name_safetensors_files_of_its_own_folder(name: str, family: Any) -> None:
    folder = family.copy()
    index = json.loads((folder / INDEX).read_text())
    family.edit(folder / INDEX, weight_map={**index["weight_map"], "model.norm.weight": name})
    assert "plain safetensors file name" in fault_of(folder)


def test_pickled_weights_are_never_loaded(family: Any, tmp_path: Path) -> None:
    folder = family.copy()
    for file in [*folder.glob("*.safetensors"), folder / INDEX]:
        file.unlink()
    trap = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(trap), "w"))

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointMissing, match=r"pytorch_model\.bin"):
        DriveMM.from_checkpoint(folder, device="cpu")
    assert not trap.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_without_a_needed_file_is_no_checkpoint(name: str, family: Any) -> None:
    folder = family.copy()
    (folder / name).unlink()
    with pytest.raises(CheckpointMissing, match=name):
        weight_files_in(folder, NEEDED)


def test_a_path_without_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match="nowhere"):
        DriveMM.from_checkpoint(tmp_path / "nowhere", device="cpu")


@pytest.mark.parametrize("name", ["config.json", INDEX, "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_json_file_that_is_none_is_named(name: str, content: str, family: Any) -> None:
    folder = family.copy()
    (folder / name).write_text(content)
    assert name in fault_of(folder)


def test_integer_weights_are_refused(family: Any) -> None:
    folder = family.copy()
    family.change_in_shard(folder, NAME, lambda tensor: tensor.to(torch.int8))
    message = fault_of(folder)
    assert NAME in message
    assert "I8" in message


def test_derived_buffers_of_older_code_are_named_and_not_loaded(family: Any) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    folder = family.rewrite(family.copy(), lambda t: {**t, name: torch.full((8,), float("nan"))})
    model = DriveMM.from_checkpoint(folder, dtype="float32", device="cpu")
    assert model.facts["not_loaded"] == [name]
    assert torch.isfinite(model.language_model.model.rotary_emb.inv_freq).all()


def test_a_tokenizer_larger_than_the_embedding_stops_the_load(family: Any, drivemm_data: Path) -> None:
    from tokenizers import Tokenizer

    folder = family.copy()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["surplus"])
    tokenizer.save(str(folder / "tokenizer.json"))
    message = fault_of(folder)
    assert "301" in message
    assert "300" in message


def test_a_tied_head_that_differs_from_the_embedding_stops_the_load(family: Any) -> None:
    assert "lm_head.weight" in fault_of(family.copy(tie_word_embeddings=True))


def test_a_file_cut_short_after_its_header_was_read_is_named(family: Any) -> None:
    from ghostbench_drivemm.checkpoint.inventory import inspect
    from ghostbench_drivemm.checkpoint.weights import read_tensors

    folder = family.copy()
    found = inspect(folder)
    shard = folder / "model-00001-of-00004.safetensors"
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size - 10)
    with pytest.raises(CheckpointError, match=shard.name):
        read_tensors(found, dtype=torch.float32, device=torch.device("cpu"))


def test_symbolic_links_into_a_cache_are_followed(family: Any, tmp_path: Path) -> None:
    folder = family.copy()
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for file in list(folder.iterdir()):
        shutil.move(file, blobs / file.name)
        file.symlink_to(blobs / file.name)
    assert DriveMM.from_checkpoint(folder, dtype="float32", device="cpu").facts["tensors"] > 0


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_loading_onto_a_gpu_gives_the_same_weights_and_finds_the_same_faults(dtype: str, family: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    folder = family.copy()
    here = DriveMM.from_checkpoint(folder, dtype=dtype, device="cpu")
    there = DriveMM.from_checkpoint(folder, dtype=dtype, device="cuda")
    for name, weight in here.language_model.state_dict().items():
        assert torch.equal(there.language_model.state_dict()[name].cpu(), weight)
    for name, weight in here.vision_tower.state_dict().items():
        assert torch.equal(there.vision_tower.state_dict()[name].cpu(), weight)
    family.change_in_shard(folder, NAME, lambda tensor: tensor.index_fill(0, torch.tensor([3]), float("nan")))
    with pytest.raises(CheckpointError, match=NAME):
        DriveMM.from_checkpoint(folder, dtype=dtype, device="cuda")
