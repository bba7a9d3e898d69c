"""Pictures go through the encoder once for all wordings, repeats and passes, and to the same features each time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from drawn_requests import drawn_request, written  # noqa: E402
from tiny_checkpoints import FAMILIES  # noqa: E402

from ghostbench import FramePart, Request, TextPart  # noqa: E402
from ghostbench.tasks.load import load_task  # noqa: E402
from ghostbench_hf.adapter import HFModel  # noqa: E402

Load = Callable[..., HFModel]
SETTINGS = {"grammar": False, "max_new_tokens": 8, "fresh": True}


def in_two_wordings(model: HFModel, seeds: tuple[int, ...] = (0, 1)) -> list[Request]:
    """Of each clip a request in the main wording, one in another, and a repeat."""
    found = []
    for seed in seeds:
        plain, other = drawn_request(seed), drawn_request(seed, 2, load_task("ghost-probing-zh"))
        for place, one in enumerate((plain, other, plain)):
            named = dataclasses.replace(one, id=f"{seed}-{place}")
            found.append(dataclasses.replace(named, prepared=model.prepare(named)))
    return found


def encoded(model: HFModel) -> list[int]:
    """Grows with every call of the encoder."""
    calls: list[int] = []
    model._replica.model("float32").vision.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_encoded_once_a_clip_and_as_for_one_request_alone(
    family: str, checkpoint: Callable[[str], Path], loaded: Load
) -> None:
    model = loaded(checkpoint(family), mode="score", fresh=True)
    calls, requests = encoded(model), in_two_wordings(model)
    first = [written(found) for found in model.answer(requests)]
    assert len(calls) == 2, "two clips, each in two wordings and twice"
    again = [written(found) for found in model.answer(in_two_wordings(model))]
    assert len(calls) == 2
    assert [reply.grade_probabilities for reply in again] == [reply.grade_probabilities for reply in first]
    assert first[0].grade_probabilities != first[3].grade_probabilities, "what is shown decides what is said"
    assert first[0].stages.vision_s > 0
    assert again[0].stages.vision_s == 0.0
    loaded_one = model._replica.model("float32")
    one = requests[3].prepared
    wanted = {"pixel_values", "pixel_attention_mask", "image_grid_thw", "image_sizes", "batch_num_images"}
    given = {name: tensor for name, tensor in one.tensors.items() if name in wanted}
    with torch.inference_mode():
        alone = loaded_one.network.base_model.get_image_features(**given, return_dict=True)
    kept = loaded_one.features._kept[one.pictures]
    for name in ("pooler_output", "deepstack_features"):
        for mine, theirs in zip(flat(kept.get(name)), flat(alone.get(name)), strict=True):
            assert torch.equal(mine, theirs)


def flat(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else [each for inner in value for each in flat(inner)]


def test_features_that_do_not_fit_are_computed_again_to_the_same_answers(
    checkpoint: Callable[[str], Path], loaded: Load
) -> None:
    model = loaded(checkpoint("qwen3_vl"), **SETTINGS)
    calls, requests = encoded(model), in_two_wordings(model)
    first = [written(found).text for found in model.answer(requests)]
    assert len(calls) == 2, "the grades are read in a pass of its own"
    features = model._replica.model("float32").features
    assert len(features._kept) == 2
    model._replica.release()
    assert not features._kept
    features._most_bytes = 1
    assert [written(found).text for found in model.answer(requests)] == first
    assert len(calls) > 2
    assert not features._kept


def test_the_same_frames_in_another_order_or_twice_are_other_pictures(
    checkpoint: Callable[[str], Path], loaded: Load
) -> None:
    model = loaded(checkpoint("qwen2_5_vl"), mode="score", fresh=True)
    plain = drawn_request(0)
    text, *shown = [part for part in plain.prompt.parts if isinstance(part, FramePart | TextPart)]
    first, second = (part for part in shown if isinstance(part, FramePart))
    orders = {"plain": (first, second), "turned": (second, first), "twice": (first, second, second)}
    asked = [
        dataclasses.replace(plain, id=name, prompt=dataclasses.replace(plain.prompt, parts=(text, *order)))
        for name, order in orders.items()
    ]
    asked = [dataclasses.replace(one, prepared=model.prepare(one)) for one in asked]
    assert len({one.prepared.pictures for one in asked}) == 3
    together = [written(found).grade_probabilities for found in model.answer(asked)]
    for one, mine in zip(asked, together, strict=True):
        fresh = loaded(checkpoint("qwen2_5_vl"), mode="score", fresh=True)
        (alone,) = fresh.answer([one])
        assert written(alone).grade_probabilities == pytest.approx(mine, abs=1e-5)
    assert together[0] != pytest.approx(together[1], abs=1e-5), "another order is another question"


def test_of_a_kind_that_is_not_known_to_allow_it_nothing_is_kept(
    checkpoint: Callable[[str], Path], loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = loaded(checkpoint("gemma3"), **SETTINGS)
    expected = [written(found).text for found in known.answer(in_two_wordings(known))]
    monkeypatch.setattr("ghostbench_hf.features.FAMILIES", frozenset())
    model = loaded(checkpoint("gemma3"), **SETTINGS)
    assert [written(found).text for found in model.answer(in_two_wordings(model))] == expected
    assert not model._replica.model("float32").features._kept
