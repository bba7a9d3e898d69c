"""A value that is not finite is found in every row it reaches, named, and never an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from PIL import Image  # noqa: E402

from ghostbench import GRADES  # noqa: E402
from ghostbench.tasks.ghost_probing import SCHEMA  # noqa: E402
from ghostbench_drivemm.engine import GenerateOptions, engine_of, generate, generate_prepared  # noqa: E402
from ghostbench_drivemm.network.numerics import diagnose  # noqa: E402
from ghostbench_local.answer.grammar import Grammar, Vocabulary  # noqa: E402
from ghostbench_local.answer.score import GradeReader  # noqa: E402


def clip(model: Any, seed: int = 0) -> Any:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 60, 90, 3), dtype=np.uint8)
    return model.prepare([Image.fromarray(frame) for frame in pixels], "<image>\nWhat is it?", kind="video")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("language_model.model.layers.1.mlp.up_proj", "language_model.model.layers.1.mlp.up_proj"),
        ("language_model.model.layers.2.self_attn.k_proj", "language_model.model.layers.2.self_attn.k_proj"),
        ("language_model.lm_head", "language_model.lm_head"),
        ("projector.2", "projector.2"),
        ("vision_tower.encoder.layers.0.mlp.fc1", "vision_tower.encoder.layers.0.mlp.fc1"),
    ],
)
def test_a_nan_weight_planted_after_loading_is_found_and_named(tiny: Any, module: str, name: str) -> None:
    model = tiny()
    prepared = clip(model)
    options = GenerateOptions(max_new_tokens=4)
    assert generate_prepared(model, [prepared], options)[0].nonfinite_step is None
    assert diagnose(model, prepared) is None
    part, _, path = module.partition(".")
    with torch.no_grad():
        getattr(model, part).get_submodule(path).weight[3, 5] = float("nan")
    # Features and keys of before were made by weights that no longer are.
    model.forget()
    engine_of(model).release()
    answers = generate_prepared(model, [prepared, clip(model, 1)], options)
    assert [answer.nonfinite_step for answer in answers] == [0, 0]
    found = diagnose(model, prepared)
    assert found is not None
    assert (found.module, found.dtype) == (name, "float32")
    assert 0 < found.largest_before < float("inf")
    assert name in str(found)


def test_a_fault_in_the_first_value_of_all_has_no_magnitude_before_it(tiny: Any) -> None:
    model = tiny()
    prepared = model.prepare([], "What is it?", kind="text")
    with torch.no_grad():
        model.language_model.get_input_embeddings().weight[int(prepared.input_ids[0])] = float("inf")
    found = diagnose(model, prepared)
    assert found is not None
    assert found.largest_before is None
    assert "nothing before it" in str(found)


def test_an_overflow_of_one_projection_in_float16_is_named_with_the_magnitude_before_it(tiny: Any) -> None:
    model = tiny(dtype="float16")
    prepared = clip(model)
    with torch.no_grad():
        model.language_model.model.layers[1].mlp.down_proj.weight.fill_(30_000.0)
    answer = generate_prepared(model, [prepared], GenerateOptions(max_new_tokens=4))[0]
    assert answer.nonfinite_step == 0
    found = diagnose(model, prepared)
    assert found is not None
    assert (found.module, found.dtype) == ("language_model.model.layers.1.mlp.down_proj", "float16")
    assert found.largest_before < 65504
    wide = tiny(dtype="float32")
    with torch.no_grad():
        wide.language_model.model.layers[1].mlp.down_proj.weight.fill_(30_000.0)
    assert generate_prepared(wide, [clip(wide)], GenerateOptions(max_new_tokens=4))[0].nonfinite_step is None


def test_a_value_that_arises_between_modules_is_laid_to_the_module_around_them(tiny: Any) -> None:
    model = tiny(dtype="float16")
    prepared = clip(model)
    with torch.no_grad():
        for linear in (
            model.language_model.model.layers[0].mlp.gate_proj,
            model.language_model.model.layers[0].mlp.up_proj,
        ):
            linear.weight.copy_(linear.weight.sign() * 60.0)
    found = diagnose(model, prepared)
    assert found is not None
    assert found.module == "language_model.model.layers.0.mlp"


def test_a_later_step_is_flagged_in_its_own_row_alone(tiny: Any) -> None:
    model = tiny()
    random = torch.Generator().manual_seed(0)
    embeds = [torch.randn(n, 64, generator=random) for n in (9, 14)]
    options = GenerateOptions(max_new_tokens=12)
    clean = generate(model, embeds, options)
    only_first = [t for t in clean[0].output_ids if t not in clean[1].output_ids]
    assert only_first
    with torch.no_grad():
        model.language_model.get_input_embeddings().weight[only_first[0]] = float("inf")
    struck = generate(model, embeds, options)
    assert struck[0].nonfinite_step == clean[0].output_ids.index(only_first[0]) + 1
    assert struck[1].nonfinite_step is None
    assert struck[1].output_ids == clean[1].output_ids


def test_the_step_counts_an_answers_fixed_beginning_so_that_the_diagnosis_meets_the_value_again(tiny: Any) -> None:
    model = tiny()
    vocabulary = Vocabulary(model.tokenizer, model.config.vocab_size, model.eos_ids)
    reader, grammar = GradeReader("grade", GRADES, vocabulary), Grammar(SCHEMA, vocabulary)
    begun = len(reader.begun)
    prepared = clip(model)
    options = GenerateOptions(max_new_tokens=200, grades=reader, grammar=grammar)
    clean = generate_prepared(model, [prepared], options)[0]
    asked = {*prepared.input_ids.tolist(), *reader.begun}
    place = next(at for at, token in enumerate(clean.output_ids) if at > begun and token not in asked)
    for struck, at in (
        (clean.output_ids[place], clean.output_ids.index(clean.output_ids[place])),
        (reader.begun[-2], None),
    ):
        row = model.language_model.get_input_embeddings().weight[struck]
        before = row.clone()
        with torch.no_grad():
            row.fill_(float("inf"))
        for ahead in (False, True):
            answer = generate_prepared(model, [prepared], replace(options, fast_forward=ahead))[0]
            # Logits between forced tokens are not looked at.
            latest = begun if at is None else at + 1 + ahead * answer.forced_tokens
            assert (begun if at is None else at + 1) <= answer.nonfinite_step <= latest
            found = diagnose(model, prepared, answer.output_ids[: answer.nonfinite_step])
            assert found is not None
            assert found.module == "language_model.model.embed_tokens"
        with torch.no_grad():
            row.copy_(before)


def test_image_marks_and_ids_outside_the_vocabulary_never_reach_the_embedding(tiny: Any) -> None:
    model = tiny()
    prepared = clip(model)
    assert (prepared.input_ids == -200).sum() == 1
    prepared.input_ids[0] = model.config.vocab_size
    with pytest.raises(ValueError, match="outside the vocabulary"):
        generate_prepared(model, [prepared], GenerateOptions(max_new_tokens=1))
