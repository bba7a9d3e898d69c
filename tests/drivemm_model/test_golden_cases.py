"""Every golden case: what the authors' own code gives in float32 on the CPU, this package gives too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ghostbench_drivemm import DriveMM, Trace

CASES = [
    *(f"ckpt_a/{name}" for name in ("img6_as_config", "img_as_config_wide", "img_pad_tall", "img_square_tall")),
    *(f"ckpt_a/img_anyres_max_9_{size}" for size in ("small", "wide", "tall", "square", "hd")),
    *(
        f"ckpt_a/v5_{mode}_{newline}"
        for mode in ("bilinear", "average", "max")
        for newline in ("one_token", "grid", "frame", "no_token")
    ),
    *(f"ckpt_a/v5_{name}" for name in ("as_config", "bilinear_one_token_pad", "bilinear_one_token_square")),
    *(
        f"ckpt_a/v10_{name}"
        for name in ("as_config", "average_frame", "average_no_token", "bilinear_grid", "bilinear_one_token")
    ),
    "ckpt_a/text_only",
    *(f"ckpt_c/{name}" for name in ("img6_pad", "text_only", "v5_as_config", "v10_as_config")),
    *(f"ckpt_c/img_anyres_max_9_{size}" for size in ("small", "wide", "tall", "square", "hd")),
]


@dataclass(frozen=True)
class Case:
    facts: dict[str, Any]
    arrays: dict[str, Any]
    images: list[Image.Image]
    model: DriveMM
    trace: Trace


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, drivemm_data: Path) -> Case:
    checkpoint, name = request.param.split("/")
    path = drivemm_data / "cases" / checkpoint / f"{name}.json"
    facts = json.loads(path.read_text())
    model = DriveMM.from_checkpoint(drivemm_data / checkpoint, dtype="float32", device="cpu", overrides=facts["config"])
    images = [Image.open(drivemm_data / "inputs" / file).convert("RGB") for file in facts["files"]]
    trace = model.trace(images, facts["question"], kind=facts["kind"], max_new_tokens=16)
    return Case(facts, dict(np.load(path.with_suffix(".npz"))), images, model, trace)


def test_every_golden_case_on_disk_is_tested(drivemm_data: Path) -> None:
    on_disk = {f"{path.parent.name}/{path.stem}" for path in (drivemm_data / "cases").glob("*/*.npz")}
    assert on_disk == set(CASES)


def test_prompt_text_and_ids_are_those_of_the_authors(case: Case) -> None:
    prepared = case.model.prepare(case.images, case.facts["question"], kind=case.facts["kind"])
    assert prepared.prompt_text == case.facts["prompt_text"]
    assert prepared.input_ids.tolist() == case.arrays["input_ids"].tolist()
    assert case.trace.input_ids.tolist() == case.arrays["input_ids"].tolist()
    assert prepared.length == case.facts["inputs_embeds_shape"][1]


def test_pixels_are_equal_to_the_last_bit(case: Case) -> None:
    pixels = case.trace.pixel_values
    assert pixels.dtype == np.float32
    if case.facts["kind"] == "text":
        assert pixels.shape == (0, 3, 384, 384)
        return
    shapes = case.facts["pixel_values_shape"]
    assert len(pixels) == sum(shape[0] if len(shape) == 4 else 1 for shape in shapes)
    probe = case.arrays["pixel_probe"]
    first = pixels[: len(probe)]
    assert np.array_equal(first[:, :, ::16, ::16], probe)
    expected = case.arrays["pixel_mean_std"]
    found = np.stack([first.mean(axis=(1, 2, 3), dtype=np.float64), first.std(axis=(1, 2, 3), dtype=np.float64)], 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_tower_and_projector_give_the_authors_features(case: Case) -> None:
    if case.facts["kind"] == "text":
        pytest.skip("a text prompt has no visual features")
    from ghostbench_drivemm.network import vision

    pixels = torch.from_numpy(case.trace.pixel_values[: len(case.arrays["vision_probe"])])
    with torch.no_grad():
        features = vision.frame_features(case.model.vision_tower, pixels)
        projected = case.model.projector(features)
    np.testing.assert_allclose(features[:, ::27].numpy(), case.arrays["vision_probe"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(projected[:, ::27].numpy(), case.arrays["projector_probe"], rtol=0, atol=5e-5)


def test_merged_embeddings_agree_within_5e_5(case: Case) -> None:
    found, arrays = case.trace.inputs_embeds, case.arrays
    assert list(found.shape) == case.facts["inputs_embeds_shape"][1:]
    np.testing.assert_allclose(found[arrays["embeds_rows"]], arrays["inputs_embeds"], rtol=0, atol=5e-5)
    wide = found.astype(np.float64)
    np.testing.assert_allclose(wide.sum(axis=1), arrays["embeds_rowsum"], rtol=0, atol=64 * 5e-5)
    np.testing.assert_allclose(np.linalg.norm(wide, axis=1), arrays["embeds_rownorm"], rtol=0, atol=5e-5)


def test_first_logits_agree_within_1e_4_and_greedy_tokens_are_equal(case: Case) -> None:
    np.testing.assert_allclose(case.trace.first_logits, case.arrays["first_logits"], rtol=0, atol=1e-4)
    assert case.trace.output_ids.tolist() == case.arrays["output_ids"].tolist() == case.facts["output_ids"]


def test_logits_of_every_step_agree_within_1e_4(case: Case) -> None:
    tokens = torch.from_numpy(case.arrays["output_ids"])
    model = case.model.language_model
    with torch.no_grad():
        answer = model.get_input_embeddings()(tokens[:-1])
        embeds = torch.cat([torch.from_numpy(case.trace.inputs_embeds), answer])
        logits = model(embeds[None], last=len(tokens))[0]
    np.testing.assert_allclose(logits.numpy(), case.arrays["step_logits"], rtol=0, atol=1e-4)


def test_answer_text_decodes_as_recorded(case: Case) -> None:
    ids = case.trace.output_ids.tolist()
    assert case.model.tokenizer.decode(ids, skip_special_tokens=False) == case.facts["output_text_with_specials"]
