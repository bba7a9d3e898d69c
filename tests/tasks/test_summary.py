"""Reading `ghost-probing-summary` replies: `key_actions` decides, whatever else the object holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import GRADES, Answer, Unparseable, Verdict
from ghostbench.tasks.summary import GhostProbingSummary, write

parse = GhostProbingSummary().parse


def reply(key_actions: Any, **fields: Any) -> str:
    return json.dumps({"video_id": "x", "summary": "What happens.", "key_actions": key_actions, **fields})


@pytest.mark.parametrize(
    ("key_actions", "grade"),
    [
        ("ghost probing, emergency braking", "ghost_probing"),
        ("potential ghost probing", "potential_ghost_probing"),
        ("no ghost probing", "normal"),
        ("cut-in by a visible car", "normal"),
        ("none", "normal"),
    ],
)
def test_key_actions_state_the_grade(key_actions: str, grade: str) -> None:
    assert parse(reply(key_actions)).grade == grade


def test_other_fields_and_prose_are_not_consulted() -> None:
    text = f"I see ghost probing here.\n```json\n{reply('none', actions='ghost probing', next_action={'a': 1})}\n```"
    assert parse(text) == Answer(grade="normal", evidence="What happens.")


@pytest.mark.parametrize("key_actions", ["", "  \n", None, 1, True, ["ghost probing"], {"ghost probing": True}])
def test_key_actions_that_are_no_text_are_unparseable(key_actions: Any) -> None:
    with pytest.raises(Unparseable):
        parse(reply(key_actions))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ghost probing",
        '{"summary": "ghost probing"}',
        '{"Key_Actions": "ghost probing"}',
        reply("ghost probing")[:-1],
        f"[{reply('ghost probing')}]",
        reply("ghost probing", event_time_s="2 s"),
        reply("ghost probing", event_time_s=-1),
        reply("ghost probing", summary=3),
        f"{reply('ghost probing')} {reply('no ghost probing')}",
        '{"key_actions": "none", "key_actions": "ghost probing"}',
    ],
)
def test_what_does_not_fit_is_unparseable(text: str) -> None:
    with pytest.raises(Unparseable):
        parse(text)


short_text = st.none() | st.text(st.characters(codec="utf-8"), max_size=60)


@given(
    st.builds(
        Verdict,
        grade=st.sampled_from(GRADES),
        event_time_s=st.none() | st.floats(0, 3600),
        actor=short_text,
        occluder=short_text,
        evidence=st.text(st.characters(codec="utf-8"), max_size=400),
    )
)
def test_a_written_verdict_is_read_back_unchanged(verdict: Verdict) -> None:
    answer = parse(write(verdict))
    assert answer == parse(GhostProbingSummary().write(verdict))
    assert answer == Answer(
        grade=verdict.grade,
        event_time_s=verdict.event_time_s,
        actor=verdict.actor,
        occluder=verdict.occluder,
        evidence=verdict.evidence,
    )


@given(st.text())
def test_text_is_read_or_unparseable_and_nothing_else(text: str) -> None:
    try:
        answer = parse(text)
    except Unparseable:
        return
    assert answer.grade in GRADES
