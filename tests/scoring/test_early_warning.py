"""Early warning: held against hand-computed tables and a slow, independent implementation; what never stops gets 0."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.errors import BadInput
from ghostbench.folder.lines import MomentLine, QuestionLine
from ghostbench.label import Label
from ghostbench.outcomes import Outcome
from ghostbench.scoring.alarm_thresholds import leads_by_rate
from ghostbench.scoring.anticipation import legacy
from ghostbench.scoring.chance_alarms import first_alarms, matched
from ghostbench.scoring.early_warning import early_warning
from ghostbench.scoring.timed_alarms import constant_times
from ghostbench.scoring.watched import watched
from ghostbench.tasks.sustain import AT_ONCE, Sustain, parse_sustain

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


def clip(
    truth: str, moments: int, *, seen: float | None = None, danger: float | None = None, event: float | None = None
) -> dict[str, Any]:
    return {
        "truth": truth,
        "truth_time_s": None if event is None else event - 0.2,
        "labels": Label(first_visible_s=seen, danger_s=danger, contact_s=event, actor="a child" if event else None),
        "questions": tuple(QuestionLine(moment_s=(i + 1) / 2, frames_sha256="x") for i in range(moments)),
    }


def said(
    grades: list[str | None], scores: list[float | None] | None = None, actor: str | None = None
) -> dict[str, Any]:
    scored = scores or [None] * len(grades)
    lines = tuple(
        MomentLine(
            moment_s=(place + 1) / 2,
            grade=grade,  # type: ignore[arg-type]
            score=score,
            outcome=Outcome.ANSWERED if grade else Outcome.TIMED_OUT,
        )
        for place, (grade, score) in enumerate(zip(grades, scored, strict=True))
    )
    return {"moments": lines, "actor": actor}


def measured(clips: list[dict[str, Any]], rows: list[dict[str, Any]], rule: Sustain = AT_ONCE) -> dict[str, Any]:
    frame = pd.DataFrame([{"at": at, **row} for at, row in enumerate(rows)])
    found = early_warning(frame, pd.DataFrame(clips), rule, 2.0)
    assert found is not None
    return found


def value(estimate: Any) -> float | None:
    return None if estimate is None else estimate["value"]


EVENT = clip(G, 8, seen=1.2, danger=1.6, event=3.0)
SAFE = clip(N, 8)


def alarms(*places: int, of: int = 8) -> list[str | None]:
    return [G if place in places else N for place in range(of)]


@pytest.mark.parametrize(
    ("grades", "warned", "lead"),
    [
        (alarms(2), 1, 1.4),  # at 1.5 s, 1.5 s before: a person has 1.4 s
        (alarms(3, 5), 1, 1.0),  # at 2.0 s
        (alarms(5), 1, 0.0),  # at 3.0 s, with the event
        (alarms(6), 0, 0.0),  # too late
        (alarms(), 0, 0.0),
        (alarms(1, 3), 0, 0.0),  # at 1.0 s, before anybody can be seen: the later alarm is no warning
        (alarms(*range(8)), 0, 0.0),
        ([*alarms(2)[:7], None], 0, 0.0),  # a moment without an answer
    ],
)
def test_the_first_alarm_decides(grades: list[str | None], warned: int, lead: float) -> None:
    found = measured([EVENT, SAFE], [said(grades), said(alarms())])
    assert value(found["warned"]) == warned
    assert value(found["lead_s"]["mean"]) == pytest.approx(lead)
    assert value(found["false_alarm_rate"]) == 0


def test_an_answer_that_is_missing_counts_as_a_false_alarm_in_a_safe_clip() -> None:
    found = measured([EVENT, SAFE], [said(alarms(3)), said([*alarms()[:7], None])])
    assert value(found["false_alarms_per_clip"]) == 1
    assert value(found["false_alarms_per_hour"]) == pytest.approx(3600 / 4)


def test_a_window_that_is_open_at_the_first_moment_tells_nothing() -> None:
    at_once = clip(G, 8, seen=0.5, event=3.0)
    found = measured([at_once, SAFE], [said(alarms(*range(8))), said(alarms(*range(8)))])
    assert found["clips_with_window"] == 0
    assert found["warned"] is None


def test_a_window_between_two_moments_tells_nothing() -> None:
    between = clip(G, 8, seen=1.6, event=1.9)
    found = measured([between, EVENT, SAFE], [said(alarms(3)), said(alarms(3)), said(alarms())])
    assert found["clips_with_window"] == 1, "nobody who is asked at 1.5 s and at 2.0 s can warn in the other"
    assert value(found["warned"]) == 1
    lost = {**between, "questions": None}
    assert measured([lost, SAFE], [LOST, said(alarms())])["warned"] is None
    at_a_moment = clip(G, 8, seen=2.0, event=2.0)
    assert value(measured([at_a_moment, SAFE], [said(alarms(3)), said(alarms())])["warned"]) == 1


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.integers(1, 9)), min_size=1, max_size=6),
    st.floats(0.01, 1),
    st.sampled_from([Sustain(1, 1), Sustain(1, 3), Sustain(2, 2), Sustain(3, 5)]),
)
def test_always_scores_nothing_on_warnings_and_lead_whatever_the_clips_and_the_rule(
    events: list[tuple[float, float, int]], level: float, rule: Sustain
) -> None:
    clips = [clip(G, count, seen=min(a, b), event=max(a, b)) for a, b, count in events] + [SAFE]
    grades = [alarms(*range(len(each["questions"])), of=len(each["questions"])) for each in clips]
    for rows in ([said(each) for each in grades], [said(each, [level] * len(each)) for each in grades]):
        found = measured(clips, rows, rule)
        for held in (found, *found["sustain"].values(), *([found["random"]] if found["random"] else [])):
            assert value(held["warned"]) in (None, 0.0)
            assert value(held["lead_s"]["median"]) in (None, 0.0)
            assert value(held["lead_s"]["mean"]) in (None, 0.0)


def test_the_threshold_lets_one_safe_clip_in_ten_alarm() -> None:
    safe = [said([N] * 8, [0.0] * 7 + [0.05 * place]) for place in range(1, 11)]
    event = said([N] * 8, [0.1, 0.1, 0.1, 0.46, 0.9, 0.9, 0.9, 0.9])
    found = measured([EVENT] + [SAFE] * 10, [event, *safe])
    assert found["by"] == "score"
    assert found["threshold"] == pytest.approx(0.45)
    assert value(found["false_alarm_rate"]) == pytest.approx(0.1)
    assert value(found["lead_s"]["mean"]) == pytest.approx(1.0)


def test_average_precision_is_of_scores_before_the_event_and_of_safe_clips_cut_likewise() -> None:
    rising = [place / 10 for place in range(1, 9)]
    late = [0.0] * 5 + [1.0] * 3
    found = measured([EVENT, SAFE, SAFE], [said([N] * 8, rising), said([N] * 8, late), said([N] * 8, [0.45] * 8)])
    # 2.5 s: .5 against 0 and .45. 2.0 s: .4 against 0 and .45. 1.5 s: .3 against 0 and .45.
    assert [value(found["ap_at"][before]) for before in ("500", "1000", "1500")] == [1.0, 0.5, 0.5]
    assert value(found["ap_mean"]) == pytest.approx(2 / 3)


def lost(each: dict[str, Any]) -> dict[str, Any]:
    """The clip, of which nothing could be seen, so that nothing was asked."""
    return {**each, "questions": None, "frames_sha256": None}


def test_a_clip_whose_media_failed_counts_as_wrong() -> None:
    at_once = clip(G, 8, seen=0.5, event=3.0)
    clips = [EVENT, lost(EVENT), lost(at_once), SAFE, lost(SAFE)]
    found = measured(clips, [said(alarms(3, 4)), LOST, LOST, said(alarms()), LOST])
    assert (found["clips_with_window"], found["safe_clips"]) == (2, 2), (
        "a window open at once tells nothing here either"
    )
    assert value(found["warned"]) == 0.5
    assert value(found["false_alarms_per_clip"]) == 0.5
    assert value(found["false_alarms_per_hour"]) == 0.5 * 3600 / 4, "as long as the other safe clip"
    assert value(found["lead_s"]["mean"]) == pytest.approx(0.5)
    assert found["random"]["alarms_per_moment"] == 0, "by chance, too, a clip that nobody could see counts as alarmed"
    # 0.5 s before: 1 for the warned clip, the two lost ones last; of the safe ones 0, and the lost one above all.
    assert value(found["ap_at"]["500"]) == pytest.approx((1 / 2 + 2 * 3 / 5) / 3)


def test_a_run_of_which_all_media_failed_still_asked_at_moments() -> None:
    found = measured([lost(EVENT), lost(SAFE)], [LOST, LOST])
    assert (value(found["warned"]), value(found["false_alarms_per_clip"])) == (0.0, 1.0)
    assert (found["moments_per_s"], found["false_alarms_per_hour"], found["ap_mean"]) == (2.0, None, None)


def test_a_clip_that_is_over_before_its_first_moment_is_no_failure() -> None:
    short = {**SAFE, "questions": ()}
    found = measured([EVENT, SAFE, short], [said(alarms(3)), said(alarms()), {**LOST, "outcome": "answered"}])
    assert (found["safe_clips"], value(found["false_alarms_per_clip"])) == (1, 0.0)


def test_a_yardstick_that_looks_at_nothing_says_of_a_lost_clip_what_it_says_of_all() -> None:
    answers = {"moments": None, "actor": None, "outcome": "answered"}
    clips = [lost(EVENT), EVENT, lost(SAFE), SAFE]
    for grade, grades, false in ((N, alarms(), 0.0), (G, alarms(*range(8)), 1.0)):
        found = measured(clips, [{**answers, "grade": grade}, said(grades)] * 2)
        assert value(found["ap_mean"]) == 0.5, "the same of every clip"
        assert (value(found["warned"]), value(found["false_alarms_per_clip"])) == (0.0, false)


def test_a_threshold_chosen_on_the_safe_clips_has_no_interval_there() -> None:
    clips = [EVENT] * 2 + [SAFE] * 10
    scored = measured(clips, [said(alarms(3), [0.1] * 3 + [0.5] * 5)] * 2 + [said(alarms(), [0.1] * 8)] * 10)
    graded = measured(clips, [said(alarms(3))] * 2 + [said(alarms())] * 10)
    for found, bare in ((scored, True), (graded, False)):
        for held in (found, *found["sustain"].values()):
            for name in ("false_alarms_per_clip", "false_alarms_per_hour"):
                assert held[name]["value"] == 0
                assert (held[name]["low"] is None, held[name]["high"] is None) == (bare, bare)
        assert (found["false_alarm_rate"]["high"] is None) == bare
    assert scored["random"]["more_warned"] == graded["random"]["more_warned"], "which takes the interval of the count"


def test_the_warning_must_name_who_comes() -> None:
    rows = [said(alarms(3), actor="a boy on foot"), said(alarms(3), actor="a van"), said(alarms(), actor="child")]
    assert value(measured([EVENT] * 3, rows)["named"]) == 0.5


def test_the_warning_must_name_who_comes_or_what_hid_them() -> None:
    behind = {**EVENT, "labels": replace(EVENT["labels"], occluder="parked_cars")}
    rows = [
        {**said(alarms(3), actor="a boy on foot"), "occluder": "a wall"},
        {**said(alarms(3), actor="a van"), "occluder": "a van at the kerb"},
        {**said(alarms(3), actor="a van"), "occluder": None},
        {**said(alarms(1), actor="child"), "occluder": "a car"},  # no warning: too early
    ]
    found = measured([behind] * 4, rows)
    named = [value(found[name]) for name in ("named", "named_actor", "named_occluder")]
    assert named == [pytest.approx(2 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3)]


def test_a_clip_with_a_missing_answer_does_harm_in_average_precision() -> None:
    rising = [place / 10 for place in range(1, 9)]
    lost = said([*alarms()[:7], None], [*rising[:7], None])
    good, bad = said([N] * 8, rising), said([N] * 8, [0.0] * 8)
    assert value(measured([EVENT, EVENT, SAFE], [good, good, bad])["ap_mean"]) == 1.0
    assert value(measured([EVENT, EVENT, SAFE], [good, lost, bad])["ap_mean"]) == pytest.approx((1 + 2 / 3) / 2)
    assert value(measured([EVENT, EVENT, SAFE], [good, good, lost])["ap_mean"]) == pytest.approx(2 / 3)
    assert measured([EVENT, SAFE], [lost, lost])["ap_mean"] is None


def test_a_task_without_moments_has_no_such_numbers() -> None:
    whole = {**EVENT, "questions": None}
    assert early_warning(pd.DataFrame([{"at": 0, "moments": None}]), pd.DataFrame([whole])) is None


LOST = {"moments": None, "actor": None, "outcome": "missing_media"}
SCORE = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    clips, rows = [], []
    for _ in range(draw(st.integers(1, 8))):
        count = draw(st.integers(1, 8))
        if draw(st.booleans()):
            times = sorted(draw(st.lists(st.integers(0, 50), min_size=3, max_size=3)))
            seen, danger, event = (time / 10 for time in times)
            clips.append(clip(G, count, seen=seen, danger=draw(st.sampled_from([None, danger])), event=event))
        else:
            clips.append(clip(draw(st.sampled_from([N, "cut_in"])), count))
        grades = draw(st.lists(st.sampled_from([G, P, N, N]), min_size=count, max_size=count))
        scores: list[float | None] = [*draw(st.lists(SCORE, min_size=count, max_size=count))]
        fate = draw(st.sampled_from(["answered", "answered", "answered", "one missing", "media failed"]))
        if fate == "one missing":
            place = draw(st.integers(0, count - 1))
            grades[place], scores[place] = None, None
        rows.append(said(list(grades), scores))
        if fate == "media failed":
            clips[-1], rows[-1] = {**clips[-1], "questions": None}, LOST
    return clips, rows


def whole(row: dict[str, Any]) -> bool:
    return row["moments"] is not None and None not in [line.grade for line in row["moments"]]


def slowly(clips: list[dict[str, Any]], rows: list[dict[str, Any]], k: int, n: int) -> dict[str, float | None]:
    """Warnings, false alarms and leads, in the words of the definition, by trying every threshold."""
    safe = [row for each, row in zip(clips, rows, strict=True) if each["truth"] != G]
    lines_of_all = [row["moments"] or () for row in rows]
    by_score = bool(safe) and any(whole(row) for row in rows)

    def alarm_at(level: float, lines: Any) -> float | None:
        for place in range(len(lines)):
            back = [line for line in lines[: place + 1] if place - lines.index(line) < n]
            hits = (
                [line for line in back if (line.score is not None and line.score >= level)]
                if by_score
                else [line for line in back if line.grade == G]
            )
            if len(hits) >= k:
                return float(lines[place].moment_s)
        return None

    def false_at(level: float) -> list[bool]:
        return [not whole(row) or alarm_at(level, row["moments"]) is not None for row in safe]

    scores = {line.score for lines in lines_of_all for line in lines if line.score is not None}
    levels = sorted({0.0, *(math.nextafter(score, 2) for score in scores)})
    level = next((level for level in levels if sum(false_at(level)) <= 0.1 * len(safe) + 1e-9), math.inf)

    warned, early, leads = [], [], []
    for each, row, lines in zip(clips, rows, lines_of_all, strict=True):
        label = each["labels"]
        asked = each["questions"] is not None
        if each["truth"] != G or (asked and len(lines) < k) or not k / 2 < label.first_visible_s:
            continue
        moments = [line.moment_s for line in lines] if asked else [place / 2 for place in range(1, 200)]
        if not any(label.first_visible_s <= moment <= label.contact_s for moment in moments):
            continue
        alarm = alarm_at(level, lines) if whole(row) else None
        good = alarm is not None and label.first_visible_s <= alarm <= label.contact_s
        warned.append(good)
        early.append(alarm is not None and alarm < label.first_visible_s)
        most = label.contact_s - label.danger_s if label.danger_s is not None else math.inf
        leads.append(min(label.contact_s - alarm, most) if good and alarm is not None else 0.0)
    seconds = [row["moments"][-1].moment_s for row in safe if row["moments"]]
    false = false_at(level)
    return {
        "warned": float(np.mean(warned)) if warned else None,
        "early": float(np.mean(early)) if early else None,
        "false_alarms_per_clip": float(np.mean(false)) if false else None,
        "false_alarms_per_hour": float(np.mean(false) * 3600 / np.mean(seconds)) if seconds else None,
        "lead_mean": float(np.mean(leads)) if leads else None,
        "lead_median": float(np.median(leads)) if leads else None,
    }


def slow_precision(clips: list[dict[str, Any]], rows: list[dict[str, Any]], before_s: float) -> float | None:
    """Average precision, each level of the scores a step of recall at its precision."""
    if not any(whole(row) for row in rows):
        return None
    safe = [row for each, row in zip(clips, rows, strict=True) if each["truth"] != G]
    events = [
        (each["labels"].contact_s - before_s, row) for each, row in zip(clips, rows, strict=True) if each["truth"] == G
    ]
    events = [(end, row) for end, row in events if end >= 0.5]
    ends = sorted(end for end, _ in events)
    cut = [(ends[place * len(ends) // len(safe)], row) for place, row in enumerate(safe)] if ends else []

    def last(end: float, row: dict[str, Any], missing: float) -> float:
        return [line.score for line in row["moments"] if line.moment_s <= end][-1] if whole(row) else missing

    yes = [last(end, row, -1.0) for end, row in events]
    no = [last(end, row, 2.0) for end, row in cut if end >= 0.5]
    if not yes or not no:
        return None
    found = 0.0
    for level in {*yes}:
        at_least = [score for score in yes + no if score >= level]
        found += yes.count(level) / len(yes) * len([score for score in yes if score >= level]) / len(at_least)
    return found


@given(runs(), st.sampled_from([Sustain(1, 1), Sustain(1, 3), Sustain(2, 2), Sustain(3, 5)]))
def test_it_agrees_with_a_slow_implementation(
    run: tuple[list[dict[str, Any]], list[dict[str, Any]]], asked: Sustain
) -> None:
    clips, rows = run
    found = measured(clips, rows, asked)
    for rule, held in [(asked.words, found), *found["sustain"].items()]:
        k, n = (int(word) for word in rule.split(" of "))
        told = {
            **{name: value(held[name]) for name in ("warned", "early", "false_alarms_per_clip")},
            "false_alarms_per_hour": value(held["false_alarms_per_hour"]),
            **{f"lead_{name}": value(held["lead_s"][name]) for name in ("mean", "median")},
        }
        assert told == pytest.approx(slowly(clips, rows, k, n))
    precisions = [slow_precision(clips, rows, before / 1000) for before in (500, 1000, 1500)]
    assert [value(found["ap_at"][before]) for before in ("500", "1000", "1500")] == pytest.approx(precisions)
    mean = None if None in precisions else sum(each or 0.0 for each in precisions) / 3
    assert value(found["ap_mean"]) == pytest.approx(mean)


def videos(scores: list[list[float]], events: list[float | None]) -> list[Any]:
    """Clips of 5 s with 20 scores a second, as the papers' code has them."""
    times = tuple((place + 1) / 20 for place in range(100))
    return [(event is not None, event, times, tuple(each)) for each, event in zip(scores, events, strict=True)]


def test_the_legacy_measures_have_the_flaws_that_they_are_known_for() -> None:
    constant = legacy(videos([[0.5] * 100] * 4, [4.5, 4.5, None, None]))
    assert value(constant["mtta_s"]) == pytest.approx(5.0, abs=0.06), "a constant alarm gets the most"
    perfect = [[0.05] * 60 + [0.999] * 40] * 10 + [[0.05] * 100] * 10
    good = legacy(videos(perfect, [4.5] * 10 + [None] * 10))
    assert value(good["mtta_s"]) == pytest.approx(1.67, abs=0.06), "a lead of 1.5 s is told as 1.67 s"
    early = legacy(videos([[0.9995] * 100, *perfect[1:]], [4.5] * 10 + [None] * 10))
    assert value(early["mtta_s"]) is not None
    assert value(early["mtta_s"]) > value(good["mtta_s"]) * 1.5, "one early clip moves the mean of all"  # type: ignore[operator]
    hard = legacy(videos([[round(score) for score in each] for each in perfect], [4.5] * 10 + [None] * 10))  # type: ignore[misc]
    assert value(hard["mtta_s"]) == pytest.approx(3.33, abs=0.06), "the same by yes and no is told as 3.33 s"
    noise = np.random.default_rng(0).uniform(size=(40, 100)).tolist()
    assert value(legacy(videos(noise, [4.5] * 20 + [None] * 20))["mtta_s"]) > 3, "noise seems to warn 3 s ahead"  # type: ignore[operator]
    assert legacy([]) == {"mtta_s": None, "tta_r80_s": None}


def test_moments_are_as_far_apart_as_the_run_asked() -> None:
    found = measured([EVENT, SAFE], [said(alarms()), said(alarms())])
    assert found["moments_per_s"] == 2.0
    assert all(after > before for before, after in pairwise(q.moment_s for q in EVENT["questions"]))


@pytest.mark.slow
@given(runs(), st.sampled_from([AT_ONCE, Sustain(2, 3)]))
def test_the_curve_of_leads_passes_through_the_figure_at_the_fixed_rate(
    run: tuple[list[dict[str, Any]], list[dict[str, Any]]], rule: Sustain
) -> None:
    clips, rows = run
    frame = pd.DataFrame([{"at": at, **row} for at, row in enumerate(rows)])
    found = measured(clips, rows, rule)
    points = leads_by_rate(list(watched(frame, pd.DataFrame(clips), 2.0)), rule)
    rates = [rate for rate, _ in points]
    assert rates == sorted(rates)
    if points and found["by"] == "score":
        allowed = [lead for rate, lead in points if rate <= 0.1 + 1e-9]
        assert value(found["lead_s"]["mean"]) == pytest.approx(allowed[-1] if allowed else 0.0)


def test_an_answer_that_is_missing_does_not_turn_scores_into_grades() -> None:
    quiet, lost = said([N] * 8, [0.1] * 8), said([*alarms()[:7], None], [0.1] * 7 + [None])
    event = said([N] * 8, [0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3])
    found = measured([EVENT] + [SAFE] * 10, [event, *[quiet] * 9, lost])
    assert found["by"] == "score"
    assert value(found["warned"]) == 1.0, "by grade it never alarms"
    assert value(found["false_alarms_per_clip"]) == pytest.approx(0.1)
    two_lost = measured([EVENT] + [SAFE] * 10, [event, *[quiet] * 8, lost, lost])
    assert value(two_lost["warned"]) == 0.0, "two of ten are more false alarms than are allowed already"
    assert measured([EVENT, SAFE], [lost, lost])["by"] == "grade"


def test_a_rule_is_read_or_refused() -> None:
    assert parse_sustain("2/3") == (2, 3)
    for wrong in ("0/1", "3/2", "1/11", "2", "2/3/4", "a/b", "", "-1/2", "2 / 3"):
        with pytest.raises(BadInput, match="give one such as 2/3"):
            parse_sustain(wrong)


@given(st.floats(0, 1), st.integers(0, 7), st.sampled_from([(1, 1), (1, 2), (2, 2), (2, 3), (3, 4)]))
def test_alarms_by_chance_are_what_all_their_patterns_come_to(p: float, moments: int, asked: tuple[int, int]) -> None:
    rule = Sustain(*asked)
    expected = [0.0] * moments
    for pattern in range(2**moments):
        alarm = [bool(pattern >> place & 1) for place in range(moments)]
        chance = math.prod(p if each else 1 - p for each in alarm)
        held = [sum(alarm[max(0, m - rule.n + 1) : m + 1]) >= rule.k for m in range(moments)]
        if True in held:
            expected[held.index(True)] += chance
    assert first_alarms(p, moments, rule).tolist() == pytest.approx(expected, abs=1e-9)


@given(st.floats(0, 1), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from([(1, 1), (2, 3)]))
def test_alarms_by_chance_come_as_often_as_they_are_asked_to(
    share: float, counts: list[int], asked: tuple[int, int]
) -> None:
    rule = Sustain(*asked)
    rows = pd.DataFrame([{"at": at, **said(alarms(of=count))} for at, count in enumerate(counts)])
    safe = list(watched(rows, pd.DataFrame([clip(N, count) for count in counts])))
    p = matched(share, safe, rule)
    reached = float(np.mean([first_alarms(p, count, rule).sum() for count in counts]))
    most = float(np.mean([count >= rule.k for count in counts]))
    assert reached == pytest.approx(min(share, most), abs=1e-6)


def test_a_model_is_held_against_chance_at_its_own_rate() -> None:
    """Two of four safe clips of eight moments alarm: p = 1 - (1/2)^(1/8). The window, 1.2 to 3.0 s, holds four moments
    after two that lie before it."""
    rows = [said(alarms(3)), *(said(alarms(7)), said(alarms(0))), said(alarms()), said(alarms())]
    chance = measured([EVENT] + [SAFE] * 4, rows)["random"]
    q = 0.5 ** (1 / 8)
    assert chance["alarms_per_moment"] == pytest.approx(1 - q)
    assert value(chance["false_alarms_per_clip"]) == pytest.approx(0.5)
    assert value(chance["warned"]) == pytest.approx(q**2 - q**6)
    lead = sum((1 - q) * q**place * seconds for place, seconds in ((2, 1.4), (3, 1.0), (4, 0.5), (5, 0.0)))
    assert value(chance["lead_s"]["mean"]) == pytest.approx(lead)
    assert value(chance["lead_s"]["median"]) == 0.0
    assert value(chance["more_warned"]) == pytest.approx(1 - (q**2 - q**6))
    assert chance["verdict"] == "undecided", "one clip shows nothing"


def test_of_few_clips_nothing_is_shown_of_a_model_that_warns_of_none() -> None:
    for events, verdict in ((19, "undecided"), (20, "does_not_beat")):
        found = measured([EVENT] * events + [SAFE], [said(alarms())] * events + [said(alarms())])
        assert found["random"]["verdict"] == verdict


def test_thirty_clips_warned_without_a_false_alarm_are_more_than_chance_and_none_are_not() -> None:
    clips = [EVENT] * 30 + [SAFE] * 30
    good = measured(clips, [said(alarms(3))] * 30 + [said(alarms())] * 30)["random"]
    assert good["verdict"] == "beats"
    assert good["more_warned"]["low"] > 0.5, "it holds at the highest rate of false alarms that 0 of 30 leaves open"
    blind = measured(clips, [said(alarms())] * 30 + [said(alarms(3))] * 15 + [said(alarms())] * 15)["random"]
    assert blind["verdict"] == "does_not_beat"


def test_warnings_beyond_chance_hold_for_every_rate_between_the_ends_too() -> None:
    """Nine moments lie before the window, and five in it: by chance few warn where alarms are rare, and none where they
    come at once. All four safe clips alarm; the least rate that this leaves open is 51%, 3.5% a moment."""
    clips = [clip(G, 20, seen=5.0, event=7.0)] * 60 + [clip(N, 20)] * 4
    rows = [said(alarms(10, of=20))] * 14 + [said(alarms(of=20))] * 46 + [said(alarms(0, of=20))] * 4
    chance = measured(clips, rows)["random"]
    assert value(chance["warned"]) == 0.0
    by_chance = first_alarms(0.08, 20)[9:14].sum()
    assert by_chance == pytest.approx(0.161, abs=0.001)
    assert chance["more_warned"]["low"] < 14 / 60 - by_chance - 0.09, "with the spread of 14 of 60"
    assert chance["verdict"] == "undecided"


def test_leads_are_told_by_how_long_somebody_could_be_seen() -> None:
    short, long = clip(G, 8, seen=2.2, danger=2.9, event=3.0), clip(G, 8, seen=1.2, danger=2.9, event=3.0)
    rows = [said(alarms(4)), said(alarms()), said(alarms(2)), said(alarms(3)), said(alarms())]
    found = measured([short, short, long, long, SAFE], rows)["by_visible_s"]
    assert [(level["from_s"], level["to_s"], level["clips"]) for level in found] == [(0.8, 0.8, 2), (1.8, 1.8, 2)]
    assert [value(level["warned"]) for level in found] == [0.5, 1.0]
    # 0.5 s and a miss; 1.5 s and 1.0 s: the whole time, though a person would have had a tenth of a second.
    assert [value(level["lead_s"]) for level in found] == [pytest.approx(0.25), pytest.approx(1.25)]


def test_many_visible_times_fall_into_four_ranges() -> None:
    clips = [clip(G, 12, seen=1.2 + place / 10, event=4.0) for place in range(20)]
    found = measured([*clips, SAFE], [said(alarms(of=12))] * 20 + [said(alarms())])["by_visible_s"]
    assert [level["clips"] for level in found] == [5, 5, 5, 5]
    assert (found[0]["from_s"], found[-1]["to_s"]) == (0.9, 2.8)
    assert measured([SAFE], [said(alarms())])["by_visible_s"] == []


def test_the_constant_time_is_that_of_the_other_clips() -> None:
    early, late = clip(G, 8, seen=0.8, event=1.6), clip(G, 8, seen=2.2, event=3.1)
    assert constant_times(pd.DataFrame([early, early, late, SAFE])) == [1.0, 1.0, 1.0, 1.0]
    assert constant_times(pd.DataFrame([early, late])) == [2.5, 1.0], "never by its own window"
    assert constant_times(pd.DataFrame([early, SAFE])) == [None, 1.0]
    open_at_once = clip(G, 8, seen=0.5, event=3.0)
    assert constant_times(pd.DataFrame([open_at_once, SAFE])) == [None, None]
