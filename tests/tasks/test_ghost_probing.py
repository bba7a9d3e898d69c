"""Reading `ghost-probing` replies: what fits the schema is an answer, all else is unparseable."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import GRADES, Answer, Unparseable, Verdict
from ghostbench.tasks.ghost_probing import GhostProbing, write

GOOD: dict[str, Any] = {
    "grade": "ghost_probing",
    "event_time_s": 2.5,
    "actor": "child",
    "occluder": "parked van",
    "evidence": "A child runs out from behind a van.",
}
ANSWER = Answer(**GOOD)
GOOD_TEXT = json.dumps(GOOD)
OTHER_TEXT = json.dumps({**GOOD, "grade": "normal"})

parse = GhostProbing().parse


def test_a_reply_nested_without_end_is_no_end_of_the_process_whatever_a_plugin_allows() -> None:
    """In a process of its own, that would die of it: with its limit raised, Python goes on until the stack is full."""
    code = (
        "import sys; sys.setrecursionlimit(10**6)\n"
        "from ghostbench.tasks.ghost_probing import GhostProbing\n"
        "from ghostbench import Unparseable\n"
        "for text in ('[' * 10**6, '{\"grade\": ' * 10**5, '[1, ' * 10**5, '[' * 10**6 + ']' * 10**6):\n"
        "    try: GhostProbing().parse(text)\n"
        "    except Unparseable as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "the reply's JSON is nested too deeply, or holds too much\n" * 4


def test_many_brackets_are_no_depth() -> None:
    assert parse(f"{'[1] ' * 500}{GOOD_TEXT}") == ANSWER
    assert parse(f"{json.dumps([[]] * 5000)} {GOOD_TEXT}") == ANSWER
    assert parse(f"[{{ {'[x] ' * 150}{GOOD_TEXT}") == ANSWER


def changed(**fields: Any) -> str:
    return json.dumps({**GOOD, **fields})


@pytest.mark.parametrize(
    "text",
    [
        GOOD_TEXT,
        json.dumps(GOOD, indent=2),
        f"\ufeff \n{GOOD_TEXT}\n\n",
        f"```json\n{GOOD_TEXT}\n```",
        f"```\n{GOOD_TEXT}\n```",
        f"Here is my answer:\n\n```json\n{GOOD_TEXT}\n```\nThe grade normal did not fit.",
        f"It is not normal {{as far as I see}} [1]: {GOOD_TEXT} — done.",
        f"[Frame 3] {GOOD_TEXT}",
        f"{GOOD_TEXT}\n{GOOD_TEXT}",
        f'{{"note": "frame 3"}} {GOOD_TEXT}',
        f"{{}} {GOOD_TEXT}",
        json.dumps(dict(reversed(GOOD.items()))),
        GOOD_TEXT[:-1] + ', "grade": "ghost_probing"}',
    ],
)
def test_json_is_read_bare_fenced_or_inside_prose(text: str) -> None:
    assert parse(text) == ANSWER


def test_null_fields_are_an_answer() -> None:
    answer = parse(changed(grade="normal", event_time_s=None, actor=None, occluder=None))
    assert answer == Answer(grade="normal", evidence=GOOD["evidence"])


def test_a_whole_number_of_seconds_is_a_time() -> None:
    assert isinstance(parse(changed(event_time_s=3)).event_time_s, float)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "null",
        '"ghost_probing"',
        "ghost_probing",
        "The grade is ghost_probing.",
        "grade: ghost_probing",
        "{}",
        "[]",
        f"[{GOOD_TEXT}]",
        json.dumps({"answer": GOOD}),
        json.dumps(GOOD_TEXT),
        repr(GOOD),
        GOOD_TEXT[:-1],
        GOOD_TEXT[:-1] + ",}",
        GOOD_TEXT.replace('"ghost_probing"', "ghost_probing"),
    ],
)
def test_what_is_no_json_object_of_the_schema_is_unparseable(text: str) -> None:
    with pytest.raises(Unparseable):
        parse(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"grade": "Ghost_Probing"},
        {"grade": "GHOST_PROBING"},
        {"grade": "ghost probing"},
        {"grade": "cut_in"},
        {"grade": None},
        {"grade": 1},
        {"grade": ["normal"]},
        {"event_time_s": "2.5"},
        {"event_time_s": "2.5s"},
        {"event_time_s": True},
        {"event_time_s": -0.1},
        {"event_time_s": 3600.5},
        {"event_time_s": [2.5]},
        {"actor": 3},
        {"actor": "x" * 61},
        {"occluder": {}},
        {"evidence": None},
        {"evidence": "x" * 241},
        {"evidence": "half \ud83d"},
        {"confidence": 0.9},
    ],
)
def test_a_field_that_does_not_fit_makes_the_reply_unparseable(fields: dict[str, Any]) -> None:
    with pytest.raises(Unparseable):
        parse(changed(**fields))


@pytest.mark.parametrize("missing", list(GOOD))
def test_every_field_is_required(missing: str) -> None:
    with pytest.raises(Unparseable):
        parse(json.dumps({key: value for key, value in GOOD.items() if key != missing}))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_number_that_is_none_makes_the_reply_unparseable(number: str) -> None:
    with pytest.raises(Unparseable):
        parse(GOOD_TEXT.replace("2.5", number))


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD_TEXT} {OTHER_TEXT}",
        f"First ```json\n{OTHER_TEXT}\n``` but on reflection ```json\n{GOOD_TEXT}\n```",
        f"{GOOD_TEXT} {changed(event_time_s=3.5)}",
        f'{{"draft": {OTHER_TEXT}}} {GOOD_TEXT}',
        f"[{OTHER_TEXT}] {GOOD_TEXT}",
        f'{{"grade": "Normal"}} {GOOD_TEXT}',
        GOOD_TEXT[:-1] + ', "grade": "normal"}',
    ],
)
def test_two_objects_that_disagree_are_no_answer(text: str) -> None:
    with pytest.raises(Unparseable):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"thoughts": {GOOD_TEXT}, "final": ',
        f'{{"thoughts": oops {GOOD_TEXT}}}',
        f"[{GOOD_TEXT}, oops",
        f'{{"grade": "normal", "event_time_s": {GOOD_TEXT}',
        f"{OTHER_TEXT[:-1]}\n{GOOD_TEXT}",
    ],
)
def test_what_is_left_of_a_broken_object_is_no_answer(text: str) -> None:
    with pytest.raises(Unparseable):
        parse(text)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece", ["{", "[", '{"', '{"grade":', '{"a":[', "[{", "{}", "[]", "{ ", '{"a":1}', '{"a', "\\{", '[{"grade":1},']
)
def test_a_megabyte_of_nonsense_is_unparseable_without_delay(piece: str) -> None:
    with pytest.raises(Unparseable):
        parse(piece * (2**20 // len(piece)))
    with pytest.raises(Unparseable):
        parse(GOOD_TEXT[:-1] + ', "more": ' + piece * 2000)


@given(st.text())
def test_text_is_read_or_unparseable_and_nothing_else(text: str) -> None:
    try:
        answer = parse(text)
    except Unparseable:
        return
    assert answer.grade in GRADES


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(GRADES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=6),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "x"]), json_values, max_size=7))
def test_an_object_is_read_exactly_if_it_fits_the_schema(value: dict[str, Any]) -> None:
    fits = _fits(value)
    try:
        answer = parse(json.dumps(value))
    except Unparseable:
        assert not fits
    else:
        assert fits
        assert answer == Answer(**value)


def _fits(value: dict[str, Any]) -> bool:
    """The schema in plain words, written a second time."""
    if set(value) != set(GOOD):
        return False
    time, texts = value["event_time_s"], [value["actor"], value["occluder"]]
    return (
        value["grade"] in GRADES
        and (time is None or (type(time) in (int, float) and 0 <= time <= 3600))
        and all(text is None or (isinstance(text, str) and len(text) <= 60) for text in texts)
        and isinstance(value["evidence"], str)
        and len(value["evidence"]) <= 240
    )


short_text = st.none() | st.text(st.characters(codec="utf-8"), max_size=60)
verdicts = st.builds(
    Verdict,
    grade=st.sampled_from(GRADES),
    event_time_s=st.none() | st.floats(0, 3600),
    actor=short_text,
    occluder=short_text,
    evidence=st.text(st.characters(codec="utf-8"), max_size=240),
)
prose = st.text(st.characters(codec="utf-8", exclude_characters="{["))


@given(verdicts)
def test_a_written_verdict_is_read_back_unchanged(verdict: Verdict) -> None:
    answer = GhostProbing().parse(GhostProbing().write(verdict))
    assert answer == Answer(
        grade=verdict.grade,
        event_time_s=verdict.event_time_s,
        actor=verdict.actor,
        occluder=verdict.occluder,
        evidence=verdict.evidence,
    )


@given(verdicts, prose, prose)
def test_prose_around_the_json_changes_nothing(verdict: Verdict, before: str, after: str) -> None:
    assert parse(f"{before}{write(verdict)}{after}") == parse(write(verdict))


@given(verdicts, st.integers(1))
def test_a_reply_cut_off_is_no_answer(verdict: Verdict, cut: int) -> None:
    text = write(verdict)
    with pytest.raises(Unparseable):
        parse(text[: cut % len(text)])


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(grade="normal", event_time_s=float("nan")),
        Verdict(grade="normal", event_time_s=-1.0),
        Verdict(grade="normal", event_time_s=3601.0),
        Verdict(grade="normal", actor="x" * 61),
        Verdict(grade="normal", evidence="x" * 241),
        Verdict(grade="normal", evidence="\ud800"),
    ],
)
def test_a_verdict_without_room_in_the_schema_is_not_written(verdict: Verdict) -> None:
    with pytest.raises(ValueError, match=r"cannot be written|JSON compliant"):
        write(verdict)


def test_errors_quote_nothing_of_the_reply() -> None:
    with pytest.raises(Unparseable) as caught:
        parse(changed(grade="\x1b[31m[bold]secret", actor="secret" * 1000))
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 200
