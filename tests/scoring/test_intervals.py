"""Intervals against published tables, scipy.stats.bootstrap and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from ghostbench.scoring.intervals import draw_tables, estimate_rates, percentile, share, shares, wilson
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


def table(tp: int, fp: int, fn: int, tn: int) -> tuple[np.ndarray, np.ndarray]:
    cells = np.repeat(np.eye(4, dtype=np.int64), [tp, fp, fn, tn], axis=0)
    return cells, np.repeat([True, False, True, False], [tp, fp, fn, tn])


@pytest.mark.parametrize("rate", ["f1", "balanced_accuracy", "mcc"])
def test_the_bootstrap_interval_is_the_one_of_scipys_two_sample_bootstrap(rate: str) -> None:
    tp, fp, fn, tn = 30, 12, 19, 34
    positives, negatives = np.repeat([1, 0], [tp, fn]), np.repeat([1, 0], [fp, tn])

    def statistic(pos: np.ndarray, neg: np.ndarray, axis: int = -1) -> np.ndarray:
        a, b = pos.sum(axis=axis), neg.sum(axis=axis)
        return rates(a, b, tp + fn - a, fp + tn - b)[rate]

    independent = bootstrap(
        (positives, negatives), statistic, n_resamples=20_000, vectorized=True, method="percentile", rng=3
    ).confidence_interval
    ours = estimate_rates(*table(tp, fp, fn, tn))[rate]
    assert ours is not None
    assert ours["low"] == pytest.approx(independent.low, abs=0.012)
    assert ours["high"] == pytest.approx(independent.high, abs=0.012)


def test_every_draw_keeps_the_number_of_positives_and_negatives() -> None:
    drawn = draw_tables(*table(30, 12, 19, 34), draws=500)
    assert (drawn[:, 0] + drawn[:, 2] == 49).all()
    assert (drawn[:, 1] + drawn[:, 3] == 46).all()
    assert len(np.unique(drawn[:, 0])) > 5


def test_draws_in_which_all_answers_are_alike_pull_the_mcc_interval_to_zero() -> None:
    found = estimate_rates(*table(1, 0, 1, 3))["mcc"]
    assert found is not None
    assert found["low"] == 0.0
    assert found["value"] == pytest.approx(0.612, abs=1e-3)


def test_the_same_seed_draws_the_same_tables() -> None:
    assert (draw_tables(*table(5, 5, 5, 5), draws=50) == draw_tables(*table(5, 5, 5, 5), draws=50)).all()


def test_repeats_that_all_agree_give_the_intervals_of_a_single_pass() -> None:
    cells, positive = table(30, 12, 19, 34)
    once, thrice = estimate_rates(cells, positive), estimate_rates(3 * cells, positive)
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
    assert percentile(np.array([np.nan, np.nan])) is None
