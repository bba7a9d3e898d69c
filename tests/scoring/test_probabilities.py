"""Scores against hand calculations, SciPy and scikit-learn."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, mannwhitneyu
from sklearn.metrics import average_precision_score, brier_score_loss

from ghostbench.scoring.probabilities import (
    calibrated_error,
    expected_calibration_error,
    operating_point,
    reliability,
    score_probabilities,
)
from ghostbench.scoring.ranking import average_precision


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
    bins = reliability(score, truth, np.arange(len(score)))
    assert [(b["low"], b["n"], b["positives"]) for b in bins] == [(0.0, 1, 0), (0.1, 2, 1), (0.9, 2, 2)]


def test_average_precision_by_hand() -> None:
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])) == pytest.approx(
        0.5 * 1 + 0.5 * 2 / 3
    )


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_mann_whitneys_u_over_all_pairs_and_brier_the_mean_square(ties: bool) -> None:
    score, truth = some(80, ties=ties)
    found = score_probabilities(rows(score, truth), np.ones(80, dtype=bool))
    assert found is not None
    u = mannwhitneyu(score[truth], score[~truth]).statistic
    assert found["auc"]["value"] == pytest.approx(u / (truth.sum() * (~truth).sum()))
    assert found["brier"]["value"] == pytest.approx(sum((s - t) ** 2 for s, t in zip(score, truth, strict=True)) / 80)


def test_repeats_that_say_the_same_give_the_intervals_of_one_pass() -> None:
    score, truth = some(40, ties=False)
    once = score_probabilities(rows(score, truth), np.ones(40, dtype=bool))
    twice = score_probabilities(
        rows(np.repeat(score, 2), np.repeat(truth, 2), np.repeat(np.arange(40), 2)), np.ones(80, dtype=bool)
    )
    assert once is not None
    assert twice is not None
    for name in ("auc", "average_precision", "brier", "ece", "ece_null"):
        assert twice[name] == pytest.approx(once[name]), name
    for one, other in zip(once["reliability"], twice["reliability"], strict=True):
        assert other["share"] == pytest.approx(one["share"])
    for recall, point in once["operating_points"].items():
        for name in ("threshold", "recall", "precision", "specificity"):
            assert twice["operating_points"][recall][name] == pytest.approx(point[name]), name


def test_figures_stand_beside_what_a_constant_gets() -> None:
    score, truth = some(80, ties=False)
    found = score_probabilities(rows(score, truth), np.ones(80, dtype=bool))
    assert found is not None
    p = truth.mean()
    assert found["average_precision_null"] == pytest.approx(average_precision_score(truth, np.full(80, 0.5)))
    assert found["brier_null"] == pytest.approx(brier_score_loss(truth, np.full(80, p)))


def test_the_calibration_error_of_a_perfectly_calibrated_model_is_that_of_all_outcomes_there_are() -> None:
    """Seven clips, one of them three times: all 2^7 truths, each with its chance."""
    at = np.array([0, 1, 2, 3, 4, 5, 6, 6, 6])
    score = np.array([0.05, 0.12, 0.18, 0.55, 0.52, 0.93, 0.31, 0.35, 0.58])
    chance = np.array([*score[:6], score[6:].mean()])
    total = 0.0
    for outcome in product([False, True], repeat=7):
        happens = np.array(outcome)
        weight = float(np.prod(np.where(happens, chance, 1 - chance)))
        total += weight * expected_calibration_error(score, happens[at])
    assert calibrated_error(score, at) == pytest.approx(total)


def test_many_clips_in_a_bin_take_the_normal_distribution() -> None:
    score = np.full(501, 0.55)
    exact = sum(binom.pmf(k, 501, 0.55) * abs(k - 501 * 0.55) for k in range(502)) / 501
    assert calibrated_error(score, np.arange(501)) == pytest.approx(exact, rel=1e-3)


def test_the_threshold_is_the_highest_that_reaches_the_recall() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    truth = np.array([True, False, True, True, True, True])
    assert operating_point(score, truth, np.arange(6), 0.8)["threshold"] == 0.5
    assert operating_point(score, truth, np.arange(6), 0.95)["threshold"] == 0.4


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_clip_is_judged_by_the_threshold_of_the_others(repeats: int) -> None:
    """Leave-one-out written out: for each clip, the highest threshold with which the rest reach the recall."""
    score, truth = some(30, ties=True)
    rng = np.random.default_rng(1)
    score = np.clip(np.repeat(score, repeats) + rng.choice([-0.1, 0, 0.1], 30 * repeats), 0, 1)
    truth, at = np.repeat(truth, repeats), np.repeat(np.arange(30), repeats)
    want = np.zeros(4, dtype=int)
    for clip in range(30):
        rest = at != clip
        reached = [t for t in np.unique(score) if (score[rest & truth] >= t).mean() >= 0.8]
        yes = score[at == clip] >= max(reached)
        positive = truth[at == clip]
        want += [(yes & positive).sum(), (yes & ~positive).sum(), (~yes & positive).sum(), (~yes & ~positive).sum()]
    point = operating_point(score, truth, at, 0.8)
    assert [point[cell] for cell in ("tp", "fp", "fn", "tn")] == want.tolist()
    assert point["recall"]["value"] == pytest.approx(want[0] / (want[0] + want[2]))


def test_a_single_positive_leaves_nothing_to_choose_a_threshold_on() -> None:
    point = operating_point(np.array([0.9, 0.2]), np.array([True, False]), np.arange(2), 0.8)
    assert point["threshold"] == 0.9
    assert point["recall"] is None
    assert point["tp"] is None


def test_rows_without_an_answer_or_a_score_are_left_out() -> None:
    score = np.array([0.9, np.nan, 0.2, 0.4])
    truth = np.array([True, True, False, True])
    answered = np.array([True, True, True, False])
    found = score_probabilities(rows(score, truth), answered)
    assert found is not None
    assert (found["n"], found["positives"]) == (2, 1)
    assert found["auc"]["value"] == 1.0
    assert score_probabilities(rows(score * np.nan, truth), answered) is None


def test_one_class_alone_has_no_auc() -> None:
    score, truth = np.array([0.1, 0.9]), np.array([False, False])
    found = score_probabilities(rows(score, truth), np.ones(2, dtype=bool))
    assert found is not None
    assert found["auc"] is None
    assert found["average_precision"] is None
    assert found["operating_points"] == {}
    assert found["brier"]["value"] == pytest.approx((0.01 + 0.81) / 2)
