"""Prompt text and ids: tokenizer, chat template, image marks."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken

from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.input.prompt import IMAGE_ID, load_renderer, load_tokenizer
from ghostbench_local.checkpoint.errors import CheckpointError


@pytest.mark.parametrize("checkpoint", ["ckpt_a", "ckpt_c"])
def test_the_tokenizer_encodes_and_decodes_as_recorded(checkpoint: str, drivemm_data: Path) -> None:
    golden = json.loads((drivemm_data / "cases" / checkpoint / "tokenizer.json").read_text())
    tokenizer = load_tokenizer(drivemm_data / checkpoint)
    for name, number in golden["special_ids"].items():
        assert tokenizer.token_to_id(name) == number
    for case in golden["cases"]:
        assert tokenizer.encode(case["text"], add_special_tokens=False).ids == case["ids_no_special"]
        assert tokenizer.encode(case["text"]).ids == case["ids"]
        assert tokenizer.decode(case["ids"], skip_special_tokens=True) == case["decoded_skip_no_cleanup"]


def test_the_day_of_the_run_changes_no_prompt(family: Any) -> None:
    folder = family.copy()
    template = (
        "{{ bos_token }}{{ strftime_now('%d %b %Y') if strftime_now is defined else '' }} {{ date_string }}<|eot_id|>"
    )
    family.edit(folder / "tokenizer_config.json", chat_template=template)
    text = load_renderer(folder, load_tokenizer(folder)).render("x")
    turn = "26 Jul 2024 26 Jul 2024"
    assert text == f"<|begin_of_text|>{turn}<|eot_id|>{turn}<|eot_id|>{turn}"


def test_a_template_cannot_reach_out_of_its_sandbox(family: Any, tmp_path: Path) -> None:
    folder = family.copy()
    trap = tmp_path / "written"
    evil = "{{ bos_token }}{{ cycler.__init__.__globals__.os.system('touch " + str(trap) + "') }}<|eot_id|>"
    family.edit(folder / "tokenizer_config.json", chat_template=evil)
    with pytest.raises(CheckpointError, match="chat template"):
        load_renderer(folder, load_tokenizer(folder)).render("x")
    assert not trap.exists()


@pytest.mark.parametrize("form", ["list", "file", "token objects"])
def test_every_way_to_save_a_template_gives_the_same_prompt(form: str, family: Any) -> None:
    folder = family.copy()
    path = folder / "tokenizer_config.json"
    expected = load_renderer(folder, load_tokenizer(folder)).ids("Is it <image>?").tolist()
    config = json.loads(path.read_text())
    if form == "list":
        other = {"name": "tool_use", "template": "no"}
        family.edit(path, chat_template=[other, {"name": "default", "template": config["chat_template"]}])
    elif form == "file":
        (folder / "chat_template.jinja").write_text(config["chat_template"])
        family.edit(path, chat_template=...)
    else:
        family.edit(path, bos_token={"content": "<|begin_of_text|>"}, eos_token={"content": "<|eot_id|>"})
    assert load_renderer(folder, load_tokenizer(folder)).ids("Is it <image>?").tolist() == expected


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"chat_template": ...}, "chat_template"),
        ({"chat_template": "{{ messages[0]['content'] }}<|eot_id|>"}, "bos_token"),
        ({"chat_template": "{{ bos_token }}{% if %}"}, "chat template"),
        ({"bos_token": "<|other|>"}, "bos_token"),
        ({"chat_template": "{{ bos_token }}{{ raise_exception('no\\n' + messages[0]['role']) }}"}, "no system"),
        ({"chat_template": "{{ bos_token }}{% if messages[0]['role'] == 'user' %}{{ 1 // 0 }}{% endif %}"}, "user"),
        ({"chat_template": "{{ bos_token }}"}, "header"),
        ({"added_tokens_decoder": {"7": {"content": "<|eot_id|>"}}}, "<|eot_id|>"),
        ({"added_tokens_decoder": ["<|eot_id|>"]}, "added_tokens_decoder"),
        ({"added_tokens_decoder": {"seven": {"content": "<|eot_id|>"}}}, "added_tokens_decoder"),
        ({"added_tokens_decoder": {"7": {"special": True}}}, "added_tokens_decoder"),
    ],
)
def test_a_tokenizer_configuration_that_cannot_be_used_is_named(values: Any, named: str, family: Any) -> None:
    folder = family.copy()
    family.edit(folder / "tokenizer_config.json", **values)
    with pytest.raises(CheckpointError) as caught:
        load_renderer(folder, load_tokenizer(folder))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_system_text_stands_in_the_authors_place(drivemm_data: Path) -> None:
    model = DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float32", device="cpu")
    plain = model.prepare([], "Is it red?", kind="text", system="You watch the road.")
    assert plain.prompt_text.count("You watch the road.") == 1
    assert "helpful language" not in plain.prompt_text


def test_the_tokenizer_of_the_model_is_not_changed_by_prompts(drivemm_data: Path) -> None:
    model = DriveMM.from_checkpoint(drivemm_data / "ckpt_a", dtype="float32", device="cpu")
    assert model.tokenizer.token_to_id("<image>") is None
    assert model.tokenizer.get_vocab_size() == model.config.vocab_size


def test_prompts_rendered_in_many_threads_at_once_are_the_same(drivemm_data: Path) -> None:
    folder = drivemm_data / "ckpt_a"
    renderer = load_renderer(folder, load_tokenizer(folder))
    expected = [renderer.ids(f"<image> number {number}").tolist() for number in range(8)]
    found: dict[int, list[int]] = {}

    def render(number: int) -> None:
        for _ in range(20):
            found[number] = renderer.ids(f"<image> number {number}").tolist()

    threads = [threading.Thread(target=render, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(8)] == expected
    assert all(ids.count(IMAGE_ID) == 1 for ids in expected)


@pytest.mark.parametrize(
    "text",
    ["<image>", "a<image>b", "<image><image>", "1: <image> 2: <image>.", "  <image>\n\n<image> ", "no mark", "<imag"],
)
def test_cutting_at_image_marks_is_what_a_special_token_of_that_name_gives(text: str, drivemm_data: Path) -> None:
    folder = drivemm_data / "ckpt_a"
    tokenizer = load_tokenizer(folder)
    renderer = load_renderer(folder, tokenizer)
    extended = load_tokenizer(folder)
    extended.add_special_tokens([AddedToken("<image>", normalized=False, special=True)])
    prompt = renderer.render(text)
    expected = [
        IMAGE_ID if number == 300 else number for number in extended.encode(prompt, add_special_tokens=False).ids
    ]
    assert renderer.ids(text).tolist() == expected
