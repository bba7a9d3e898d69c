"""Scores against hand calculations, SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, mannwhitneyu
from sklearn.metrics import average_precision_score, roc_auc_score

from ghostbench.scoring.probabilities import (
    ClipWeights,
    average_precision,
    expected_calibration_error,
    operating_point,
    reliability,
    score_probabilities,
)


def rows(score: np.ndarray, truth: np.ndarray, at: np.ndarray | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "score": score,
            "truth": np.where(truth, "ghost_probing", "normal"),
            "at": np.arange(len(score)) if at is None else at,
        }
    )


def some(n: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    truth = rng.random(n) < 0.45
    score = np.where(truth, rng.beta(3, 2, n), rng.beta(2, 3, n))
    return (np.round(score, 1) if ties else score), truth


def test_ece_is_the_weighted_gap_of_ten_bins_by_hand() -> None:
    score = np.array([0.05, 0.15, 0.15, 0.95, 1.0])
    truth = np.array([False, False, True, True, True])
    by_hand = (1 * abs(0.05 - 0) + 2 * abs(0.15 - 0.5) + 2 * abs(0.975 - 1)) / 5
    assert expected_calibration_error(score, truth) == pytest.approx(by_hand)
    bins = reliability(score, truth)
    assert [(b["low"], b["n"], b["positives"]) for b in bins] == [(0.0, 1, 0), (0.1, 2, 1), (0.9, 2, 2)]


def test_average_precision_by_hand() -> None:
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])) == pytest.approx(
        0.5 * 1 + 0.5 * 2 / 3
    )


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_mann_whitneys_u_over_all_pairs_and_brier_the_mean_square(ties: bool) -> None:
    score, truth = some(80, ties=ties)
    found = score_probabilities(rows(score, truth), np.ones(80, dtype=bool), ClipWeights(truth, draws=200))
    assert found is not None
    u = mannwhitneyu(score[truth], score[~truth]).statistic
    assert found["auc"]["value"] == pytest.approx(u / (truth.sum() * (~truth).sum()))
    assert found["brier"]["value"] == pytest.approx(sum((s - t) ** 2 for s, t in zip(score, truth, strict=True)) / 80)


@pytest.mark.parametrize("ties", [False, True])
def test_each_draws_auc_and_ap_are_scikit_learns_on_the_drawn_clips(ties: bool) -> None:
    from ghostbench.scoring.probabilities import _draw

    score, truth = some(60, ties=ties)
    weights = ClipWeights(truth, draws=150).drawn
    drawn = _draw(score, truth, np.arange(60), weights)
    for place in (0, 7, 149):
        weight = weights[place]
        assert drawn["auc"][place] == pytest.approx(roc_auc_score(truth, score, sample_weight=weight))
        assert drawn["ap"][place] == pytest.approx(average_precision_score(truth, score, sample_weight=weight))
        assert drawn["brier"][place] == pytest.approx(np.average((score - truth) ** 2, weights=weight))


def test_the_interval_of_ap_is_the_one_of_scipys_stratified_bootstrap() -> None:
    score, truth = some(90, ties=False)
    found = score_probabilities(rows(score, truth), np.ones(90, dtype=bool), ClipWeights(truth))
    assert found is not None

    def statistic(pos: np.ndarray, neg: np.ndarray) -> float:
        return float(average_precision_score(np.repeat([1, 0], [len(pos), len(neg)]), np.concatenate([pos, neg])))

    independent = bootstrap(
        (score[truth], score[~truth]), statistic, vectorized=False, n_resamples=2000, method="percentile", rng=0
    ).confidence_interval
    assert found["average_precision"]["low"] == pytest.approx(independent.low, abs=0.02)
    assert found["average_precision"]["high"] == pytest.approx(independent.high, abs=0.02)


def test_repeats_of_a_clip_are_drawn_together() -> None:
    score, truth = some(40, ties=False)
    once = score_probabilities(rows(score, truth), np.ones(40, dtype=bool), ClipWeights(truth))
    twice = score_probabilities(
        rows(np.repeat(score, 2), np.repeat(truth, 2), np.repeat(np.arange(40), 2)),
        np.ones(80, dtype=bool),
        ClipWeights(truth),
    )
    assert once is not None
    assert twice is not None
    for name in ("auc", "average_precision", "brier"):
        assert twice[name] == pytest.approx(once[name])


def test_the_operating_point_is_the_highest_threshold_that_reaches_the_recall() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    truth = np.array([True, False, True, True, True, True])
    point = operating_point(score, truth, 0.8)
    assert point["threshold"] == 0.5
    assert (point["tp"], point["fp"], point["fn"], point["tn"]) == (4, 1, 1, 0)
    assert point["precision"]["value"] == 0.8
    assert operating_point(score, truth, 0.95)["threshold"] == 0.4


def test_rows_without_an_answer_or_a_score_are_left_out() -> None:
    score = np.array([0.9, np.nan, 0.2, 0.4])
    truth = np.array([True, True, False, True])
    answered = np.array([True, True, True, False])
    found = score_probabilities(rows(score, truth), answered, ClipWeights(truth, draws=100))
    assert found is not None
    assert (found["n"], found["positives"]) == (2, 1)
    assert found["auc"]["value"] == 1.0
    assert score_probabilities(rows(score * np.nan, truth), answered, ClipWeights(truth)) is None


def test_one_class_alone_has_no_auc() -> None:
    score, truth = np.array([0.1, 0.9]), np.array([False, False])
    found = score_probabilities(rows(score, truth), np.ones(2, dtype=bool), ClipWeights(truth, draws=100))
    assert found is not None
    assert found["auc"] is None
    assert found["average_precision"] is None
    assert found["operating_points"] == {}
    assert found["brier"]["value"] == pytest.approx((0.01 + 0.81) / 2)
