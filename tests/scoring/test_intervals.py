"""Intervals against published tables, statsmodels, SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dirichlet
from statsmodels.stats.proportion import confint_proportions_2indep

from ghostbench.scoring.draws import _kept
from ghostbench.scoring.intervals import estimate_rates, share, shares, wilson
from ghostbench.scoring.rates import rates


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals(hits: int, n: int, low: float, high: float) -> None:
    """R. G. Newcombe (1998), Stat. Med. 17, 857-872, table I, method 3."""
    found = wilson(hits, n)
    assert (round(float(found[0]), 4), round(float(found[1]), 4)) == (low, high)


def test_wilson_equals_its_closed_form_with_the_quantile_that_the_files_state() -> None:
    hits, n, z = 30, 49, 1.959964
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    low, high = wilson(hits, n)
    assert float(low) == pytest.approx(centre - half, abs=1e-9)
    assert float(high) == pytest.approx(centre + half, abs=1e-9)


def table(tp: int, fp: int, fn: int, tn: int) -> np.ndarray:
    return np.repeat(np.eye(4, dtype=np.int64), [tp, fp, fn, tn], axis=0)


def closed_form(hits: float, n: float) -> tuple[float, float]:
    z = 1.959964
    centre = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    return centre - half, centre + half


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_interval_of_f1_is_wilsons_of_the_jaccard_index_in_closed_form(tp: int, fp: int, fn: int, tn: int) -> None:
    found = estimate_rates(table(tp, fp, fn, tn))["f1"]
    if tp + fp + fn == 0:
        assert found is None
        return
    low, high = (2 * j / (1 + j) for j in closed_form(tp, tp + fp + fn))
    assert found == pytest.approx({"value": 2 * tp / (2 * tp + fp + fn), "low": low, "high": high}, abs=1e-9)


def test_five_clips_all_right_leave_f1_wide_open() -> None:
    found = estimate_rates(table(2, 0, 0, 3))
    assert found["f1"] == pytest.approx({"value": 1.0, "low": 0.51, "high": 1.0}, abs=5e-3)
    for name in ("accuracy", "recall", "balanced_accuracy", "mcc"):
        estimate = found[name]
        assert estimate is not None
        assert estimate["value"] == pytest.approx(1.0)
        assert estimate["low"] is not None
        assert estimate["low"] < 0.75


@pytest.mark.parametrize("counts", [(30, 12, 19, 34), (2, 0, 0, 3), (50, 41, 14, 14), (1, 0, 9, 90)])
def test_balanced_accuracy_has_the_interval_that_statsmodels_gives_the_difference_of_recall_and_fpr(
    counts: tuple[int, int, int, int],
) -> None:
    """Balanced accuracy is (1 + recall - FPR) / 2; Newcombe's hybrid score interval of a difference is MOVER."""
    tp, fp, fn, tn = counts
    low, high = confint_proportions_2indep(tp, tp + fn, fp, fp + tn, method="newcomb", compare="diff")
    found = estimate_rates(table(*counts))["balanced_accuracy"]
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx(((1 + low) / 2, (1 + high) / 2), abs=1e-6)


@pytest.mark.parametrize("counts", [(30, 12, 19, 34), (5, 1, 2, 12), (3, 2, 2, 3)])
def test_the_interval_of_mcc_is_the_hull_of_those_of_two_dirichlet_distributions(
    counts: tuple[int, int, int, int],
) -> None:
    bounds = []
    for prior in (0.25, 0.5):
        drawn = dirichlet(np.array(counts) + prior, seed=4).rvs(60_000)
        bounds.append(np.quantile(rates(*drawn.T)["mcc"], [0.025, 0.975]))
    found = estimate_rates(table(*counts))["mcc"]
    assert found is not None
    assert found["low"] == pytest.approx(min(b[0] for b in bounds), abs=0.02)
    assert found["high"] == pytest.approx(max(b[1] for b in bounds), abs=0.02)


@settings(max_examples=40)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_every_interval_holds_its_value_and_has_width(tp: int, fp: int, fn: int, tn: int) -> None:
    for estimate in estimate_rates(table(tp, fp, fn, tn)).values():
        if estimate is not None:
            assert estimate["low"] is not None
            assert estimate["high"] is not None
            assert estimate["low"] - 1e-12 <= estimate["value"] <= estimate["high"] + 1e-12
            assert estimate["high"] - estimate["low"] > 0.01


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
def test_no_rate_falls_when_a_wrong_answer_becomes_right(tp: int, fp: int, fn: int, tn: int, more: int) -> None:
    """So that every rate lies between the worst and the best case, whatever the missing answers would have been."""
    for better in ((tp + more, fp, max(fn - more, 0), tn), (tp, max(fp - more, 0), fn, tn + more)):
        if sum(better) != tp + fp + fn + tn:
            continue
        before, after = rates(tp, fp, fn, tn), rates(*better)
        for name in before:
            if not np.isnan(before[name]) and not np.isnan(after[name]):
                sign = -1 if name == "fpr" else 1
                assert sign * float(after[name]) >= sign * float(before[name]) - 1e-12, name


def test_drawing_twice_gives_the_same_interval() -> None:
    first = estimate_rates(table(5, 6, 7, 8))
    _kept.cache_clear()
    assert estimate_rates(table(5, 6, 7, 8)) == first


def test_repeats_that_all_agree_give_the_intervals_of_a_single_pass() -> None:
    cells = table(30, 12, 19, 34)
    once, thrice = estimate_rates(cells), estimate_rates(3 * cells)
    for rate, value in once.items():
        assert thrice[rate] == pytest.approx(value), rate


def test_repeats_that_are_independent_count_as_rows_of_their_own() -> None:
    rng = np.random.default_rng(0)
    hits = rng.binomial(4, 0.5, size=4000)
    found = share(hits, np.full(4000, 4))
    assert found is not None
    low, high = wilson(hits.sum(), 16_000)
    width = float(high - low)
    assert found["high"] - found["low"] == pytest.approx(width, rel=0.05)


def test_partly_agreeing_repeats_give_dean_and_paganos_effective_sample_size() -> None:
    hits, sizes = np.array([2, 2, 1, 0, 2, 0]), np.full(6, 2)
    p = 7 / 12
    variance = sum((h - p * 2) ** 2 for h in hits) / 12**2
    effective = p * (1 - p) / variance
    low, high = wilson(p * effective, effective)
    found = share(hits, sizes)
    assert 6 < effective < 12
    assert found == pytest.approx({"value": p, "low": float(low), "high": float(high)})


def test_a_share_of_nothing_is_null_and_leaves_the_others_alone() -> None:
    nothing = np.zeros(3, dtype=np.int64)
    one = np.ones(3, dtype=np.int64)
    found = shares([(nothing, nothing), (one, one)])
    assert found[0] is None
    assert found[1] is not None
    assert found[1]["value"] == 1.0
