"""What a model says that a request can cost is believed only where it is an amount."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from ghostbench.errors import AttemptError, RateLimited
from ghostbench.models import NoSettings, RemoteModel
from ghostbench.records import Reply, Request, Usage
from ghostbench.running.ask.dispatch import estimated
from ghostbench.tasks.ghost_probing import GhostProbing

TASK = GhostProbing()


class Odd(RemoteModel):
    """Estimates whatever it is made with."""

    def __init__(self, estimate: Callable[[], Any]) -> None:
        super().__init__(NoSettings())
        self._estimate = estimate

    async def answer(self, request: Request) -> Reply:
        raise AssertionError("never asked")

    def estimate(self, request: Request) -> Usage:
        found: Usage = self._estimate()
        return found


def asked(estimate: Callable[[], Any]) -> Usage:
    request = Request(
        id="x", prompt=TASK.build(None), frames=None, seed=0, level=0, level_settings={}, write_answer=TASK.write
    )
    return estimated(Odd(estimate), request)


def failing(error: BaseException) -> Callable[[], Any]:
    def estimate() -> Any:
        raise error

    return estimate


def test_an_amount_is_passed_on() -> None:
    assert asked(lambda: Usage(input_tokens=3, cost_usd=0.25)).cost_usd == 0.25
    assert asked(Usage).cost_usd is None


@pytest.mark.parametrize("cost", [math.nan, math.inf, -0.01, "0.1", True, 10**12])
def test_what_is_no_amount_could_break_a_limit_and_is_no_estimate(cost: Any) -> None:
    with pytest.raises(AttemptError, match="estimate has cost_usd"):
        asked(lambda: Usage(cost_usd=cost))


@pytest.mark.parametrize("given", [None, 0.1, {"cost_usd": 0.1}])
def test_what_is_no_usage_is_no_estimate(given: Any) -> None:
    with pytest.raises(AttemptError, match="where a Usage belongs"):
        asked(lambda: given)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(0), RateLimited("x"), asyncio.CancelledError()])
def test_what_its_code_raises_is_an_error_that_the_policy_knows(error: BaseException) -> None:
    with pytest.raises(AttemptError):
        asked(failing(error))
