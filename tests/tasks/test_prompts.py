"""What a task asks: the same of every clip, with nothing in it that identifies one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ghostbench import FramePart, Frames, TextPart
from ghostbench.plugins.registry import load_target, registry
from ghostbench.tasks.base import Task
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.summary import GhostProbingSummary

TASKS: list[Task] = [GhostProbing(), GhostProbingSummary()]
MakeFrames = Callable[..., Frames]

each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@each_task
def test_every_frame_follows_its_own_timestamp_in_order(task: Task, make_frames: MakeFrames) -> None:
    prompt = task.build(make_frames(0.4, 1.25, 2.104, duration_s=2.5))
    frames = [part for part in prompt.parts if isinstance(part, FramePart)]
    assert frames == [FramePart(0, 0.4), FramePart(1, 1.25), FramePart(2, 2.104)]
    texts = []
    for frame in frames:
        before = prompt.parts[prompt.parts.index(frame) - 1]
        assert isinstance(before, TextPart)
        texts.append(before.text)
    assert texts == ["Frame at 0.40 s:", "Frame at 1.25 s:", "Frame at 2.10 s:"]


@each_task
def test_the_clips_duration_and_number_of_frames_are_said(task: Task, make_frames: MakeFrames) -> None:
    first = task.build(make_frames(0.4, 1.25, duration_s=12.34)).parts[0]
    assert isinstance(first, TextPart)
    assert "12.34 s" in first.text
    assert "2 in all" in first.text


@each_task
def test_a_prompt_is_made_of_times_alone(task: Task, make_frames: MakeFrames) -> None:
    named = make_frames(1.0, 2.0, decoder="images_5_054.avi ghost probing")
    assert task.build(named) == task.build(make_frames(1.0, 2.0))


@each_task
def test_without_frames_the_prompt_claims_none(task: Task) -> None:
    prompt = task.build(None)
    assert not any(isinstance(part, FramePart) for part in prompt.parts)
    assert isinstance(prompt.parts[0], TextPart)
    assert "No frames" in prompt.parts[0].text


@each_task
def test_the_digest_covers_times_wording_and_schema(task: Task, make_frames: MakeFrames) -> None:
    digest = task.build(make_frames(1.0, 2.0)).sha256
    assert digest == task.build(make_frames(1.0, 2.0)).sha256
    others = [
        task.build(make_frames(1.0, 2.001)).sha256,
        task.build(make_frames(1.0, 2.0, duration_s=9.0)).sha256,
        task.build(None).sha256,
        _changed(task, system=task.system + " ").build(make_frames(1.0, 2.0)).sha256,
        _changed(task, question="?").build(make_frames(1.0, 2.0)).sha256,
        _changed(task, schema={**task.schema, "title": "x"}).build(make_frames(1.0, 2.0)).sha256,
    ]
    assert len({digest, *others}) == 7


@each_task
def test_the_template_digest_covers_wording_schema_and_version(task: Task) -> None:
    digests = {
        task.template_sha256(),
        _changed(task, version="next").template_sha256(),
        _changed(task, system="other").template_sha256(),
        _changed(task, question="other").template_sha256(),
        _changed(task, schema={}).template_sha256(),
        _changed(task, max_output_tokens=1).template_sha256(),
    }
    assert len(digests) == 6
    assert task.template_sha256() == type(task)().template_sha256()


def _changed(task: Task, **attributes: Any) -> Task:
    changed: Task = type("Changed", (type(task),), attributes)()
    return changed


@each_task
def test_a_changed_schema_of_one_prompt_changes_no_other(task: Task, make_frames: MakeFrames) -> None:
    spoilt = task.build(make_frames(1.0))
    spoilt.schema["properties"].clear()
    assert task.build(make_frames(1.0)).schema == task.schema


@each_task
def test_the_schema_is_one_that_strict_modes_take(task: Task) -> None:
    schema = task.build(None).schema
    assert schema["type"] == "object"
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False
    assert "$" not in json.dumps(schema)
    allowed = {"type", "enum", "minimum", "maximum", "minLength", "maxLength"}
    for field in schema["properties"].values():
        assert set(field) <= allowed
        assert "maxLength" in field or "enum" in field or "maximum" in field


@each_task
def test_the_schema_compiles_for_constrained_decoding(task: Task) -> None:
    llguidance = pytest.importorskip("llguidance")
    grammar = llguidance.LLMatcher.grammar_from_json_schema(dict(task.build(None).schema))
    is_error, messages = llguidance.LLMatcher.validate_grammar_with_warnings(grammar)
    assert not is_error
    assert messages == []


def test_the_verdict_comes_first_in_the_schema() -> None:
    graded, summary = GhostProbing().build(None), GhostProbingSummary().build(None)
    assert list(graded.schema["properties"]) == ["grade", "event_time_s", "actor", "occluder", "evidence"]
    assert graded.verdict_field == "grade"
    assert list(graded.verdict_values) == graded.schema["properties"]["grade"]["enum"]
    assert next(iter(summary.schema["properties"])) == "key_actions"
    assert (summary.verdict_field, summary.verdict_values) == (None, ())


@pytest.mark.parametrize("name", ["ghost-probing", "ghost-probing-summary"])
def test_both_tasks_are_found_under_their_names(name: str) -> None:
    task = load_target(registry().tasks[name].load)()
    assert isinstance(task, Task)
    assert task.name == name
