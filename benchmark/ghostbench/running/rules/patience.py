"""How long a run waits for what is away, and between one attempt and the next."""

from __future__ import annotations

from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, wait_exponential, wait_random, wait_random_exponential
from tenacity.wait import wait_base

_NO_RETRYING = AsyncRetrying()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Times, seconds.

    outage_s : how long an outage of a model or a storage is waited out, from its first failure with nothing coming
        through. 0 waits for none: then each clip is retried by itself.
    first_s, longest_s : before the first look whether it is back, and at most between two; each pause is about twice as
        long as the one before.
    """

    outage_s: float = 900.0
    first_s: float = 1.0
    longest_s: float = 30.0

    def before_look(self, number: int) -> float:
        """The pause before the look of this number, from 1, whether an outage is over."""
        wait = wait_exponential(multiplier=self.first_s, max=self.longest_s) + wait_random(0, self.first_s)
        return _drawn(wait, number)

    def before_retry(self, number: int) -> float:
        """The pause of one clip by itself after its attempt of this number, from 1: jittered exponential backoff."""
        return _drawn(wait_random_exponential(multiplier=self.first_s, max=2 * self.longest_s), number)


NO_PATIENCE = Patience(outage_s=0.0)
"""Waits for no outage."""


def _drawn(wait: wait_base, number: int) -> float:
    state = RetryCallState(retry_object=_NO_RETRYING, fn=None, args=(), kwargs={})
    state.attempt_number = min(max(1, number), 64)
    return wait(state)
