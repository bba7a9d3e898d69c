"""Paired differences against published examples, a formula written out again, and SciPy's Dirichlet distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dirichlet
from statsmodels.stats.proportion import proportion_confint

from ghostbench.scoring.paired import joint_cells, newcombe_paired, paired_differences
from ghostbench.scoring.rates import rates

CELL = np.eye(4, dtype=np.int64)
TP, FP, FN, TN = range(4)


def test_newcombes_interval_is_the_published_one() -> None:
    """M. W. Fagerland et al., Statistical Analysis of Contingency Tables (2017), as the tests of its R package have it:
    complete response before and after consolidation therapy, -.0621 (-.1186 to -.0046)."""
    low, high = newcombe_paired(59, 6, 16, 80)
    assert (round(low, 4), round(high, 4)) == (-0.1186, -0.0046)


counts = st.integers(0, 40)


@given(counts, counts, counts, counts)
def test_newcombes_interval_is_method_10_written_out(r: int, s: int, t: int, u: int) -> None:
    n = r + s + t + u
    if n == 0:
        return
    p1, p2 = (r + s) / n, (r + t) / n
    alpha = 2 * (1 - 0.5 * (1 + math.erf(1.959964 / math.sqrt(2))))
    (l1, u1), (l2, u2) = (proportion_confint(x, n, alpha=alpha, method="wilson") for x in (r + s, r + t))
    margins = (r + s) * (t + u) * (r + t) * (s + u)
    b = r * u - s * t
    c = b - n / 2 if b > n / 2 else (0 if b >= 0 else b)
    phi = c / math.sqrt(margins) if margins else 0
    low = p1 - p2 - math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = p1 - p2 + math.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    assert newcombe_paired(r, s, t, u) == pytest.approx((low, high), abs=1e-6)


def two_models(seed: int, clips: int = 100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = np.arange(clips) < clips // 2
    yes = rng.random(clips) < np.where(positive, 0.7, 0.3)
    other = np.where(rng.random(clips) < 0.25, ~yes, yes)
    return tuple(CELL[np.where(positive, np.where(said, TP, FN), np.where(said, FP, TN))] for said in (yes, other))  # type: ignore[return-value]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_interval_of_a_difference_of_f1_is_that_of_two_dirichlet_distributions(seed: int) -> None:
    first, second = two_models(seed)
    joint = np.zeros(8)
    for a, b in zip(first.argmax(axis=1), second.argmax(axis=1), strict=True):
        joint[{(0, 0): 0, (0, 2): 1, (2, 0): 2, (2, 2): 3, (1, 1): 4, (1, 3): 5, (3, 1): 6, (3, 3): 7}[a, b]] += 1
    bounds = []
    for prior in (0.25, 0.5):
        yy, yn, ny, nn, fyy, fyn, fny, fnn = dirichlet(joint + prior, seed=9).rvs(60_000).T
        one = rates(yy + yn, fyy + fyn, ny + nn, fny + fnn)["f1"]
        other = rates(yy + ny, fyy + fny, yn + nn, fyn + fnn)["f1"]
        bounds.append(np.quantile(one - other, [0.025, 0.975]))
    found = paired_differences(first, second)["f1"]
    assert found is not None
    assert found["value"] == pytest.approx(float(rates(*first.sum(axis=0))["f1"] - rates(*second.sum(axis=0))["f1"]))
    assert found["low"] == pytest.approx(min(b[0] for b in bounds), abs=0.006)
    assert found["high"] == pytest.approx(max(b[1] for b in bounds), abs=0.006)


def test_recall_and_specificity_are_compared_on_positives_and_on_negatives_alone() -> None:
    first = CELL[[TP] * 9 + [FN] * 1 + [TN] * 12 + [FP] * 3]
    second = CELL[[TP] * 4 + [FN] * 6 + [TN] * 6 + [FP] * 9]
    found = paired_differences(first, second)
    recall, specificity, fpr = found["recall"], found["specificity"], found["fpr"]
    assert recall is not None
    assert specificity is not None
    assert fpr is not None
    assert (recall["low"], recall["high"]) == pytest.approx(newcombe_paired(4, 5, 0, 1))
    assert (specificity["low"], specificity["high"]) == pytest.approx(newcombe_paired(6, 6, 0, 3))
    assert (fpr["value"], fpr["low"], fpr["high"]) == pytest.approx(
        (-specificity["value"], -specificity["high"], -specificity["low"])  # type: ignore[operator]
    )


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_turning_the_models_round_turns_every_difference_round(clips: list[tuple[bool, bool, bool]]) -> None:
    positive, one, other = (np.array(column) for column in zip(*clips, strict=True))
    tables = [CELL[np.where(positive, np.where(s, TP, FN), np.where(s, FP, TN))] for s in (one, other)]
    forth, back = paired_differences(*tables), paired_differences(*tables[::-1])
    for name, estimate in forth.items():
        reverse = back[name]
        if estimate is None or reverse is None:
            assert estimate is reverse
            continue
        assert estimate["value"] == pytest.approx(-reverse["value"])
        # Both are drawn, for cells in another order. At four clips an end has a standard deviation of .011 between
        # seeds, so that two of them are rarely further apart than .06.
        assert estimate["low"] == pytest.approx(-reverse["high"], abs=0.06)  # type: ignore[operator]
        assert estimate["low"] <= estimate["value"] <= estimate["high"]  # type: ignore[operator]


def test_repeats_that_all_agree_tell_no_more_than_one_pass() -> None:
    first, second = two_models(5)
    once, thrice = paired_differences(first, second), paired_differences(3 * first, 3 * second)
    for name, estimate in once.items():
        assert thrice[name] == pytest.approx(estimate), name


def test_repeats_that_do_not_agree_tell_more() -> None:
    rng = np.random.default_rng(3)
    yes = rng.binomial(4, 0.6, size=(2, 60))
    first, second = (np.stack([hits, 0 * hits, 4 - hits, 0 * hits], axis=1) for hits in yes)
    many = paired_differences(first, second)["recall"]
    single = paired_differences(CELL[np.where(yes[0] > 1, TP, FN)], CELL[np.where(yes[1] > 1, TP, FN)])["recall"]
    assert many is not None
    assert single is not None
    assert many["high"] - many["low"] < 0.8 * (single["high"] - single["low"])  # type: ignore[operator]


def test_a_clip_with_more_rows_of_one_model_counts_as_often_as_the_other_has_it() -> None:
    joint = joint_cells(np.array([[2, 0, 1, 0]]), np.array([[1, 0, 0, 0]]))
    assert joint[0] == pytest.approx([2 / 3, 0, 1 / 3, 0, 0, 0, 0, 0])
