"""Other wordings in a task file: the same question, schema and reading; refused in one line where they are not."""

from __future__ import annotations

import copy
import datetime
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from two_ways import TWO_WAYS

from ghostbench import BadInput, ExampleFramePart, ExampleFrames, Question, Task, TextPart, Verdict
from ghostbench.question import examples_shown
from ghostbench.tasks.form import form_of
from ghostbench.tasks.load import load_task
from ghostbench.tasks.written_task import task_of_form

EXAMPLE = {"clip": "images_1_001", "shows": "A van hides a child.", "answer": {"ghost": "yes"}}
SHOWN = {"clip": "images_1_001.avi", "frames": True, "answer": {"ghost": "yes"}}
TASK = TWO_WAYS


def written(folder: Path, variants: Any, **more: Any) -> Path:
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump({**TASK, "variants": variants, **more}, sort_keys=False), encoding="utf-8")
    return path


def texts(task: Task) -> list[str]:
    return [part.text for part in task.build(None).parts if hasattr(part, "text")]


def test_a_wording_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    task = load_task(str(written(tmp_path, {"polite": {"question": "Would you say?"}, "few": {"examples": [EXAMPLE]}})))
    polite, few = task.variants().values()
    assert [each.name for each in (polite, few)] == ["two-ways", "two-ways"]
    assert polite.build(None).system == task.build(None).system
    assert texts(polite) == ["There are none.", "Would you say?"]
    assert texts(few) == [
        'An example, of another clip: A van hides a child.\nThe answer to it: {"ghost": "yes"}',
        "There are none.",
        "Is there ghost probing?",
    ]
    assert few.example_clips == ("images_1_001",)
    assert task.example_clips == polite.example_clips == ()
    said = task.write(Verdict(grade="ghost_probing"))
    assert polite.parse(said) == few.parse(said) == task.parse(said)
    assert polite.schema == task.schema
    assert len({each.template_sha256() for each in (task, polite, few)}) == 3
    assert not polite.variants()


def test_a_file_with_variants_has_the_digest_of_the_same_without() -> None:
    alone, with_others = (
        task_of_form(form_of(form, "x")) for form in (TASK, {**TASK, "variants": {"polite": {"question": "Please?"}}})
    )
    assert alone.template_sha256() == with_others.template_sha256()
    assert alone.template() == with_others.template()
    assert "variants" not in alone.template()["form"]


def test_wordings_cross_processes_and_examples_introduce_themselves_as_they_are_told(tmp_path: Path) -> None:
    variants = {"few": {"examples": [EXAMPLE], "example": "Seen: {shows}\nSaid: {answer}"}}
    few = load_task(str(written(tmp_path, variants))).variants()["few"]
    again = pickle.loads(pickle.dumps(few))
    assert texts(again)[0] == 'Seen: A van hides a child.\nSaid: {"ghost": "yes"}'
    assert again.template_sha256() == few.template_sha256()


def known(seed: int, *times_s: float) -> ExampleFrames:
    return ExampleFrames(
        frames_sha256=f"{seed:064x}",
        frame_indices=tuple(range(len(times_s))),
        frame_times_s=times_s,
        duration_s=4.0,
        decoder="test",
    )


def test_an_example_that_shows_frames_names_each_in_its_place(tmp_path: Path, make_frames: Any) -> None:
    other = {**SHOWN, "clip": "images_1_002"}
    variants = {"few": {"examples": [SHOWN, EXAMPLE | {"clip": "images_9_001"}, other], "example": "{answer}: {shows}"}}
    few = load_task(str(written(tmp_path, variants))).variants()["few"]
    assert few.shown_clips == ("images_1_001.avi", "images_1_002")
    assert texts(few)[:3] == [
        '{"ghost": "yes"}: There are none.',
        '{"ghost": "yes"}: A van hides a child.',
        '{"ghost": "yes"}: There are none.',
    ]
    frames = make_frames(0.5)
    with pytest.raises(ValueError, match="are not known"):
        few.build(frames)
    few.examples = {"images_1_001.avi": known(1, 1.0, 2.0), "images_1_002": known(2, 3.0)}
    again = pickle.loads(pickle.dumps(few))
    (question,) = again.questions(frames)
    parts = question.prompt.parts
    assert parts[:9] == (
        TextPart('{"ghost": "yes"}: 2 frames follow.'),
        TextPart("At 1.0 s:"), ExampleFramePart(0, 0, 1.0, f"{1:064x}"),
        TextPart("At 2.0 s:"), ExampleFramePart(0, 1, 2.0, f"{1:064x}"),
        TextPart('{"ghost": "yes"}: A van hides a child.'),
        TextPart('{"ghost": "yes"}: 1 frames follow.'),
        TextPart("At 3.0 s:"), ExampleFramePart(1, 0, 3.0, f"{2:064x}"),
    )  # fmt: skip
    assert question.frames is frames, "those of the clip in question, and no others"
    assert "images_1" not in json.dumps([getattr(part, "text", "") for part in parts])
    few.examples = {**few.examples, "images_1_002": known(3, 3.0)}
    assert few.build(frames).sha256 != question.prompt.sha256, "other pixels are another prompt"
    with pytest.raises(ValueError, match="that are not there"):
        examples_shown(question.prompt, {})
    with pytest.raises(ValueError, match="in order, each with all frames"):
        Question(prompt=replace(question.prompt, parts=parts[5:]), frames=frames)


def test_the_wordings_that_ship_ask_for_the_same_answer() -> None:
    task = load_task("ghost-probing")
    wordings = task.variants()
    assert list(wordings) == ["terse", "stepwise"]
    answer = task.write(Verdict(grade="potential_ghost_probing", event_time_s=1.5, evidence="a bus"))
    for wording in wordings.values():
        assert wording.parse(answer) == task.parse(answer)
        assert all(f"\n{key}:" in wording.system for key in task.schema["properties"])
        assert all(grade in wording.system for grade in task.verdict_values)


def deep(value: Any, *path: Any, to: Any) -> Any:
    whole = copy.deepcopy(value)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return whole


FEW = {"few": {"examples": [EXAMPLE]}}
MALFORMED: dict[str, tuple[Any, str]] = {
    "a list": ([{"system": "x"}], "variants"),
    "a text": ("terse", "variants"),
    "a wording that is a text": ({"terse": "Answer."}, "variants.terse"),
    "a wording that says nothing": ({"terse": {}}, "says nothing of its own"),
    "a wording with a summary alone": ({"terse": {"summary": "short"}}, "says nothing of its own"),
    "the main name": ({"main": {"question": "x?"}}, "variants.main"),
    "the name of all": ({"all": {"question": "x?"}}, "variants.all"),
    "a name with a space": ({"a b": {"question": "x?"}}, "variants"),
    "a name with a sign": ({"a@b": {"question": "x?"}}, "variants"),
    "a name that is a number": ({1: {"question": "x?"}}, "variants"),
    "another schema": ({"terse": {"question": "x?", "schema": {}}}, "variants.terse.schema"),
    "another reader": ({"terse": {"question": "x?", "reader": "text"}}, "variants.terse.reader"),
    "another version": ({"terse": {"question": "x?", "version": "2"}}, "variants.terse.version"),
    "another limit": ({"terse": {"question": "x?", "max_output_tokens": 9}}, "variants.terse.max_output_tokens"),
    "wordings within": ({"terse": {"question": "x?", "variants": {}}}, "variants.terse.variants"),
    "a blank question": ({"terse": {"question": " \n "}}, "variants.terse.question"),
    "half of the frames": ({"terse": {"frames": {"opening": "Frames:"}}}, "variants.terse.frames"),
    "a placeholder that is none": (
        {"terse": {"frames": {**TASK["frames"], "opening": "Clip {clip}:"}}}, "{clip}",
    ),
    "a language that is none": ({"terse": {"question": "x?", "language": "English"}}, "variants.terse.language"),
    "the main words again": ({"terse": {"question": TASK["question"]}}, "says the same as the wording main"),
    "the main words to those who see": (
        {"terse": {"frames": {**TASK["frames"], "none": "Nothing."}}}, "says the same as the wording main",
    ),
    "one wording twice": ({"a": {"question": "x?"}, "b": {"question": "x?"}}, "same as the wording a"),
    "an example without a clip": (deep(FEW, "few", "examples", 0, to={"shows": "x", "answer": {}}), "examples.0.clip"),
    "an example without an answer": (
        deep(FEW, "few", "examples", 0, to={"shows": "x", "clip": "a1b2"}), "examples.0.answer",
    ),
    "an answer that is a text": (deep(FEW, "few", "examples", 0, "answer", to="yes"), "examples.0.answer"),
    "an answer that the task cannot read": (
        deep(FEW, "few", "examples", 0, "answer", to={"ghost": "maybe"}), "examples.0.answer",
    ),
    "an answer with more": (
        deep(FEW, "few", "examples", 0, "answer", to={"ghost": "yes", "why": "x"}), "examples.0.answer",
    ),
    "an answer with a date": (
        deep(FEW, "few", "examples", 0, "answer", to={"ghost": datetime.date(2020, 1, 1)}), "examples.0.answer",
    ),
    "an answer with a set": (deep(FEW, "few", "examples", 0, "answer", to={"ghost": {"yes"}}), "examples.0.answer"),
    "an answer with bytes": (deep(FEW, "few", "examples", 0, "answer", to={"ghost": b"yes"}), "examples.0.answer"),
    "an answer with a number that is none": (
        deep(FEW, "few", "examples", 0, "answer", to={"ghost": float("nan")}), "examples.0",
    ),
    "an example with a label": (
        deep(FEW, "few", "examples", 0, to={**EXAMPLE, "label": "ghost probing"}), "examples.0.label",
    ),
    "an example that shows in two ways": (
        deep(FEW, "few", "examples", 0, to={**EXAMPLE, "frames": True}), "shows, what there is to see in words, or",
    ),
    "an example that shows nothing": (
        deep(FEW, "few", "examples", 0, to={"clip": "a1b2", "answer": {"ghost": "yes"}}), "or frames: true",
    ),
    "a number of frames": (
        deep(FEW, "few", "examples", 0, to={"clip": "a1b2", "frames": 5, "answer": {"ghost": "yes"}}),
        "examples.0.frames",
    ),
    "frames in two places": (
        {"few": {"examples": [SHOWN], "example": "{shows} {answer} {shows}"}}, "{shows} stands there twice",
    ),
    "the same frames and answer twice": (
        {"a": {"examples": [SHOWN]}, "b": {"examples": [SHOWN]}}, "same as the wording a",
    ),
    "an example twice": ({"few": {"examples": [EXAMPLE, EXAMPLE]}}, "there twice"),
    "an example twice, once as its file": (
        {"few": {"examples": [EXAMPLE, {**EXAMPLE, "clip": f"{EXAMPLE['clip']}.mp4"}]}}, "there twice",
    ),
    "an example that is no clip": ({"few": {"examples": [{**EXAMPLE, "clip": "../x"}]}}, "'../x' is not a plain name"),
    "an introduction of nothing": ({"few": {"question": "x?", "example": "{shows} {answer}"}}, "no examples"),
    "an introduction without the answer": ({"few": {"examples": [EXAMPLE], "example": "{shows}"}}, "{answer}"),
    "an introduction with the clip": (
        {"few": {"examples": [EXAMPLE], "example": "{clip}: {shows} {answer}"}}, "{clip}",
    ),
    "an introduction with a form": (
        {"few": {"examples": [EXAMPLE], "example": "{shows:.2f} {answer}"}}, "without a form",
    ),
    "too many": ({f"v{number}": {"question": f"{number}?"} for number in range(33)}, "variants"),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_wording_is_one_line_that_names_the_place(what: str, tmp_path: Path) -> None:
    variants, named = MALFORMED[what]
    with pytest.raises(BadInput) as caught:
        load_task(str(written(tmp_path, variants)))
    told = str(caught.value)
    assert told.startswith(f"task file {tmp_path / 'task.yaml'}")
    assert named in told
    assert "\n" not in told
    assert len(told) < 600


@pytest.mark.parametrize("key", ["variant", "examples", "example"])
def test_what_belongs_into_a_wording_does_not_stand_in_the_task(key: str, tmp_path: Path) -> None:
    value = {"variant": "x", "examples": [EXAMPLE], "example": "{shows} {answer}"}[key]
    with pytest.raises(BadInput, match=f"{key}: it stands in one of the variants"):
        load_task(str(written(tmp_path, {}, **{key: value})))


@given(shows=st.text(min_size=1, max_size=60).filter(str.strip), brace=st.sampled_from(["", "{", "}", "{answer}"]))
def test_whatever_an_example_shows_is_told_as_it_stands(shows: str, brace: str) -> None:
    try:
        form = form_of({**TASK, "variants": {"few": {"examples": [{**EXAMPLE, "shows": shows + brace}]}}}, "x").worded(
            "few"
        )
    except BadInput:
        return
    (told, *_) = texts(task_of_form(form))
    assert shows + brace in told
    assert told.endswith(json.dumps({"ghost": "yes"}))
