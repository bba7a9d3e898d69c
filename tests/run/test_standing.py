"""Where a unit stands on the ladder: rungs add up, a refusal that names a part loses that part alone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ghostbench import Level, errors
from ghostbench.folder.lines import AttemptFault, AttemptLine
from ghostbench.outcomes import Outcome
from ghostbench.running.rules.habits import SEVERAL, Habits, learn_from_ledger
from ghostbench.running.rules.standing import Standing, refusal_notes, refused_by_name

REJECTED, LARGE, UNREAD = errors.RequestRejected, errors.RequestTooLarge, errors.Unparseable
LADDER = (
    Level(name="without what was refused", without=("seed", "logprobs", "temperature"), after=()),
    Level(name="bare schema", settings={"logprobs": False, "seed": False}, after=(REJECTED,)),
    Level(name="json", settings={"format": "json"}, after=(REJECTED, UNREAD), instead_of=("format",)),
    Level(name="text", settings={"format": "text"}, after=(REJECTED, UNREAD), instead_of=("format",)),
    Level(name="8 frames", max_frames=8, after=(LARGE,)),
    Level(name="4 frames", max_frames=4, after=(LARGE,)),
)


def walk(*failures: errors.AttemptError | errors.Unparseable) -> list[Standing | None]:
    standing, seen = Standing(), []
    for failure in failures:
        after = standing.after(failure, LADDER)
        seen.append(after)
        standing = after or standing
    return seen


def test_a_refusal_that_names_a_part_loses_that_part_alone() -> None:
    first, second, third = walk(
        REJECTED("no", refuses=["logprobs"]),
        REJECTED("no", refuses=["temperature", "other"]),
        REJECTED("no", refuses=["logprobs"]),
    )
    assert first == Standing(frozenset({1}), frozenset({"logprobs"}))
    assert first.settings(LADDER) == {"without": ("logprobs",)}
    assert second == Standing(frozenset({1}), frozenset({"logprobs", "temperature"}))
    assert third is not None, "a part refused again though it was left out counts as no name"
    assert third.rungs == {1, 2}


def test_the_schema_is_given_up_last_where_nothing_is_named() -> None:
    assert [s and s.level for s in walk(*[REJECTED("no")] * 4)] == [2, 3, 4, None]


def test_a_part_that_a_rung_stands_in_for_leads_to_it() -> None:
    json, text, none = walk(*[REJECTED("no", refuses=["format"])] * 3)
    assert json == Standing.at(3)
    assert (text and text.settings(LADDER), text and text.level) == ({"format": "text"}, 4)
    assert none is None


def test_what_rungs_change_adds_up() -> None:
    *_, last = walk(REJECTED("no", refuses=["seed", "format"]), REJECTED("no", refuses=["format"]), LARGE("no"))
    assert last == Standing(frozenset({1, 3, 5}), frozenset({"seed"}))
    assert last.settings(LADDER) == {"format": "json", "without": ("seed",)}
    assert (last.level, last.max_frames(LADDER)) == (5, 8)


def test_a_format_refused_after_frames_were_taken_away_is_given_up_too() -> None:
    *_, last = walk(LARGE("no"), REJECTED("no", refuses=["format"]))
    assert last == Standing(frozenset({3, 5}))


def test_what_is_too_large_gives_up_frames_and_nothing_else() -> None:
    assert walk(*[LARGE("no")] * 3) == [Standing.at(5), Standing(frozenset({5, 6})), None]


parts = st.frozensets(st.sampled_from(["seed", "logprobs", "temperature", "format", "unheard-of"]))
failures = st.one_of(
    parts.map(lambda names: REJECTED("no", refuses=sorted(names))), st.just(LARGE("no")), st.just(UNREAD("no"))
)


@given(st.lists(failures, max_size=40))
def test_every_step_changes_something_levels_never_fall_and_the_ladder_ends(given_failures: list[REJECTED]) -> None:
    standing, steps = Standing(), 0
    for failure in given_failures:
        after = standing.after(failure, LADDER)
        if after is None:
            continue
        steps += 1
        assert after != standing
        assert after.level >= standing.level
        assert after.rungs >= standing.rungs
        assert after.without >= standing.without
        standing = after
    assert steps <= len(LADDER) + 3


@given(st.frozensets(st.integers(1, 6)), st.frozensets(st.sampled_from(["seed", "logprobs", "max_tokens"])))
def test_the_ledger_says_where_an_attempt_stood(rungs: frozenset[int], without: frozenset[str]) -> None:
    standing = Standing(rungs | ({1} if without else set()), without)
    notes = ["no price is known", *standing.notes()]
    assert Standing.noted(standing.level, notes) == standing


def test_a_rung_alone_needs_no_note() -> None:
    assert not [*Standing().notes(), *Standing.at(3).notes()]
    assert [*Standing(frozenset({1, 3}), frozenset({"seed"})).notes()] == ["in force: levels 1, 3, without seed"]


def test_refused_names_are_read_back_from_the_ledger() -> None:
    failure = REJECTED("no", refuses=["seed", "logprobs"])
    assert refused_by_name(["x", *refusal_notes(failure)]) == ("logprobs", "seed")
    assert not [*refusal_notes(REJECTED("no")), *refusal_notes(UNREAD("no"))]


def refuse(habits: Habits, clips: range, failure: errors.AttemptError) -> None:
    for clip in clips:
        habits.learn(f"c{clip}", Standing(), failure, LADDER)


def test_what_several_clips_were_refused_is_not_tried_first_again() -> None:
    habits = Habits()
    refuse(habits, range(SEVERAL - 1), REJECTED("no", refuses=["seed"]))
    assert habits.start == Standing()
    refuse(habits, range(SEVERAL), REJECTED("no", refuses=["seed"]))
    assert habits.start == Standing(frozenset({1}), frozenset({"seed"}))


def test_a_rung_that_was_taken_once_is_where_clips_begin() -> None:
    habits = Habits()
    habits.learn("c", Standing(), None, LADDER)
    refuse(habits, range(9), REJECTED("no"))
    assert habits.start == Standing()


def test_too_large_and_unreadable_are_a_clips_own_fault() -> None:
    habits = Habits()
    refuse(habits, range(9), LARGE("no"))
    assert habits.start == Standing()


def test_habits_come_back_from_the_ledger() -> None:
    habits, failure = Habits(), REJECTED("no", refuses=["seed"])
    for clip in range(SEVERAL):
        line = AttemptLine(
            model="m",
            clip=f"c{clip}",
            repeat=0,
            attempt=1,
            started_at=None,
            request_id="r",
            fallback_level=0,
            outcome=Outcome.REQUEST_REJECTED,
            error=AttemptFault(type="RequestRejected", message="no"),
            notes=tuple(refusal_notes(failure)),
        )
        learn_from_ledger(habits, line, LADDER)
        learn_from_ledger(habits, replace(line, request_id=None), LADDER)
    assert habits.start == Standing(frozenset({1}), frozenset({"seed"}))
