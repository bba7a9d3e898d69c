"""Requests and batches: counts, lengths, ids, and that a batch gives what each request gives alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.input import lengths
from ghostbench_drivemm.input.pixels import best_grid, image_pixels, pad_to_square, padded_and_resized, resized
from ghostbench_drivemm.input.prepared import Preparer, Raw
from ghostbench_drivemm.network import vision

PINPOINTS = tuple((384 * x, 384 * y) for x in range(1, 4) for y in range(1, 4))


@pytest.fixture(scope="module")
def model(drivemm_data: Path) -> DriveMM:
    return DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float32", device="cpu")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("vision_batch", [1, 3, 64])
def test_a_batch_gives_what_each_request_gives_alone(vision_batch: int, model: DriveMM, family: Any) -> None:
    requests = [
        model.prepare(family.frames(4), "<image>. What happens?", kind="video"),
        model.prepare([], "Is it red?", kind="text"),
        model.prepare([picture(300, 200), picture(100, 220)], "1: <image> 2: <image>", kind="images"),
        model.prepare(family.frames(1), "Look: <image>", kind="video"),
        model.prepare([picture(80, 80)], "<image>", kind="image"),
    ]
    alone = [model.embed([request])[0] for request in requests]
    model.vision_batch = vision_batch
    try:
        together = model.embed(requests)
    finally:
        model.vision_batch = DriveMM.vision_batch
    assert [len(rows) for rows in together] == [request.length for request in requests]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=5e-6)


@pytest.mark.parametrize("size", [(528, 220), (90, 160)])
def test_frames_that_are_resized_later_give_the_same_embeddings(
    size: tuple[int, int], drivemm_data: Path, family: Any
) -> None:
    now, later = (DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float32", device="cpu") for _ in range(2))
    later._preparer = Preparer(later.config, later._preparer._renderer, resizes_later=True)
    frames = family.frames(3, size)
    block = np.stack([np.asarray(frame) for frame in frames])
    block.flags.writeable = False
    expected = now.prepare(frames, "Look: <image>", kind="video")
    for shown in (frames, block):
        request = later.prepare(shown, "Look: <image>", kind="video")
        assert isinstance(request.visuals[0], Raw) == (size[0] >= size[1])
        assert (request.length, request.sizes) == (expected.length, expected.sizes)
        assert np.array_equal(request.visuals[0], expected.visuals[0])
        assert torch.equal(later.embed([request])[0], now.embed([expected])[0])


def test_frames_of_different_sizes_make_one_video(drivemm_data: Path, family: Any) -> None:
    model = DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float32", device="cpu")
    frames = [*family.frames(1), *family.frames(1, (300, 200))]
    expected = model.embed([model.prepare(frames, "<image>", kind="video")])[0]
    model._preparer = Preparer(model.config, model._preparer._renderer, resizes_later=True)
    assert torch.equal(model.embed([model.prepare(frames, "<image>", kind="video")])[0], expected)


def test_an_empty_batch_gives_nothing(model: DriveMM) -> None:
    assert model.embed([]) == []


@pytest.mark.parametrize("number", [-1, -199, -201, 300, 2**40])
def test_an_id_outside_the_vocabulary_is_named_and_never_embedded(number: int, model: DriveMM) -> None:
    request = model.prepare([], "Is it red?", kind="text")
    ids = request.input_ids.copy()
    ids[5] = number
    seen: list[torch.Tensor] = []
    embedding = model.language_model.get_input_embeddings()
    handle = embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        with pytest.raises(ValueError, match=str(number)):
            model.embed([dataclasses.replace(request, input_ids=ids)])
    finally:
        handle.remove()
    assert seen == []


def test_image_ids_are_cut_out_before_the_embedding(model: DriveMM, family: Any) -> None:
    seen: list[torch.Tensor] = []
    embedding = model.language_model.get_input_embeddings()
    handle = embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        model.trace(family.frames(2), "<image>", kind="video", max_new_tokens=2)
    finally:
        handle.remove()
    assert seen
    assert all(int(ids.min()) >= 0 and int(ids.max()) < 300 for ids in seen)


def test_image_marks_without_pictures_are_refused(model: DriveMM) -> None:
    request = model.prepare([], "Is it red?", kind="text")
    ids = request.input_ids.copy()
    ids[5] = -200
    with pytest.raises(ValueError, match="1 image tokens for 0"):
        model.embed([dataclasses.replace(request, input_ids=ids)])


@pytest.mark.parametrize(
    ("kind", "count", "question"),
    [
        ("video", 0, "<image>"),
        ("video", 2, "<image><image>"),
        ("video", 2, "no mark"),
        ("image", 2, "<image>"),
        ("image", 0, "none"),
        ("images", 2, "<image>"),
        ("text", 1, "x"),
        ("text", 0, "<image>"),
        ("film", 1, "<image>"),
    ],
)
def test_counts_that_do_not_fit_the_kind_are_refused(kind: Any, count: int, question: str, model: DriveMM) -> None:
    with pytest.raises(ValueError, match=r"kind|marks"):
        model.prepare([picture(20, 20)] * count, question, kind=kind)


def test_a_prompt_longer_than_the_checkpoint_allows_is_refused_and_not_cut(drivemm_data: Path) -> None:
    model = DriveMM.from_checkpoint(
        drivemm_data / "ckpt_a", dtype="float32", device="cpu", overrides={"tokenizer_model_max_length": 375}
    )
    assert model.prepare([], "Is it red?", kind="text").length <= 375
    with pytest.raises(ValueError, match="the checkpoint allows 375"):
        model.prepare([], "Is it red? " * 20, kind="text")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_pictures_of_other_modes_are_converted_as_the_demo_does(mode: str, model: DriveMM) -> None:
    source = picture(90, 60).convert(mode)
    found = model.prepare([source], "<image>", kind="image").visuals[0]
    expected = model.prepare([source.convert("RGB")], "<image>", kind="image").visuals[0]
    assert np.array_equal(found, expected)


def test_every_pixel_value_is_normalised_to_the_authors_bits() -> None:
    values = np.arange(256, dtype=np.uint8)
    rescaled = (values.astype(np.float64) * (1 / 255)).astype(np.float32)
    expected = (rescaled - np.float32(0.5)) / np.float32(0.5)
    found = vision.normalise(torch.from_numpy(values), torch.float32)
    assert found.numpy().tobytes() == expected.tobytes()


@pytest.mark.gpu
def test_every_pixel_value_is_normalised_to_the_authors_bits_on_the_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(vision.normalise(values.cuda(), torch.float32).cpu(), vision.normalise(values, torch.float32))


@settings(max_examples=150, deadline=None)
@given(width=st.integers(1, 900), height=st.integers(1, 900), seed=st.integers(0, 10))
def test_padding_between_the_two_passes_of_the_resize_changes_no_bit(width: int, height: int, seed: int) -> None:
    image = picture(width, height, seed)
    assert np.array_equal(padded_and_resized(image), resized(pad_to_square(image)))


def config_with(merge: str, aspect: str) -> DriveMMConfig:
    return dataclasses.replace(
        DriveMMConfig.full_shape(),
        mm_patch_merge_type=merge,
        image_aspect_ratio=aspect,
        image_grid_pinpoints=PINPOINTS,
    )


def walked_tokens(
    tiles: np.ndarray[Any, Any], size: tuple[int, int], newline: float, config: DriveMMConfig
) -> list[float]:
    """The same order written as a walk over the picture's rows: one feature, no shrinking."""
    across, down = (side // 384 for side in best_grid(size, config.image_grid_pinpoints))
    top, left = 0, 0
    if config.has_newline:
        if size[0] / size[1] > across / down:
            top = (27 * down - int(size[1] * 27 * across / size[0])) // 2
        else:
            left = (27 * across - int(size[0] * 27 * down / size[1])) // 2
    walked = [] if "nobase" in config.mm_patch_merge_type else tiles[0, :, 0].tolist()
    for y in range(top, 27 * down - top):
        for x in range(left, 27 * across - left):
            walked.append(float(tiles[1 + (y // 27) * across + x // 27, (y % 27) * 27 + x % 27, 0]))
        if config.has_newline:
            walked.append(newline)
    return walked


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(20, 2000),
    height=st.integers(20, 2000),
    merge=st.sampled_from(["spatial", "spatial_unpad", "spatial_nobase", "spatial_unpad_nobase"]),
)
def test_tiles_are_merged_in_the_order_of_the_picture(width: int, height: int, merge: str) -> None:
    config = config_with(merge, "anyres")
    grid = best_grid((width, height), PINPOINTS)
    count = 1 + grid[0] * grid[1] // 384**2
    tiles = torch.arange(count * 729, dtype=torch.float32).reshape(count, 729, 1)
    newline = torch.tensor([-1.0])
    found = vision.image_tokens(tiles, (width, height), newline, config)[:, 0].tolist()
    assert found == walked_tokens(tiles.numpy(), (width, height), -1.0, config)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(20, 2500),
    height=st.integers(20, 2500),
    merge=st.sampled_from(
        ["flat", "spatial", "spatial_unpad", "spatial_maxpool2x2", "spatial_unpad_nobase", "spatial_nobase_maxpool2x2"]
    ),
    aspect=st.sampled_from(["pad", "square", "anyres", "anyres_max_1", "anyres_max_9"]),
)
def test_the_length_said_beforehand_is_the_number_of_tokens(width: int, height: int, merge: str, aspect: str) -> None:
    config = config_with(merge, aspect)
    grid = best_grid((width, height), PINPOINTS)
    count = 1 + grid[0] * grid[1] // 384**2 if config.is_anyres else 1
    tokens = vision.image_tokens(torch.zeros(count, 729, 2), (width, height), torch.zeros(2), config)
    assert len(tokens) == lengths.image_length((width, height), config)


@pytest.mark.parametrize("merge", ["flat", "spatial", "spatial_unpad"])
@pytest.mark.parametrize("newline", ["grid", "frame", "one_token", "no_token"])
@pytest.mark.parametrize("mode", ["bilinear", "average", "max"])
def test_the_length_said_beforehand_holds_for_videos(merge: str, newline: str, mode: str) -> None:
    config = dataclasses.replace(config_with(merge, "pad"), mm_newline_position=newline, mm_spatial_pool_mode=mode)
    for frames in (1, 7):
        pooled = vision.pool(torch.zeros(frames, 729, 2), mode)
        assert len(vision.video_tokens(pooled, torch.ones(2), config)) == lengths.video_length(frames, config)


def test_an_image_has_as_many_tiles_as_its_grid_and_one_of_the_whole() -> None:
    config = config_with("spatial_unpad", "anyres_max_9")
    for size in ((300, 200), (1920, 1080), (20, 900)):
        grid = best_grid(size, PINPOINTS)
        pixels = image_pixels(picture(*size), config)
        assert pixels.shape == (1 + grid[0] * grid[1] // 384**2, 3, 384, 384)
        assert pixels.dtype == np.uint8


def test_the_fast_tower_computes_the_librarys_layers_from_the_same_memory(drivemm_data: Path) -> None:
    from ghostbench_drivemm.engine.tower import fast_tower

    tower = DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float32", device="cpu").vision_tower
    # Torch's fused activation is the tanh form of GELU on CUDA, as SigLIP's own, and the exact one on a CPU.
    for layer in tower.get_submodule("encoder").get_submodule("layers").children():
        layer.get_submodule("mlp").activation_fn = torch.nn.GELU()
    before = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    size = sum(tensor.untyped_storage().nbytes() for tensor in tower.state_dict().values())
    pixels = torch.randn(2, 3, 384, 384, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = vision.frame_features(tower, pixels)
        found = fast_tower(tower)(pixels)
        again = vision.frame_features(tower, pixels)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert torch.equal(again, expected)
    assert all(torch.equal(before[name], tensor) for name, tensor in tower.state_dict().items())
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tower.state_dict().values()}
    assert sum(storage.nbytes() for storage in storages.values()) == size
