"""Tests between two models against published examples, brute force and simulation."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from ghostbench.scoring.significance import (
    clip_scores,
    holm,
    letters,
    mcnemar_exact,
    places,
    power,
    smallest_split,
)


def test_exact_mcnemar_gives_the_published_p_value_of_agrestis_approval_ratings() -> None:
    """150 and 86 discordant pairs (A. Agresti, Categorical Data Analysis, table 10.1): R's exact2x2 gives 3.716e-05."""
    assert mcnemar_exact(150, 86) == pytest.approx(3.716e-05, rel=1e-3)


@given(st.integers(0, 40), st.integers(0, 40))
def test_exact_mcnemar_is_twice_the_binomial_tail(b: int, c: int) -> None:
    n = b + c
    tail = sum(comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    assert mcnemar_exact(b, c) == pytest.approx(min(1.0, 2 * tail))


def test_five_clips_cannot_come_out_significant() -> None:
    assert min(mcnemar_exact(b, 5 - b) for b in range(6)) == 0.0625
    assert smallest_split(5) is None
    assert power(5, 5).smallest_significant is None


@pytest.mark.parametrize(("discordant", "split"), [(0, None), (6, 6), (8, 8), (9, 7), (10, 8), (20, 10)])
def test_the_smallest_significant_split_is_the_smallest_that_mcnemar_finds(discordant: int, split: int | None) -> None:
    brute = [abs(discordant - 2 * b) for b in range(discordant + 1) if mcnemar_exact(b, discordant - b) <= 0.05]
    assert smallest_split(discordant) == split
    assert (min(brute) if brute else None) == split


def test_holm_steps_down_and_never_goes_back() -> None:
    """By hand: 5 x .01, 4 x .02, 3 x .03, then the running maximum."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_its_definition_and_statsmodels(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    want, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        want[place] = worst
    assert holm(p_values) == pytest.approx(want)
    assert holm(p_values) == multipletests(p_values, method="holm")[1].tolist()


@pytest.mark.parametrize("family", [1, 10])
def test_the_detectable_difference_is_found_four_times_in_five(family: int) -> None:
    """Simulated with the exact test at the level that the smallest p-value of the family must reach."""
    n, discordant = 200, 40
    detectable = power(n, discordant, family).detectable
    assert detectable is not None
    share = discordant / n
    rng = np.random.default_rng(2)
    drawn = rng.multinomial(n, [(share + detectable) / 2, (share - detectable) / 2, 1 - share], size=4000)
    found = np.mean([mcnemar_exact(int(b), int(c)) <= 0.05 / family for b, c, _ in drawn])
    assert found == pytest.approx(0.8, abs=0.025)


def test_in_a_family_of_tests_more_clips_must_tell_the_models_apart() -> None:
    alone, among = power(200, 40), power(200, 40, 10)
    assert among.level == pytest.approx(0.005)
    assert among.smallest_significant == pytest.approx(20 / 200)
    assert mcnemar_exact(30, 10) <= 0.005
    assert mcnemar_exact(29, 11) > 0.005
    assert alone.detectable is not None
    assert among.detectable is not None
    assert among.detectable > alone.detectable


@given(st.integers(0, 60), st.sampled_from([0.05, 0.05 / 3, 0.001]))
def test_the_smallest_split_is_found_by_trying_all(discordant: int, level: float) -> None:
    brute = [abs(discordant - 2 * b) for b in range(discordant + 1) if mcnemar_exact(b, discordant - b) <= level]
    assert smallest_split(discordant, level) == (min(brute) if brute else None)


@given(st.integers(1, 7), st.randoms(use_true_random=False))
def test_models_share_a_letter_exactly_when_they_do_not_differ(count: int, random: object) -> None:
    names = [f"m{i}" for i in range(count)]
    differ = {frozenset(pair): random.random() < 0.4 for pair in combinations(names, 2)}  # type: ignore[attr-defined]
    shown = letters(names, differ)
    for one, other in combinations(names, 2):
        assert bool(set(shown[one]) & set(shown[other])) != differ[frozenset({one, other})]
    assert all(shown.values())


def test_places_are_ranges_among_equals() -> None:
    names = ["a", "b", "c"]
    before = {(one, other): (one, other) == ("a", "c") for one in names for other in names if one != other}
    assert places(names, before) == {"a": "1–2", "b": "1–3", "c": "2–3"}


def test_a_clips_score_is_its_share_of_right_rows() -> None:
    scores = clip_scores(np.array([[2, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]))
    assert scores[0] == 1.0
    assert scores[1] == 0.5
    assert np.isnan(scores[2])
