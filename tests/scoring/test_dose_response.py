"""The dose at which a model begins to see is found where there is one, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from ghostbench.scoring.dose_response import MOST_LEVELS, DoseResponse, curve, pooled
from ghostbench.scoring.quick_psignifit import normal_sigmoid, width_prior

DOSES = np.array([0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2])
THRESHOLD, SPREAD, LAPSE, GUESS = 1.5, 0.4, 0.05, 0.1


def dose_response(doses: NDArray[Any], alarms: NDArray[Any], twin_alarms: NDArray[Any]) -> DoseResponse:
    """The curve of answers that are not counted yet, each with its dose."""
    return curve(pooled(doses, alarms), int(twin_alarms.sum()), len(twin_alarms))


def run(seed: int, *, each: int = 12, threshold: float = THRESHOLD) -> DoseResponse:
    """A curve from answers drawn from a known psychometric function."""
    draws = np.random.default_rng(seed)
    doses = np.repeat(DOSES, each)
    chance = GUESS + (1 - GUESS - LAPSE) * ndtr((doses - threshold) / SPREAD)
    return dose_response(doses, draws.random(len(doses)) < chance, draws.random(len(doses)) < GUESS)


def same(doses: NDArray[np.float64], answer: bool) -> NDArray[np.bool_]:
    return np.full(len(doses), answer)


def test_a_known_function_is_found_again() -> None:
    found = run(1, each=40)
    assert found.why_none is None
    assert found.threshold is not None
    assert found.slope is not None
    assert found.lapse is not None
    assert found.guess is not None
    assert found.threshold["value"] == pytest.approx(THRESHOLD, abs=0.2)
    assert found.threshold["low"] is not None
    assert found.threshold["high"] is not None
    assert found.threshold["low"] < THRESHOLD < found.threshold["high"]
    assert found.slope["low"] is not None
    assert found.slope["high"] is not None
    assert found.slope["low"] < 1 / (SPREAD * np.sqrt(2 * np.pi)) < found.slope["high"]
    assert found.guess == pytest.approx(GUESS, abs=0.05)
    assert found.at(-9.0) == pytest.approx(found.guess, abs=0.001)
    assert found.at(9.0) == pytest.approx(1 - found.lapse["value"], abs=0.001)
    halfway = (found.guess + 1 - found.lapse["value"]) / 2
    assert found.at(found.threshold["value"]) == pytest.approx(halfway, abs=0.001)


@pytest.mark.parametrize("answer", [True, False])
def test_a_model_that_always_says_the_same_has_no_threshold(answer: bool) -> None:
    doses = np.repeat(DOSES, 10)
    found = dose_response(doses, same(doses, answer), same(doses, answer))
    assert found.why_none == "it gives one answer at every dose"
    assert found.threshold is found.slope is found.lapse is found.at(1.0) is None
    assert sum(level.answers for level in found.levels) == 80


def test_a_coin_and_a_model_that_sees_less_the_more_there_is_have_no_threshold() -> None:
    doses = np.repeat(DOSES, 20)
    coin = np.random.default_rng(3).random(len(doses)) < 0.5
    assert dose_response(doses, coin, coin).why_none == "its answers do not rise with the dose"
    assert dose_response(doses, doses < 1.5, coin).why_none == "its answers do not rise with the dose"


def test_a_threshold_that_was_not_shown_is_not_extrapolated() -> None:
    found = run(5, each=60, threshold=4.4)
    assert found.threshold is None
    assert found.why_none in ("the threshold lies outside the doses shown", "its answers do not rise with the dose")


def test_without_answers_twins_or_doses_there_is_none() -> None:
    none, few = np.zeros(0), np.array([1.0, 1.0, 2.0, 3.0])
    nobody, some = np.zeros(0, dtype=bool), np.array([True, False, True, True])
    assert dose_response(none, nobody, some).why_none == "no clip with the event was answered"
    assert dose_response(few, some, nobody).why_none == "no twin was answered: there is no guess rate"
    assert dose_response(few, some, some).why_none == "fewer than 4 doses"


def test_what_is_computed_in_a_shorter_way_is_psignifits_own() -> None:
    psignifit = pytest.importorskip("psignifit")
    doses = np.array([0.4, 0.9, 1.3, 2.0, 3.2])
    counted = np.array([doses, [2, 5, 11, 17, 19], np.full(5, 20.0)]).T
    grid = dict.fromkeys(("threshold", "width", "lambda", "gamma", "eta"), 7)
    given: dict[str, object] = {"experiment_type": "yes/no", "grid_steps": grid, "steps_moving_bounds": grid}
    own = psignifit.psignifit(counted, sigmoid="norm", verbose=False, **given)
    short = psignifit.psignifit(
        counted, sigmoid=normal_sigmoid(), priors={"width": width_prior([*doses, 2.0])}, verbose=False, **given
    )
    assert short.parameter_estimate_mean == pytest.approx(own.parameter_estimate_mean, rel=1e-9)
    assert short.parameter_estimate_MAP == pytest.approx(own.parameter_estimate_MAP, rel=1e-6)
    for name, limits in own.confidence_intervals.items():
        assert short.confidence_intervals[name]["0.95"] == pytest.approx(limits["0.95"], rel=1e-9)
    # From below the least step to beyond three times the span.
    widths = np.linspace(0.2, 9, 200)
    theirs = psignifit._priors.default_prior("width", (0.4, 3.2), 0.4, 0.05, 10)
    assert width_prior(list(doses))(widths) == pytest.approx(theirs(widths))


def test_many_doses_are_pooled_into_groups_of_equal_size_and_close_ones_are_one() -> None:
    doses = np.linspace(0, 1, 120)
    levels = pooled(doses, doses > 0.5)
    assert [level.answers for level in levels] == [10] * MOST_LEVELS
    close = np.array([1.0, 1.001, 2.0, 2.002, 3.0])
    assert [level.answers for level in pooled(close, close > 0)] == [2, 2, 1]
