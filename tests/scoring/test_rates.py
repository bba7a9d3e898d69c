"""Rates of two-by-two tables against scikit-learn and closed forms."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from ghostbench.report.titles import RATE_TITLES
from ghostbench.scoring.rates import RATES, Rates, rates

counts = st.integers(min_value=0, max_value=60)


@given(counts, counts, counts, counts)
def test_every_rate_equals_scikit_learn_and_is_nan_where_its_denominator_is_zero(
    tp: int, fp: int, fn: int, tn: int
) -> None:
    truth = [1] * (tp + fn) + [0] * (fp + tn)
    said = [1] * tp + [0] * fn + [1] * fp + [0] * tn
    found = {name: float(value) for name, value in rates(tp, fp, fn, tn).items()}
    assert set(found) == set(RATES)
    for name, bottom in (
        ("accuracy", tp + fp + fn + tn),
        ("precision", tp + fp),
        ("recall", tp + fn),
        ("specificity", tn + fp),
        ("fpr", fp + tn),
        ("f1", 2 * tp + fp + fn),
        ("balanced_accuracy", (tp + fn) * (tn + fp)),
        ("mcc", (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
    ):
        assert math.isnan(found[name]) == (bottom == 0), name
    if not truth:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        independent = {
            "accuracy": metrics.accuracy_score(truth, said),
            "precision": metrics.precision_score(truth, said, zero_division=np.nan),
            "recall": metrics.recall_score(truth, said, zero_division=np.nan),
            "specificity": metrics.recall_score(truth, said, pos_label=0, zero_division=np.nan),
            "f1": metrics.f1_score(truth, said, zero_division=np.nan),
            "mcc": metrics.matthews_corrcoef(truth, said),
        }
    for name, value in independent.items():
        if not math.isnan(found[name]):
            assert found[name] == pytest.approx(value, abs=1e-12), name


def test_the_earlier_studys_best_f1_is_hardly_more_than_answering_yes_to_everything() -> None:
    best = rates(52, 40, 2, 5)
    always = rates(54, 45, 0, 0)
    assert round(float(best["f1"]), 3) == 0.712
    assert round(float(always["f1"]), 3) == 0.706
    assert math.isnan(float(always["mcc"]))


def test_mcc_is_the_signed_root_of_chi_square_over_n() -> None:
    from scipy.stats import chi2_contingency

    table = np.array([[30, 8], [19, 34]])
    chi2 = chi2_contingency(table.T, correction=False).statistic
    assert float(rates(30, 8, 19, 34)["mcc"]) == pytest.approx(math.sqrt(chi2 / table.sum()))


def test_rates_of_many_tables_at_once_equal_the_rates_of_each() -> None:
    rng = np.random.default_rng(1)
    tables = rng.integers(0, 9, size=(50, 4))
    together = rates(*tables.T)
    for place, table in enumerate(tables):
        alone = rates(*table)
        for name in RATES:
            assert together[name][place] == pytest.approx(float(alone[name]), nan_ok=True)


def test_every_rate_has_its_field_and_its_title() -> None:
    cells = {"tp", "fp", "fn", "tn"}
    assert tuple(name for name in Rates.__annotations__ if name not in cells) == RATES
    assert tuple(RATE_TITLES) == RATES


def test_no_rate_of_a_perfect_or_a_hopeless_model_is_outside_its_range() -> None:
    hits, rest = np.meshgrid(np.arange(1, 60), np.arange(1, 60))
    nothing = np.zeros_like(hits)
    assert np.all(rates(hits, nothing, nothing, rest)["mcc"] == pytest.approx(1.0))
    assert np.all(rates(hits, nothing, nothing, rest)["mcc"] <= 1.0)
    assert np.all(rates(nothing, hits, rest, nothing)["mcc"] >= -1.0)
