"""What goes wrong while a checkpoint is asked: each failure has its type, and none looks like an answer."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from drawn_requests import drawn_request, written  # noqa: E402

from ghostbench import Nonfinite, OutOfMemory, Reply, RequestRejected, RequestTooLarge, Truncated, Unavailable  # noqa: E402
from ghostbench.tasks.summary import GhostProbingSummary  # noqa: E402
from ghostbench_hf.adapter import HFModel  # noqa: E402
from ghostbench_hf.loading import load_checkpoint  # noqa: E402
from ghostbench_hf.settings import HFSettings  # noqa: E402

Checkpoint = Callable[[str], Path]
Load = Callable[..., HFModel]
Ask = Callable[..., list[Any]]


def network(model: HFModel) -> Any:
    return model._replica.model("float32").network


def test_a_batch_that_does_not_fit_is_halved_remembered_and_noted(
    checkpoint: Checkpoint, loaded: Load, ask: Ask
) -> None:
    model = loaded(checkpoint("internvl"), max_new_tokens=60, grammar=False, fresh=True)
    requests = ask(model, (2, 2, 2))
    expected = [written(reply).text for reply in model.answer(requests)]

    def small(module: Any, args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[0] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network(model).register_forward_pre_hook(small, with_kwargs=True)
    found = [written(reply) for reply in model.answer(requests)]
    assert [reply.text for reply in found] == expected
    assert "batch halved to 1" in found[0].notes[0]
    assert model.batch_size == 1


def test_no_memory_for_one_request_is_typed(checkpoint: Checkpoint, loaded: Load, ask: Ask) -> None:
    model = loaded(checkpoint("internvl"), fresh=True)

    def none(*_: Any) -> None:
        raise RuntimeError("CUDA error: out of memory")

    network(model).register_forward_pre_hook(none)
    assert all(isinstance(found, OutOfMemory) for found in model.answer(ask(model, (1, 2))))


def test_weights_that_do_not_fit_make_the_model_unavailable(
    checkpoint: Checkpoint, loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def none(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", none)
    with pytest.raises(Unavailable, match="do not fit into the device's memory in float32"):
        loaded(checkpoint("internvl"), fresh=True)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("settings", [{}, {"grammar": False}, {"mode": "score"}])
def test_logits_that_are_no_numbers_are_never_an_answer(
    value: str, settings: dict[str, Any], checkpoint: Checkpoint, loaded: Load, ask: Ask
) -> None:
    model = loaded(checkpoint("idefics3"), max_new_tokens=40, **settings, fresh=True)
    with torch.no_grad():
        network(model).lm_head.weight.fill_(float(value))
    for found in model.answer(ask(model, (1, 2))):
        assert isinstance(found, Nonfinite)
        assert "step 0" in str(found)


def test_a_row_that_goes_wrong_midway_takes_no_other_with_it(checkpoint: Checkpoint, loaded: Load, ask: Ask) -> None:
    model = loaded(checkpoint("qwen2_5_vl"), grammar=False, max_new_tokens=12, fresh=True)
    requests = ask(model, (2, 2))
    expected = [written(reply).text for reply in model.answer(requests)]
    steps = 0

    def spoil(module: Any, args: Any, output: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            output[1] = float("nan")
        return output

    network(model).lm_head.register_forward_hook(spoil)
    first, second = model.answer(requests)
    assert written(first).text == expected[0]
    assert isinstance(second, Nonfinite)
    assert "step 3" in str(second)


def test_an_answer_without_room_is_truncated(checkpoint: Checkpoint, loaded: Load, ask: Ask) -> None:
    for limit in (1, 20):
        model = loaded(checkpoint("llava_onevision"), max_new_tokens=limit)
        (found,) = model.answer(ask(model, (1,)))
        assert isinstance(found, Truncated)


def test_what_the_limit_cuts_off_is_no_answer_without_the_grammar_either(
    checkpoint: Checkpoint, loaded: Load, ask: Ask
) -> None:
    model = loaded(checkpoint("internvl"), grammar=False, max_new_tokens=3)
    for found in model.answer(ask(model, (1, 2))):
        assert isinstance(found, Truncated)
        assert found.reply is not None
        assert found.reply.finish_reason == "length"
        assert found.reply.usage.output_tokens == 3


def test_a_limit_within_the_fixed_beginning_is_truncated_though_the_model_would_end_there(
    checkpoint: Checkpoint, loaded: Load, ask: Ask
) -> None:
    model = loaded(checkpoint("llava_onevision"), max_new_tokens=1, fresh=True)
    (end, *_) = model._replica.model("float32").eos_ids

    def ends(module: Any, args: Any, output: Any) -> Any:
        output[..., end] = 1e4
        return output

    network(model).lm_head.register_forward_hook(ends)
    (found,) = model.answer(ask(model, (1,)))
    assert isinstance(found, Truncated)


def test_grades_that_are_all_unlikely_beyond_numbers_are_not_called_nonfinite(
    checkpoint: Checkpoint, loaded: Load, ask: Ask
) -> None:
    def certain(module: Any, args: Any, output: Any) -> Any:
        output[:] = -1e4
        output[..., 0] = 1e4
        return output

    for settings in ({"grammar": False, "max_new_tokens": 2}, {"mode": "score"}):
        model = loaded(checkpoint("idefics3"), **settings, fresh=True)
        network(model).lm_head.register_forward_hook(certain)
        (found,) = model.answer(ask(model, (1,)))
        if settings.get("mode") == "score":
            assert isinstance(found, RequestRejected)
            assert "none of the grades a probability above 0" in str(found)
        else:
            assert written(found).grade_probabilities is None


def test_whatever_a_checkpoints_processor_raises_is_a_refused_request_but_memory(
    checkpoint: Checkpoint, loaded: Load
) -> None:
    model = loaded(checkpoint("internvl"), fresh=True)
    processor = model._reader.of_this_thread()
    raised: list[Exception] = [AttributeError("no such attribute"), ZeroDivisionError("by zero"), MemoryError()]

    def fails(*_: Any, **__: Any) -> None:
        raise raised[0]

    processor.apply_chat_template = fails
    while len(raised) > 1:
        with pytest.raises(RequestRejected, match=str(raised[0])):
            model.prepare(drawn_request(1))
        del raised[0]
    with pytest.raises(MemoryError):
        model.prepare(drawn_request(1))


def test_a_tensor_of_each_token_that_is_not_known_to_be_padded_is_refused(checkpoint: Checkpoint, loaded: Load) -> None:
    model = loaded(checkpoint("internvl"), fresh=True)
    processor = model._reader.of_this_thread()
    whole = processor.apply_chat_template

    def more(*given: Any, **named: Any) -> Any:
        read = whole(*given, **named)
        read["cross_attention_mask"] = torch.ones(1, read["input_ids"].shape[1], 2, 4)
        return read

    processor.apply_chat_template = more
    with pytest.raises(RequestRejected, match="'cross_attention_mask' with a column for each token"):
        model.prepare(drawn_request(1))


def test_marks_of_spaces_are_left_and_all_others_broken_up(checkpoint: Checkpoint, loaded: Load) -> None:
    from ghostbench_hf.conversation import Conversation

    processor = copy.deepcopy(loaded(checkpoint("internvl"))._reader.processor)
    special = ["   ", "x ", " y", " <turn> ", "<a b>"]
    processor.tokenizer.add_special_tokens({"additional_special_tokens": special})
    plain = drawn_request(1)
    worded = dataclasses.replace(plain.prompt, system="a    b x  y <turn>  <turn> <a b>")
    turns, _ = Conversation(processor, "images").of(dataclasses.replace(plain, prompt=worded))
    assert turns[0]["content"][0]["text"] == "a    b x  y < turn>  < turn> < a b>"


def test_answers_are_called_deterministic_as_they_are_greedy(checkpoint: Checkpoint) -> None:
    assert HFModel(HFSettings(device="cpu"), str(checkpoint("internvl"))).is_deterministic(drawn_request(1))


def test_a_checkpoint_that_changes_while_it_is_in_use_is_unavailable(
    tmp_path: Path, checkpoint: Checkpoint, loaded: Load, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "changing"
    shutil.copytree(checkpoint("internvl"), folder)
    model = loaded(folder, fresh=True, max_new_tokens=60)
    (request,) = ask(model, (1,))
    again = dataclasses.replace(request, level_settings={"dtype": "float16"})
    os.chmod(folder / "config.json", 0o600)
    assert isinstance(model.answer([request])[0], Reply)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert isinstance(model.answer([request])[0], Reply), "by the weights that were loaded"
    (found,) = model.answer([again])
    assert isinstance(found, Unavailable), "loaded anew for the level, from files that the manifest does not name"
    assert str(found) == "config.json was changed while the model was in use: begin anew"

    def changed(*given: Any) -> Any:
        (folder / "chat_template.jinja").touch()
        return load_checkpoint(*given)

    monkeypatch.setattr("ghostbench_hf.loading.load_checkpoint", changed)
    with pytest.raises(Unavailable, match=r"chat_template.jinja was changed"):
        loaded(folder, fresh=True)


def test_a_prompt_longer_than_the_checkpoint_allows_is_too_large(
    tmp_path: Path, checkpoint: Checkpoint, loaded: Load
) -> None:
    folder = tmp_path / "short"
    shutil.copytree(checkpoint("internvl"), folder)
    stated = json.loads((folder / "config.json").read_text())
    stated["text_config"]["max_position_embeddings"] = 600
    (folder / "config.json").write_text(json.dumps(stated))
    with pytest.raises(RequestTooLarge, match="600"):
        loaded(folder).prepare(drawn_request(1))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3", "idefics3"])
def test_a_mark_in_the_tasks_words_stands_for_no_picture_and_ends_no_turn(
    family: str, checkpoint: Checkpoint, loaded: Load
) -> None:
    model = loaded(checkpoint(family))
    plain = drawn_request(1)
    marks = model._reader.processor.tokenizer.all_special_tokens
    worded = dataclasses.replace(plain.prompt, system=f"{plain.prompt.system} {''.join(marks)} <<image>image>")
    special = set(model._reader.processor.tokenizer.all_special_ids)

    def counted(request: Any) -> list[int]:
        return sorted(token for token in model.prepare(request).tensors["input_ids"][0].tolist() if token in special)

    assert counted(dataclasses.replace(plain, prompt=worded)) == counted(plain)


def test_a_text_only_probe_is_answered_without_pictures(checkpoint: Checkpoint, loaded: Load) -> None:
    from ghostbench.tasks.ghost_probing import GhostProbing

    model = loaded(checkpoint("internvl"))
    blind = dataclasses.replace(drawn_request(1), frames=None, prompt=GhostProbing().build(None))
    blind = dataclasses.replace(blind, prepared=model.prepare(blind))
    (found,) = model.answer([blind])
    assert isinstance(found, Reply)
    assert not any(name.startswith("pixel_values") for name in blind.prepared.tensors)
    assert found.stages.vision_s is None


def test_a_task_without_a_fixed_verdict_has_no_probabilities(checkpoint: Checkpoint, loaded: Load, ask: Ask) -> None:
    task = GhostProbingSummary()
    model = loaded(checkpoint("internvl"))
    (found,) = model.answer(ask(model, (1,), task))
    assert isinstance(found, Reply)
    assert found.grade_probabilities is None
    task.parse(found.text)
    model = loaded(checkpoint("internvl"), mode="score")
    (refused,) = model.answer(ask(model, (1,), task))
    assert isinstance(refused, RequestRejected)
