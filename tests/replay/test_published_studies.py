"""Recorded studies, scored again: the counts of a careful reading, and every difference from what was published.

Five recordings of real models on labelled clips, in the older action-summary format. The `key_actions` of every
response were read one by one; where they name ghost probing and deny it, or call it potential, the clip is listed
here. All others state ghost probing where they name it, and nothing of the kind where they do not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from ghostbench import Clip, Grade, ModelError, NoSettings, Request, Truth, Truths
from ghostbench.datasets.labels import read_labels
from ghostbench.tasks.summary import GhostProbingSummary
from ghostbench_replay.model import Replay

Reason = Literal["corrected label", "cut-in counted as positive", "negation", "error counted"]


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a careful reading of one recording found.

    denied, potential : clips (category_id) whose key_actions deny ghost probing, or call it potential.
    counts : lenient, over answered clips, against all 200 labels: TP, FP, FN, TN.
    facts : rows, duplicates, recorded errors.
    differences : clips whose evaluation differs from the published one, and why.
    """

    denied: str = ""
    potential: str = ""
    counts: tuple[int, int, int, int]
    facts: tuple[int, int, int]
    differences: Mapping[Reason, str]


STUDIES = {
    "gpt-4.1-balanced": Study(
        denied="1_004 2_001 2_003 3_001 4_008 5_001 5_003 5_009 5_011 5_015 5_018 5_019 5_041 5_049",
        potential="1_017 5_021",
        counts=(35, 26, 16, 23),
        facts=(100, 0, 0),
        differences={},
    ),
    "gpt-4.1-fewshot": Study(
        denied=(
            "1_007 1_008 1_011 1_017 1_020 1_027 2_001 3_001 3_004 4_007 4_008 5_001 5_003 5_009 5_011 5_012 5_014 "
            "5_022 5_035 5_038 5_040 5_041 5_043 5_049 5_054 5_056 5_057 5_063"
        ),
        counts=(50, 41, 14, 14),
        facts=(120, 1, 0),
        differences={},
    ),
    "gpt-4o-balanced": Study(
        denied="1_011 3_001 4_008 5_011 5_012 5_041 5_054",
        potential="1_002 1_006 1_013 1_024 4_002 5_006 5_013 5_016 5_019 5_020 5_026 5_033 5_037 5_042 5_044",
        counts=(19, 17, 23, 24),
        facts=(99, 0, 16),
        differences={
            "corrected label": "1_020 3_002 3_003 5_005",
            "cut-in counted as positive": "5_002 5_038",
            "negation": "1_011 3_001 4_008 5_011 5_012 5_041 5_054",
            "error counted": (
                "1_014 1_026 2_001 4_006 5_001 5_008 5_010 5_015 5_017 5_018 5_027 5_030 5_036 5_045 5_050 5_051"
            ),
        },
    ),
    "gpt-4o-fewshot": Study(
        counts=(40, 33, 10, 13),
        facts=(99, 0, 3),
        differences={
            "corrected label": "1_020 3_002 3_003 5_005",
            "cut-in counted as positive": "5_002 5_038",
            "error counted": "1_019 1_025 5_003",
        },
    ),
    "claude-3.7-fewshot": Study(
        counts=(20, 21, 31, 29),
        facts=(101, 0, 0),
        differences={"cut-in counted as positive": "5_002 5_038"},
    ),
}

each_study = pytest.mark.parametrize("name", list(STUDIES))
PUBLISHED = [name for name in STUDIES if name != "gpt-4.1-balanced"]
"""The studies whose files hold an evaluation of each clip."""
each_published_study = pytest.mark.parametrize("name", PUBLISHED)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the project makes of one recording: our grade of each clip with a row (None: no answer), and the facts."""

    grades: Mapping[str, Grade | None]
    facts: Mapping[str, Any]


@cache
def labels(shared_data: Path) -> tuple[Clip, ...]:
    return read_labels((shared_data / "dada2000" / "labels.csv").read_bytes(), "labels.csv").clips


@cache
def rows(shared_data: Path, name: str) -> dict[str, dict[str, Any]]:
    """The first row of each clip, read without the project."""
    first: dict[str, dict[str, Any]] = {}
    for line in (shared_data / "recorded" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        first.setdefault(row["clip"], row)
    return first


@cache
def scored(shared_data: Path, name: str) -> Scored:
    task, model = GhostProbingSummary(), Replay(NoSettings(), str(shared_data / "recorded" / f"{name}.jsonl"))
    request = Request(
        id="r", prompt=task.build(None), frames=None, seed=0, level=0, level_settings={}, write_answer=task.write
    )
    model.check()
    clips = labels(shared_data)
    facts = model.begin(Truths(clips=clips, seed=0))
    grades: dict[str, Grade | None] = {}
    for clip in clips:
        try:
            grades[clip.id] = task.parse(model.answer(clip, request).text).grade
        except ModelError:
            grades[clip.id] = None
    return Scored(grades=grades, facts=facts)


def ids(short: str) -> set[str]:
    return {f"images_{clip}" for clip in short.split()}


def key_actions(raw: str) -> str:
    """The field as a plain reading of the outermost braces gives it."""
    said = json.loads(raw[raw.index("{") : raw.rindex("}") + 1])["key_actions"]
    assert isinstance(said, str)
    return said


def names_ghost_probing(row: Mapping[str, Any]) -> bool:
    return "ghost probing" in key_actions(row["raw"]).casefold()


def quadrant(*, said: bool, true: bool) -> str:
    return ("T" if said == true else "F") + ("P" if said else "N")


def ours(shared_data: Path, name: str) -> Iterator[tuple[Clip, str]]:
    """Our evaluation, lenient, of every clip with an answer."""
    for clip in labels(shared_data):
        grade = scored(shared_data, name).grades[clip.id]
        if grade is not None:
            yield clip, quadrant(said=grade != "normal", true=clip.truth == "ghost_probing")


def published_truth(row: Mapping[str, Any]) -> Truth:
    label = row["published_ground_truth"]
    if label.replace("_", " ").endswith("ghost probing"):
        return "ghost_probing"
    return "cut_in" if "cut-in" in label else "normal"


@each_study
def test_every_clip_has_the_grade_of_a_careful_reading(shared_data: Path, name: str) -> None:
    study, grades = STUDIES[name], scored(shared_data, name).grades
    denied, potential = ids(study.denied), ids(study.potential)
    for clip, row in rows(shared_data, name).items():
        if row["raw"] is None:
            expected: Grade | None = None
        elif clip in denied or not names_ghost_probing(row):
            expected = "normal"
        else:
            expected = "potential_ghost_probing" if clip in potential else "ghost_probing"
        assert (clip, grades[clip]) == (clip, expected)
    assert all(names_ghost_probing(rows(shared_data, name)[clip]) for clip in denied | potential)


@each_study
def test_the_counts_are_those_of_a_careful_reading(shared_data: Path, name: str) -> None:
    counts = Counter(evaluation for _, evaluation in ours(shared_data, name))
    assert tuple(counts[key] for key in ("TP", "FP", "FN", "TN")) == STUDIES[name].counts


@each_study
def test_every_clip_of_the_split_and_every_row_is_accounted_for(shared_data: Path, name: str) -> None:
    result, study = scored(shared_data, name), STUDIES[name]
    facts = result.facts
    assert (facts["rows"], facts["duplicates"], facts["recorded_errors"]) == study.facts
    assert facts["outside_split"] == 0
    assert facts["rows"] - facts["duplicates"] + facts["without_row"] == len(result.grades) == 200
    assert sum(study.counts) == 200 - facts["without_row"] - facts["recorded_errors"]


@each_published_study
def test_every_difference_from_the_published_evaluation_is_named(shared_data: Path, name: str) -> None:
    evaluations = {clip.id: evaluation for clip, evaluation in ours(shared_data, name)}
    differing = {
        clip for clip, row in rows(shared_data, name).items() if evaluations.get(clip) != row["published_evaluation"]
    }
    named = [clip for clips in STUDIES[name].differences.values() for clip in sorted(ids(clips))]
    assert sorted(differing) == sorted(named)


@each_published_study
def test_every_named_reason_is_the_true_one(shared_data: Path, name: str) -> None:
    truth = {clip.id: clip.truth for clip in labels(shared_data)}
    grades = scored(shared_data, name).grades
    for reason, clips in STUDIES[name].differences.items():
        for clip in ids(clips):
            row = rows(shared_data, name)[clip]
            same_label = published_truth(row) == truth[clip]
            counted_positive = row["published_evaluation"] in ("TP", "FP")
            checks = {
                "corrected label": not same_label and row["raw"] is not None,
                "cut-in counted as positive": same_label
                and truth[clip] == "cut_in"
                and row["published_evaluation"] in ("TP", "FN"),
                "negation": same_label and truth[clip] != "cut_in" and grades[clip] == "normal" and counted_positive,
                "error counted": row["raw"] is None and grades[clip] is None and row["published_evaluation"] == "ERROR",
            }
            assert [(clip, name) for name, holds in checks.items() if holds] == [(clip, reason)]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if STUDIES[name].differences])
def test_a_differing_evaluation_follows_from_the_labels_and_rules_of_its_study(shared_data: Path, name: str) -> None:
    """The reasons are all there are: with a mention anywhere as a detection, denied or not, cut-ins as positives and
    the labels of its day, the published evaluation comes out clip by clip."""
    for row in rows(shared_data, name).values():
        true = published_truth(row) != "normal"
        theirs = "ERROR" if row["raw"] is None else quadrant(said=names_ghost_probing(row), true=true)
        assert (row["clip"], theirs) == (row["clip"], row["published_evaluation"])


def test_two_studies_were_published_on_labels_that_four_corrections_have_changed_since(shared_data: Path) -> None:
    positive = {clip.id: clip.truth == "ghost_probing" for clip in labels(shared_data)}
    changed = {
        name: {
            clip
            for clip, row in rows(shared_data, name).items()
            if (published_truth(row) == "ghost_probing") != positive[clip]
        }
        for name in PUBLISHED
    }
    corrected = ids("1_020 3_002 3_003 5_005")
    assert changed == {
        "gpt-4.1-fewshot": set(),
        "gpt-4o-balanced": corrected,
        "gpt-4o-fewshot": corrected,
        "claude-3.7-fewshot": set(),
    }
