"""Intervals of AUC, average precision and Brier against polynomials, published variances and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from ghostbench.scoring.intervals import wilson
from ghostbench.scoring.ranking import (
    _excess_variance,
    _placements,
    _precisions,
    auc,
    auc_estimate,
    auc_limits,
    average_precision,
    average_precision_estimate,
    brier_estimate,
)

Z = 1.959964


@given(st.floats(0.01, 0.99), st.integers(1, 60), st.integers(1, 60))
def test_the_limits_of_auc_are_roots_of_newcombes_quartic(value: float, positives: int, negatives: int) -> None:
    """The quartic to which the equations of method 5 come, as the R package auRoc solves it."""
    star, mn, z2 = (positives + negatives) / 2 - 1, positives * negatives, Z * Z
    a, b, c = -1 - 2 * star, 1 + 2 * star, 2 + star
    d, e, f, g = 1 + 2 * value, 2 - 2 * value - value**2, value**2 - 4 * value, 2 * value**2
    quartic = [-mn + z2 * a, mn * d - z2 * (a - b), mn * e - z2 * (b - c), mn * f - z2 * c, mn * g]
    for limit in auc_limits(value, positives, negatives):
        assert 0 <= limit <= 1
        assert abs(np.polyval(quartic, limit)) < 1e-6 * mn * (1 + z2)


def test_a_perfect_ranking_of_five_clips_has_a_wide_interval() -> None:
    low, high = auc_limits(1.0, 2, 3)
    assert (round(low, 3), high) == (0.439, 1.0)
    assert auc_limits(0.0, 2, 3) == pytest.approx((0.0, 1 - low))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_placements_are_those_of_mann_whitney_and_their_spread_widens_the_interval(clips: list) -> None:
    score = np.array([s / 6 for s, _ in clips])
    truth = np.array([t for _, t in clips])
    if truth.all() or not truth.any():
        return
    above, below = _placements(score, truth)
    area = mannwhitneyu(score[truth], score[~truth]).statistic / (truth.sum() * (~truth).sum())
    assert above.mean() == pytest.approx(area)
    assert below.mean() == pytest.approx(area)
    found = auc_estimate(score, truth, np.arange(len(score)))
    plain = auc_limits(area, int(truth.sum()), int((~truth).sum()))
    assert found["value"] == pytest.approx(area)
    assert found["low"] <= plain[0] + 1e-9  # type: ignore[operator]
    assert found["high"] >= plain[1] - 1e-9  # type: ignore[operator]


def test_the_excess_is_delongs_variance_over_hanley_and_mcneils() -> None:
    rng = np.random.default_rng(8)
    score = np.concatenate([rng.normal(1, 3, 15), rng.normal(0, 0.3, 40)])
    truth = np.arange(55) < 15
    wins = (score[truth][:, None] > score[~truth][None]).astype(float)
    delong = wins.mean(axis=1).var(ddof=1) / 15 + wins.mean(axis=0).var(ddof=1) / 40
    area, star = wins.mean(), (15 + 40) / 2 - 1
    hanley = area * (1 - area) * (1 + star * (1 - area) / (2 - area) + star * area / (1 + area)) / (15 * 40)
    above, below = _placements(score, truth)
    assert _excess_variance(auc(score, truth), (above, 15.0), (below, 40.0)) == pytest.approx(delong / hanley)
    assert delong > hanley


def test_repeats_that_agree_count_once_in_every_interval() -> None:
    rng = np.random.default_rng(2)
    score, truth = rng.random(30), rng.random(30) < 0.4
    twice = np.repeat(score, 2), np.repeat(truth, 2), np.repeat(np.arange(30), 2)
    for estimate in (auc_estimate, average_precision_estimate, brier_estimate):
        assert estimate(*twice) == pytest.approx(estimate(score, truth, np.arange(30)))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_average_precision_is_the_mean_of_the_precisions_at_the_positives(clips: list) -> None:
    score, truth = np.array([s / 6 for s, _ in clips]), np.array([t for _, t in clips])
    if not truth.any():
        return
    assert _precisions(score, truth).mean() == pytest.approx(average_precision(score, truth))
    found = average_precision_estimate(score, truth, np.arange(len(score)))
    low, high = wilson(found["value"] * truth.sum(), truth.sum())
    assert (found["low"], found["high"]) == pytest.approx((float(low), float(high)))


def test_the_brier_interval_is_students_with_half_a_row_at_either_end() -> None:
    """By hand: squares .04, .09 and .16, weights 1, and 0 and 1 with weight 1/2; t(3) at 97.5% is 3.182446."""
    score, truth = np.array([0.2, 0.3, 0.6]), np.array([False, False, True])
    mean = (0.04 + 0.09 + 0.16 + 0.5) / 4
    spread = (0.04**2 + 0.09**2 + 0.16**2 + 0.5) / 4 - mean**2
    half = 3.182446 * np.sqrt(spread / 4)
    found = brier_estimate(score, truth, np.arange(3))
    assert found["value"] == pytest.approx(0.29 / 3)
    assert found["low"] == pytest.approx(max(mean - half, 0))
    assert found["high"] == pytest.approx(mean + half, abs=1e-5)
