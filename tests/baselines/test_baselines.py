"""The yardsticks: constants, a seeded draw at the split's prevalence, and the vote of a category's other clips."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from ghostbench import TRUTHS, Clip, Grade, NoSettings, ReferenceModel, Request, Truth, Truths
from ghostbench.datasets.labels import read_labels
from ghostbench.plugins.choose import build_model, build_settings, parse_model
from ghostbench.tasks.base import Task
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.summary import GhostProbingSummary
from ghostbench_baselines.models import uniform

NAMES = ("always", "never", "random", "category-prior")
TASKS: tuple[Task, ...] = (GhostProbing(), GhostProbingSummary())


def model_named(name: str) -> ReferenceModel:
    choice = parse_model(name)
    model = build_model(choice, build_settings(choice, {}))
    assert isinstance(model, ReferenceModel)
    return model


def request(seed: int = 0, task: Task = TASKS[0]) -> Request:
    return Request(
        id="r", prompt=task.build(None), frames=None, seed=seed, level=0, level_settings={}, write_answer=task.write
    )


def grades(name: str, clips: Sequence[Clip], seed: int = 0, task: Task = TASKS[0]) -> list[Grade]:
    model = model_named(name)
    model.check()
    model.begin(Truths(clips=tuple(clips), seed=seed))
    return [task.parse(model.answer(clip, request(seed, task)).text).grade for clip in clips]


def clip(number: int, truth: Truth, category: int | None = 1) -> Clip:
    return Clip(id=f"clip{number}", truth=truth, category=category)


def clips_of(*truths: Truth, category: int | None = 1, start: int = 0) -> list[Clip]:
    return [clip(start + number, truth, category) for number, truth in enumerate(truths)]


any_clips = st.lists(st.tuples(st.sampled_from(TRUTHS), st.none() | st.integers(1, 3)), min_size=1, max_size=30).map(
    lambda drawn: [clip(number, truth, category) for number, (truth, category) in enumerate(drawn)]
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("name", NAMES)
def test_every_yardstick_answers_every_clip_in_the_tasks_own_format(name: str, task: Task) -> None:
    clips = clips_of("ghost_probing", "normal", "cut_in", "ghost_probing")
    assert set(grades(name, clips, task=task)) <= {"ghost_probing", "normal"}


@pytest.mark.parametrize("name", NAMES)
def test_every_yardstick_is_marked_and_looks_at_no_frames(name: str) -> None:
    spec = parse_model(name).spec
    assert spec.kind == "reference"
    assert spec.mark == ("leak probe" if name == "category-prior" else "trivial baseline")
    assert not spec.needs_frames
    assert spec.settings is NoSettings


@pytest.mark.parametrize("name", NAMES)
def test_no_yardstick_claims_a_probability(name: str) -> None:
    model = model_named(name)
    clips = clips_of("ghost_probing", "normal")
    model.begin(Truths(clips=tuple(clips), seed=0))
    assert model.answer(clips[0], request()).grade_probabilities is None


@given(any_clips)
def test_always_and_never_are_constant(clips: list[Clip]) -> None:
    assert set(grades("always", clips)) == {"ghost_probing"}
    assert set(grades("never", clips)) == {"normal"}


@given(any_clips, st.integers(0, 2**32), st.randoms())
def test_random_depends_on_seed_and_clip_and_on_no_order(clips: list[Clip], seed: int, order: random.Random) -> None:
    shuffled = list(clips)
    order.shuffle(shuffled)
    expected = dict(zip([c.id for c in clips], grades("random", clips, seed), strict=True))
    assert dict(zip([c.id for c in shuffled], grades("random", shuffled, seed), strict=True)) == expected


def test_random_does_not_look_at_the_clips_own_label() -> None:
    clips = clips_of(*("ghost_probing", "normal") * 50)
    swapped = clips_of(*("normal", "ghost_probing") * 50)
    assert grades("random", clips) == grades("random", swapped)


def test_random_draws_at_the_splits_prevalence() -> None:
    clips = clips_of(*("ghost_probing",) * 600, *("cut_in",) * 400, *("normal",) * 1000)
    model = model_named("random")
    assert model.begin(Truths(clips=tuple(clips), seed=0)) == {"prevalence": 0.3}
    drawn = [grades("random", clips, seed).count("ghost_probing") for seed in range(5)]
    # Five standard deviations of a binomial(2000, 0.3) are 102.
    assert all(abs(count - 600) < 103 for count in drawn)
    assert len(set(drawn)) > 1


@pytest.mark.parametrize(("truth", "grade"), [("ghost_probing", "ghost_probing"), ("normal", "normal")])
def test_random_is_constant_where_every_label_is_the_same(truth: Truth, grade: Grade) -> None:
    assert set(grades("random", clips_of(*(truth,) * 50))) == {grade}


def test_the_draw_is_uniform_and_the_same_on_every_machine() -> None:
    drawn = [uniform(7, f"images_1_{number:03d}") for number in range(10_000)]
    assert all(0 <= value < 1 for value in drawn)
    tenths = Counter(int(value * 10) for value in drawn)
    # Six standard deviations of a binomial(10000, 0.1) are 180.
    assert all(abs(tenths[tenth] - 1000) < 180 for tenth in range(10))
    # The first 16 digits that coreutils' sha256sum gives for "0\nimages_1_001".
    assert uniform(0, "images_1_001") == (0x3A3BA4A3D5BF96CA >> 11) / 2**53


def test_category_prior_says_what_most_other_clips_of_the_category_are() -> None:
    mostly = clips_of("ghost_probing", "ghost_probing", "ghost_probing", "normal")
    hardly = clips_of("ghost_probing", "cut_in", "normal", "normal", category=2, start=10)
    assert grades("category-prior", mostly + hardly) == ["ghost_probing"] * 4 + ["normal"] * 4


def test_category_prior_leaves_the_clip_itself_out() -> None:
    # Three of five are positive: without itself a positive sees 2 of 4, even, so that the split (3 of 7) decides.
    category = clips_of("ghost_probing", "ghost_probing", "ghost_probing", "normal", "normal")
    others = clips_of("normal", "normal", "ghost_probing", category=2, start=10)
    assert grades("category-prior", category + others)[:5] == ["normal"] * 3 + ["ghost_probing"] * 2


def test_category_prior_asks_the_split_about_a_lone_clip_and_says_normal_if_that_is_even() -> None:
    lone = clips_of("normal", category=9, start=10)
    assert grades("category-prior", clips_of("ghost_probing", "ghost_probing", "normal") + lone)[-1] == "ghost_probing"
    assert grades("category-prior", clips_of("ghost_probing", "normal") + lone)[-1] == "normal"
    assert grades("category-prior", lone) == ["normal"]


def test_clips_without_a_category_vote_together() -> None:
    without = clips_of("ghost_probing", "ghost_probing", "ghost_probing", category=None)
    assert grades("category-prior", without + clips_of(*("normal",) * 9, start=10))[:3] == ["ghost_probing"] * 3


def test_the_category_alone_scores_646_on_the_200_labelled_clips(shared_data: Path) -> None:
    labels = read_labels((shared_data / "dada2000" / "labels.csv").read_bytes(), "labels.csv")
    assert len(labels.clips) == 200
    truth = [clip.truth == "ghost_probing" for clip in labels.clips]
    said = [grade == "ghost_probing" for grade in grades("category-prior", labels.clips)]
    assert f1_score(truth, said) == pytest.approx(0.646, abs=0.0005)


def test_always_scores_706_on_the_99_clips_and_labels_that_were_published(shared_data: Path) -> None:
    with (shared_data / "recorded" / "gpt-4o-balanced.jsonl").open(encoding="utf-8") as lines:
        published = [json.loads(line)["published_ground_truth"] for line in lines]
    clips = clips_of(*["normal" if label == "none" else "ghost_probing" for label in published])
    assert len(clips) == 99
    truth = [clip.truth == "ghost_probing" for clip in clips]
    said = [grade == "ghost_probing" for grade in grades("always", clips)]
    assert f1_score(truth, said) == pytest.approx(0.706, abs=0.0005)
