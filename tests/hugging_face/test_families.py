"""Six families: they write what the library writes, alone and together, and with the grammar that is an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from drawn_requests import drawn_request, written  # noqa: E402
from library_writes import library_writes  # noqa: E402
from tiny_checkpoints import FAMILIES  # noqa: E402

from ghostbench import GRADES, FramePart, Reply, TextPart  # noqa: E402
from ghostbench.running.ask.questions import Questions  # noqa: E402
from ghostbench.tasks.ghost_probing import GhostProbing  # noqa: E402
from ghostbench_hf.adapter import HFModel  # noqa: E402
from ghostbench_hf.loading import load_processor  # noqa: E402

TASK = GhostProbing()
COUNTS = (2, 1, 3)
TOKENS = 16
LIMIT = 90


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_are_those_of_the_librarys_own_generate(
    family: str, checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel], ask: Callable[..., Any]
) -> None:
    model = loaded(checkpoint(family), grammar=False, max_new_tokens=TOKENS)
    requests = ask(model, COUNTS)
    turns = [model._reader.conversation.of(request)[0] for request in requests]
    together = library_writes(checkpoint(family), turns, TOKENS)
    alone = [library_writes(checkpoint(family), [own], TOKENS)[0] for own in turns[:1]]
    decode = model._reader.processor.tokenizer.decode
    found = model.answer(requests)
    for reply, tokens in zip(map(written, found), together, strict=True):
        assert reply.text == decode(tokens, skip_special_tokens=True)
        assert reply.usage.output_tokens == len(tokens)
    assert alone == together[:1]
    assert len({written(reply).text for reply in found}) > 1, "what is shown decides what is written"


class FourAndTwo(GhostProbing):
    """Names two of a clip's five frames, one of them twice, and not in their order."""

    def build(self, frames: Any) -> Any:
        named = [FramePart(place, frames.times_s[place]) for place in (3, 1, 3)]
        return replace(super().build(None), parts=(*named, TextPart("?")))


@pytest.mark.parametrize("family", FAMILIES)
def test_hf_prepares_the_five(family: str, checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel]) -> None:
    """Five parts or fewer: the frames that a prompt names, and no other of the clip."""
    whole = drawn_request(1, 5).frames
    assert whole is not None
    question = Questions(FourAndTwo()).asked(whole, None)
    asked = replace(drawn_request(1, 5), prompt=question.prompt, frames=question.frames)
    conversation = loaded(checkpoint(family), grammar=False, max_new_tokens=TOKENS)._reader.conversation
    turns, _ = conversation.of(asked)
    parts = [part for turn in turns for part in turn["content"] if part["type"] == "image"]
    named = (1, 3) if conversation.gathers else (3, 1, 3)
    assert [np.asarray(part["image"]).tobytes() for part in parts] == [whole.pixels[at].tobytes() for at in named]


@pytest.mark.parametrize("family", FAMILIES)
def test_with_the_grammar_every_answer_is_one_and_the_same_in_any_batch(
    family: str, checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel], ask: Callable[..., Any]
) -> None:
    model = loaded(checkpoint(family), max_new_tokens=LIMIT)
    requests = ask(model, COUNTS)
    together = model.answer(requests)
    for reply in together:
        assert isinstance(reply, Reply)
        answer = TASK.parse(reply.text)
        assert answer.grade in GRADES
        assert reply.finish_reason == "closed"
        assert reply.usage.output_tokens <= LIMIT
        assert sum(reply.grade_probabilities.values()) == pytest.approx(1.0)
        stages = reply.stages
        assert stages.preprocess_s > 0
        assert 0 < stages.vision_s <= stages.prefill_s <= stages.first_token_s
        assert stages.generate_s > 0
    (alone,), last = model.answer(requests[-1:]), together[-1]
    assert alone.text == last.text
    assert alone.grade_probabilities == pytest.approx(last.grade_probabilities, abs=1e-5)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3"])
def test_a_grades_probability_is_that_of_writing_it(
    family: str, checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel], ask: Callable[..., Any]
) -> None:
    model = loaded(checkpoint(family), mode="score")
    (request,) = ask(model, (2,))
    (reply,) = model.answer([request])
    processor = load_processor(checkpoint(family), "images")
    network = transformers.AutoModelForImageTextToText.from_pretrained(checkpoint(family), dtype=torch.float32)
    inputs = dict(request.prepared.tensors)
    begun = torch.tensor([processor.tokenizer.encode('{"grade":"', add_special_tokens=False)])
    for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            fill = {"input_ids": begun, "attention_mask": torch.ones_like(begun)}.get(name, torch.zeros_like(begun))
            inputs[name] = torch.cat([inputs[name], fill], dim=1)
    read = network.generate(
        **inputs, do_sample=False, max_new_tokens=1, return_dict_in_generate=True, output_logits=True
    )
    chances = torch.softmax(read.logits[0][0].double(), -1)
    masses = dict.fromkeys(GRADES, 0.0)
    for token, word in enumerate(processor.tokenizer.batch_decode([[n] for n in range(len(chances))])):
        for grade in GRADES:
            whole = f'{grade}"'
            if word and token not in processor.tokenizer.all_special_ids and whole.startswith(word):
                masses[grade] += float(chances[token])
    expected = {grade: mass / sum(masses.values()) for grade, mass in masses.items()}
    assert reply.grade_probabilities == pytest.approx(expected, abs=1e-6)
    assert reply.finish_reason == "score"
    assert TASK.parse(reply.text).grade == max(expected, key=expected.__getitem__)


def test_facts_say_which_checkpoint_it_was_and_what_read_its_pictures(
    checkpoint: Callable[[str], Path], loaded: Callable[..., HFModel]
) -> None:
    folder = checkpoint("llava_onevision")
    facts = json.loads(json.dumps(loaded(folder).facts))
    assert facts["architecture"] == "LlavaOnevisionForConditionalGeneration"
    assert facts["processor"]["image_processor"].startswith("LlavaOnevisionImageProcessor")
    assert facts["prompt"] == {"system_text": "a turn of its own", "frames": "before the text"}
    assert set(facts["files"]) == {path.name for path in folder.iterdir()}
    assert all(len(entry["sha256"]) == 64 and entry["bytes"] > 0 for entry in facts["files"].values())
    assert facts["source"] is None
    assert facts["arithmetic"]["device"] == "cpu"
    assert facts["arithmetic"]["threads"] == torch.get_num_threads()
    assert facts["libraries"]["torch"] == torch.__version__
    assert facts["libraries"]["jinja2"]
