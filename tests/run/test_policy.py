"""Which failure is followed by what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import errors
from ghostbench.models import Level
from ghostbench.outcomes import FALLS_BACK, RETRIED, STOPS_MODEL, Outcome
from ghostbench.plugins.choose import parse_model
from ghostbench.running.ask.units import ModelState
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.rules.retry import failure_from_ledger, next_step, outcome_of, put_off
from ghostbench.running.rules.standing import Standing
from ghostbench.running.rules.stop import Stop, moment_after


def kinds(base: type[errors.AttemptError] = errors.AttemptError) -> list[type[errors.AttemptError]]:
    found = []
    for kind in base.__subclasses__():
        found += [kind, *kinds(kind)] if hasattr(kind, "outcome") else kinds(kind)
    return found


FAILURES: list[errors.AttemptError | errors.Unparseable] = [kind("x") for kind in kinds()] + [errors.Unparseable("x")]
LADDER = (Level(name="one"), Level(name="few frames", after=(errors.RequestTooLarge,)), Level(name="two"))


def test_every_outcome_has_an_error_and_one_fate() -> None:
    outcomes = {outcome_of(failure) for failure in FAILURES} | {outcome_of(None)}
    assert outcomes == set(Outcome)
    assert not (RETRIED & FALLS_BACK)
    assert not (RETRIED & STOPS_MODEL)
    assert not (FALLS_BACK & STOPS_MODEL)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: type(f).__name__)
def test_each_failure_meets_the_fate_that_the_design_states(failure: errors.AttemptError | errors.Unparseable) -> None:
    step = next_step(failure, standing=Standing(), attempts=1, max_attempts=6, ladder=LADDER)
    outcome = outcome_of(failure)
    if outcome in {
        "rate_limited",
        "timed_out",
        "connection_failed",
        "server_error",
        "media_unreachable",
        "worker_lost",
    }:
        assert (step.action, step.level) == ("retry", 0)
    elif outcome in {"request_rejected", "nonfinite", "out_of_memory", "truncated", "unparseable"}:
        assert (step.action, step.level) == ("fall_back", 2 if isinstance(failure, errors.RequestTooLarge) else 1)
    else:
        assert step.action == "settle"


def test_an_answer_settles() -> None:
    assert next_step(None, standing=Standing(), attempts=1, max_attempts=6, ladder=LADDER).action == "settle"


def test_a_rung_that_does_not_list_the_failure_is_passed_over() -> None:
    plain = next_step(errors.RequestRejected("x"), standing=Standing.at(1), attempts=2, max_attempts=6, ladder=LADDER)
    large = next_step(errors.RequestTooLarge("x"), standing=Standing.at(1), attempts=2, max_attempts=6, ladder=LADDER)
    assert (plain.level, large.level) == (3, 2)


def test_a_rung_that_names_the_failure_comes_before_one_that_names_its_kind() -> None:
    assert (
        next_step(errors.RequestTooLarge("x"), standing=Standing(), attempts=1, max_attempts=6, ladder=LADDER).level
        == 2
    )
    assert (
        next_step(errors.RequestTooLarge("x"), standing=Standing.at(2), attempts=3, max_attempts=6, ladder=LADDER).level
        == 3
    )


def test_the_last_rung_settles() -> None:
    assert (
        next_step(errors.Truncated("x"), standing=Standing.at(3), attempts=4, max_attempts=9, ladder=LADDER).action
        == "settle"
    )


def test_the_servers_wish_is_the_pause() -> None:
    wish = next_step(
        errors.RateLimited("x", retry_after_s=7.0), standing=Standing(), attempts=1, max_attempts=6, ladder=()
    )
    assert wish.wait_s == 7.0
    assert next_step(errors.RateLimited("x"), standing=Standing(), attempts=1, max_attempts=6, ladder=()).wait_s is None


@given(st.sampled_from(FAILURES), st.integers(0, 3), st.integers(1, 20), st.integers(1, 20))
def test_attempts_never_pass_the_limit_and_levels_never_fall(
    failure: errors.AttemptError | errors.Unparseable, level: int, attempts: int, limit: int
) -> None:
    step = next_step(failure, standing=Standing.at(level), attempts=attempts, max_attempts=limit, ladder=LADDER)
    assert not (step.again and attempts >= limit)
    assert step.level >= level
    assert step.action == "fall_back" or step.level == level


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: type(f).__name__)
def test_a_failure_read_back_from_the_ledger_meets_the_same_fate(
    failure: errors.AttemptError | errors.Unparseable,
) -> None:
    back = failure_from_ledger(outcome_of(failure), type(failure).__name__)
    fates = [next_step(f, standing=Standing(), attempts=1, max_attempts=6, ladder=LADDER) for f in (failure, back)]
    assert fates[0] == fates[1]


@given(st.floats(0, 1e300), st.integers(1, 20), st.integers(1, 20))
def test_a_pause_is_obeyed_in_full_or_the_outcome_is_final(wish: float, attempts: int, limit: int) -> None:
    failure = errors.ServerError("x", retry_after_s=wish)
    step = next_step(failure, standing=Standing(), attempts=attempts, max_attempts=limit, ladder=LADDER)
    if attempts >= limit:
        assert (step.action, step.put_off_s) == ("settle", None)
    elif wish <= 600:
        assert (step.action, step.wait_s, step.put_off_s) == ("retry", wish, None)
    else:
        assert (step.action, step.put_off_s) == ("settle", wish)
        until = moment_after(wish)
        words = put_off(wish, until)
        assert f"{wish:.10g} s" in words
        assert "--resume" in words
        if until is not None:
            assert abs((until - datetime.now(UTC)).total_seconds() - wish) < 10
            assert f"(until {until:%Y-%m-%d %H:%M:%S} UTC)" in words
        else:
            assert "(until" not in words


def test_the_first_reason_to_stop_is_the_one_that_stays() -> None:
    state = ModelState(ConfiguredModel(parse_model("always"), None, None))
    state.stop(Stop(Outcome.AUTH_FAILED, "no such key"))
    state.stop(Stop(Outcome.RATE_LIMITED, "slow down", moment_after(3600)))
    assert state.stopped == Stop(Outcome.AUTH_FAILED, "no such key")


def test_of_several_moments_that_a_server_names_the_latest_counts() -> None:
    state = ModelState(ConfiguredModel(parse_model("always"), None, None))
    assert state.put_off_until is None
    for pause_s in (700, 7000, 800, 1e300):
        state.put_off(pause_s)
    assert state.put_off_until is not None
    assert 6990 < (state.put_off_until - datetime.now(UTC)).total_seconds() <= 7000


def test_which_outcomes_fall_back_is_said_once() -> None:
    """A rung's default reasons are the errors of just these outcomes, and no rung takes the policy further."""
    assert {kind.outcome for kind in Level(name="next").after} == FALLS_BACK
    for failure in FAILURES:
        anything = Level(name="anything", after=(errors.AttemptError, errors.Unparseable))
        step = next_step(failure, standing=Standing(), attempts=1, max_attempts=6, ladder=(anything,))
        assert (step.action == "fall_back") == (outcome_of(failure) in FALLS_BACK)
