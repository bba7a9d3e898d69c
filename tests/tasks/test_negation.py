"""What free text says of ghost probing: denials, doubts, clauses and lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import GRADES
from ghostbench.tasks.negation import stated_grade

STATED = [
    "ghost probing",
    "Ghost Probing",
    "GHOST-PROBING",
    "ghost_probing",
    "ghost\u2011probing",
    "ghost \u2013 probing",
    "**Ghost probing**: child runs out",
    '"ghost probing"',
    "ghostprobing",
    "ghost probe",
    "鬼探头",
    "鬼探头 (ghost probing)",
    "not only ghost probing but also a collision",
    "no doubt ghost probing",
    "without doubt a ghost probing event",
    "not a cut-in but ghost probing",
    "not a cut-in, ghost probing",
    "no collision, ghost probing",
    "no collision; ghost probing",
    "no collision but ghost probing",
    "ghost probing, no collision",
    "ghost probing (no collision)",
    "ghost probing without collision",
    "ghost probing rather than a cut-in",
    "ghost probing, not a cut-in",
    "child appears without warning: ghost probing",
    "child appears without warning in a ghost probing manner",
    "pedestrian emerged with no time to react, ghost probing",
    "no time to brake before ghost probing",
    "unable to stop due to ghost probing",
    "did not slow down before ghost probing",
    "driver does not react to ghost probing",
    "driver failed to avoid ghost probing",
    "ghost probing not avoided",
    "ghost probing was not seen by the driver in time",
    "potential ghost probing, ghost probing",
    "no ghost probing at first, then ghost probing",
    "No cut-in. Ghost probing.",
    "cut-in; ghost probing",
    "no hazard other than ghost probing",
    "nothing but ghost probing",
    "ghost probing: yes",
    "ghost probing detected",
    "Ghost probing! No time to react",
    "ghost probing by a vehicle not visible before",
    "ghost probing 1.5 m ahead, not a cut-in",
    "neither signalling cyclist visible; ghost probing",
    "ghost probing and no cut-in",
    "high-confidence ghost probing",
    "没有碰撞，鬼探头",
    "不是加塞，而是鬼探头",
    "突然出现鬼探头",
    "no pedestrian crossing detected, ghost probing by scooter",
    "the cyclist is not visible until ghost probing",
    "非常危险的鬼探头",
    "无信号灯路口鬼探头",
    "pedestrian near parked cars ghost probing",
    "almost hit child, ghost probing",
    "lack of visibility causes ghost probing",
    "no traffic lights at the crossing, ghost probing",
    "pedestrian not visible, ghost probing or dart-out",
    "high risk of collision due to ghost probing",
    "x" * 300 + " piano" * 60 + " ghost probing",
    "行人鬼探头，紧急制动",
]
DOUBTED = [
    "potential ghost probing",
    "Potential Ghost-Probing",
    "possible ghost probing",
    "suspected ghost probing",
    "likely ghost probing",
    "potential for ghost probing",
    "may be ghost probing",
    "could be considered ghost probing",
    "ghost probing cannot be ruled out",
    "cannot rule out ghost probing",
    "not necessarily ghost probing",
    "ghost probing?",
    "ghost probing (possible)",
    "ghost probing: potential",
    "risk of ghost probing",
    "watch for ghost probing",
    "monitor for potential ghost probing",
    "potential pedestrian ghost probing",
    "no collision, potential ghost probing",
    "potential ghost probing (not close enough for high-confidence ghost probing)",
    "no ghost probing, but potential ghost probing",
    "not ghost probing but potential ghost probing",
    "potential ghost probing rather than ghost probing",
    "not confirmed ghost probing, potential ghost probing only",
    "no high-confidence ghost probing; potential ghost probing",
    "疑似鬼探头",
    "潜在鬼探头",
    "不排除鬼探头",
    "unclear whether this is ghost probing",
    "near ghost probing",
    "ghost probing may occur",
    "ghost probing risk from parked cars",
    "can't rule out ghost probing",
    "ghost probing is possible",
    "if ghost probing occurs, brake",
    "no ghost probing (potential ghost probing)",
    "ghost probing: potential ghost probing",
    "near-ghost probing",
    "疑似鬼探头，减速",
]
DENIED = [
    "none",
    "no ghost probing",
    "No ghost probing or potential ghost probing detected",
    "no potential ghost probing or ghost probing",
    "not ghost probing",
    "no evidence of ghost probing",
    "no signs or indications of ghost probing",
    "no cut-in, ghost probing, or emergency braking",
    "no cut-in, ghost probing or crash",
    "no emergency braking or ghost probing required",
    "without ghost probing",
    "neither cut-in nor ghost probing",
    "neither ghost probing nor potential ghost probing",
    "not a cut-in, nor ghost probing",
    "ghost probing not detected",
    "ghost probing was not observed",
    "ghost probing is not present",
    "ghost probing isn't present",
    "ghost probing did not occur",
    "ghost probing didn't occur",
    "Ghost probing: none",
    "ghost probing: no",
    "ghost probing = false",
    "ghost probing (none detected)",
    "ghost probing - no",
    "ghost probing: not detected",
    "ghost probing is unlikely",
    "ghost probing unlikely",
    "ghost probing ruled out",
    "ghost probing was ruled out",
    "ruled out ghost probing",
    "rules out ghost probing",
    "absence of ghost probing",
    "lack of ghost probing",
    "cut-in rather than ghost probing",
    "cut-in instead of ghost probing",
    "unlikely to be ghost probing",
    "does not qualify as ghost probing",
    "doesn't constitute ghost probing",
    "doesn\u2019t meet the criteria for ghost probing",
    "fails to meet ghost probing criteria",
    "too far for ghost probing",
    "not close enough to be ghost probing",
    "never ghost probing",
    "non-ghost-probing",
    "non ghost probing",
    "cannot be classified as ghost probing",
    'this is not a case of "ghost probing"',
    "no **ghost probing** detected",
    "no 鬼探头 (ghost probing) detected",
    "no ghost probing (鬼探头)",
    "no sudden emergence (ghost probing) detected",
    "no cut-in (visible car) or ghost probing",
    "cut-in",
    "pedestrian crossing in plain view",
    "没有鬼探头",
    "未发现鬼探头",
    "无鬼探头",
    "不属于鬼探头",
    "鬼探头：无",
    "未检测到鬼探头或潜在鬼探头",
    "free of ghost probing",
    "not yet ghost probing",
    "no ghost probing yet",
    "no cut-in/ghost probing",
    "not so much ghost probing as a cut-in",
    "no longer ghost probing",
    "unlike ghost probing",
    "not ghost probing, as scooters are visible",
    "visible crossing, so no ghost probing",
    "ghost probing or cut-in were not observed",
    "ghost probing absent",
    "no risk of ghost probing",
    "no need to watch for ghost probing",
    "No GHOST-PROBING",
    "not potential ghost probing",
    "normal driving - no ghost probing",
    "no (potential) ghost probing",
    "no ghost-probing behaviour, potential ghost probing, or cut-in",
    "ghost probing has not been detected",
    "ghost probing does not apply",
    "ghost probing is not involved",
    "not classified as ghost probing because the car is visible",
    "there isn't any ghost probing here",
    "no instance of ghost probing was seen",
    "Ghost probing: No (visible pedestrian)",
    "Ghost probing: no ghost probing",
    "ghost probing assessment: none",
    "ghost probing: no - pedestrian visible",
    "ghost probing does not take place",
    "鬼探头现象未出现",
    "不构成鬼探头",
    "并非典型的鬼探头",
    "未检测到鬼探头、切入",
    "no ghost probing (ghost-probing absent)",
]


@pytest.mark.parametrize("text", STATED)
def test_a_mention_that_its_clause_neither_denies_nor_doubts_is_stated(text: str) -> None:
    assert stated_grade(text) == "ghost_probing"


@pytest.mark.parametrize("text", DOUBTED)
def test_a_doubted_mention_is_potential(text: str) -> None:
    assert stated_grade(text) == "potential_ghost_probing"


@pytest.mark.parametrize("text", DENIED)
def test_a_denied_mention_or_none_is_normal(text: str) -> None:
    assert stated_grade(text) == "normal"


def rank(text: str) -> int:
    return -GRADES.index(stated_grade(text))


any_phrase = st.sampled_from(STATED + DOUBTED + DENIED)


@given(any_phrase, any_phrase)
def test_separate_sentences_are_judged_separately_and_the_highest_wins(first: str, second: str) -> None:
    assert rank(f"{first}.\n{second}") == max(rank(first), rank(second))


@given(any_phrase, st.sampled_from([str.upper, str.title, str.lower]), st.sampled_from(["-", "  ", "\u2011", "_"]))
def test_case_and_the_way_the_words_are_joined_do_not_matter(text: str, case: object, joint: str) -> None:
    assert callable(case)
    varied = case(text.replace("ghost probing", f"ghost{joint}probing"))
    assert stated_grade(varied) == stated_grade(text)


@given(any_phrase)
def test_a_parenthesis_is_judged_like_a_sentence(text: str) -> None:
    assert stated_grade(f"normal driving on a dry road ({text}) at noon") == stated_grade(text)


@given(st.text() | st.lists(st.sampled_from([*"(),.;:?-", "no", "not", "or", "ghost probing", "\ue000"])).map(" ".join))
def test_any_text_has_a_grade(text: str) -> None:
    assert stated_grade(text) in GRADES


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["no ghost probing ", "no ", "(", ",", "ghost ", "ghost probing? ", "no, or, ", " - "]
)
def test_huge_text_is_read_without_delay(piece: str) -> None:
    assert stated_grade(piece * (2**18 // len(piece))) != "ghost_probing"
