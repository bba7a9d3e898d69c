"""Twins: always the same answer is right on no pair, a coin on a quarter, and intervals cluster by scene."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ghostbench.scoring.pairs import CHANCE, Pairs, both_right, detection, find_pairs, score_pairs, signs_by_scene
from ghostbench.scoring.significance import flipped_signs, mcnemar_exact

SCENES = 200


def pairs_of(scenes: int, twins: tuple[str, ...] = ("no_actor",)) -> tuple[Pairs, NDArray[np.bool_]]:
    """Scenes with their twins, the clip as it is first; only it and its mirror image show the event."""
    scene = [f"s{number}" for number in range(scenes) for _ in ("as_is", *twins)]
    twin = [each for _ in range(scenes) for each in ("as_is", *twins)]
    positive = np.array([each in ("as_is", "mirror") for each in twin])
    found = find_pairs(scene, twin, positive)
    assert found is not None
    return found, positive


def scored(pairs: Pairs, alarms: Any, answered: Any = None) -> dict[str, Any]:
    said = np.asarray(alarms, dtype=bool).reshape(len(alarms), -1)
    told = np.ones_like(said) if answered is None else np.asarray(answered, dtype=bool).reshape(said.shape)
    return score_pairs(pairs, said, told)


@pytest.mark.parametrize("always", [True, False])
def test_one_answer_to_everything_is_right_on_no_pair(always: bool) -> None:
    pairs, positive = pairs_of(50, ("no_actor", "in_view"))
    found = scored(pairs, np.full(len(positive), always))
    assert found["both_right"]["value"] == found["both_right_worst_case"]["value"] == found["flip_rate"]["value"] == 0
    assert (found["pairs"], found["scenes"], found["mcnemar_p"]) == (100, 50, 1)
    assert found["d_prime"]["low"] < 0 < found["d_prime"]["high"]
    assert (found["criterion"]["value"] < 0) is always


def test_the_truth_is_right_on_all_and_its_opposite_on_none() -> None:
    pairs, positive = pairs_of(20, ("no_actor", "mirror"))
    right, wrong = scored(pairs, positive), scored(pairs, ~positive)
    assert right["both_right"]["value"] == right["flip_rate"]["value"] == wrong["flip_rate"]["value"] == 1
    assert wrong["both_right"]["value"] == 0
    assert right["alarm_only_on"] == {"event": 20, "twin": 0}
    assert wrong["alarm_only_on"] == {"event": 0, "twin": 20}
    assert right["mcnemar_p"] == wrong["mcnemar_p"] < 1e-5
    assert right["d_prime"]["low"] > 1
    assert wrong["d_prime"]["high"] < -1
    assert right["same_truth"] == {"pairs": 20, "flip_rate": right["same_truth"]["flip_rate"]}
    assert right["same_truth"]["flip_rate"]["value"] == 0
    assert list(right["by_twin"]) == ["no_actor"]


def test_a_coin_is_right_on_a_quarter_within_its_interval_in_most_draws() -> None:
    pairs, positive = pairs_of(SCENES, ("no_actor", "in_view"))
    inside = 0
    for seed in range(100):
        found = scored(pairs, np.random.default_rng(seed).random(len(positive)) < 0.5)["both_right"]
        inside += found["low"] <= CHANCE <= found["high"]
    assert inside >= 90


def test_intervals_cluster_by_scene() -> None:
    one, alone = pairs_of(30)
    many, together = pairs_of(30, ("no_actor", "in_view", "no_occluder"))
    seen = np.arange(30) % 2 == 0
    first = scored(one, alone & np.repeat(seen, 2))["both_right"]
    again = scored(many, together & np.repeat(seen, 4))["both_right"]
    assert first["value"] == again["value"] == 0.5
    assert again["high"] - again["low"] == pytest.approx(first["high"] - first["low"], rel=0.01)


def test_a_pair_with_a_non_answer_leaves_the_rate_and_counts_as_wrong_in_the_worst_case() -> None:
    pairs, positive = pairs_of(4)
    answered = np.ones(8, dtype=bool)
    answered[1] = False
    found = scored(pairs, positive, answered)
    assert (found["rows"], found["answered"]) == (4, 3)
    assert (found["both_right"]["value"], found["both_right_worst_case"]["value"]) == (1, 0.75)
    nothing = scored(pairs, positive & False, np.zeros(8))
    assert nothing["both_right"] is nothing["mcnemar_p"] is nothing["d_prime"] is nothing["criterion"] is None


def test_repeats_are_pairs_of_their_own() -> None:
    pairs, positive = pairs_of(10)
    found = scored(pairs, np.stack([positive, ~positive], axis=1))
    assert (found["pairs"], found["rows"]) == (10, 20)
    assert found["both_right"]["value"] == 0.5


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_right_on_both_is_never_more_than_flips_and_adds_up(answers: list[tuple[bool, bool, bool]]) -> None:
    pairs, _ = pairs_of(len(answers), ("no_actor", "in_view"))
    found = scored(pairs, np.array(answers).ravel())
    assert 0 <= found["both_right"]["value"] <= found["flip_rate"]["value"] <= 1
    only = found["alarm_only_on"]
    assert only["event"] + only["twin"] == round(found["flip_rate"]["value"] * found["rows"])
    assert only["event"] == round(found["both_right"]["value"] * found["rows"])


def test_two_models_are_held_against_each_other_over_the_same_pairs() -> None:
    pairs, positive = pairs_of(6)
    told = np.ones((12, 1), dtype=bool)
    first, second = (both_right(pairs, alarms[:, None], told) for alarms in (positive, positive & False))
    assert signs_by_scene(first, second, pairs.scene) == pytest.approx(2 / 2**6)
    assert signs_by_scene(second, first, pairs.scene) == pytest.approx(2 / 2**6)
    assert signs_by_scene(first, first, pairs.scene) == 1


def test_pairs_of_one_scene_and_repeats_are_no_further_evidence() -> None:
    pairs, positive = pairs_of(6)
    once = scored(pairs, positive)["mcnemar_p"]
    assert once == pytest.approx(mcnemar_exact(6, 0))
    assert scored(pairs, np.repeat(positive[:, None], 5, axis=1))["mcnemar_p"] == pytest.approx(once)
    several, truth = pairs_of(6, ("no_actor", "in_view"))
    found = scored(several, truth)
    assert (found["pairs"], found["alarm_only_on"]["event"]) == (12, 12)
    assert found["mcnemar_p"] == pytest.approx(once)


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_signs_of_whole_numbers_are_counted_as_all_ways_to_sign_them(differences: list[int]) -> None:
    apart = [each for each in differences if each]
    sums = [abs(sum(sign * each for sign, each in zip(ways, apart, strict=True)))
            for ways in itertools.product((1, -1), repeat=len(apart))]  # fmt: skip
    wanted = sum(each >= abs(sum(apart)) for each in sums) / len(sums)
    assert flipped_signs(np.array(differences, dtype=np.float64)) == pytest.approx(wanted)


def test_clips_without_twins_make_no_pairs() -> None:
    nobody = np.array([True, False])
    assert find_pairs([None, None], [None, None], nobody) is None
    assert find_pairs(["a", "b"], ["no_actor", "as_is"], nobody) is None


def test_d_prime_of_a_textbook_table() -> None:
    """N. A. Macmillan and C. D. Creelman, Detection Theory: H = .80 and F = .40 give d' = 1.095, c = -.294."""
    big = 100_000
    found = detection(*((np.full(big, hits), np.full(big, 10)) for hits in (8, 4)))
    assert found["d_prime"] is not None
    assert found["criterion"] is not None
    assert found["d_prime"]["value"] == pytest.approx(1.095, abs=0.001)
    assert found["criterion"]["value"] == pytest.approx(-0.294, abs=0.001)
