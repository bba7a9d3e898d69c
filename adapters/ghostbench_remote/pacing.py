"""Sending no faster than the server allows: budgets of requests and tokens, learned from what its answers say.

The server's limits are taken for token buckets: each holds so many requests (or tokens) and refills steadily. A
response's `x-ratelimit-*` headers tell what was left in the bucket when that request was admitted; what has been sent
since is known here. So the level is known but for what was refilled while the answer was on its way, and requests in
flight are counted once.
Header names and units: "Rate limits in headers" in OpenAI's rate limits guide
(https://developers.openai.com/api/docs/guides/rate-limits), "Response headers" in Anthropic's
(https://platform.claude.com/docs/en/api/rate-limits), whose resets are moments.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from ghostbench import LONGEST_PAUSE_S, RateLimited
from ghostbench_remote.pauses import number, until

_MINUTE = 60.0
_LOOK_AGAIN_S = 0.25
"""How long a waiting request goes without looking whether a newer response has moved the budget."""
_STREAK = 8
"""So many 429s in a row, without an answer between them or a word about budgets, mean that all should wait."""

_LIMIT_MESSAGE = re.compile(
    r"on (?P<what>tokens|requests) per (?P<per>min|day)\b"
    r".{0,40}?limit:?\s*(?P<limit>\d+)[,.]?\s*used:?\s*(?P<used>\d+)",
    re.IGNORECASE | re.DOTALL,
)
_PERIODS = {"min": 60.0, "day": 86_400.0}


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request's leave to be sent: when, what had been sent in all by then, this one included, and its tokens."""

    at: float
    requests: float
    tokens: float
    cost: float


class Bucket:
    """One budget as the server keeps it. Unknown (never in the way) until `observe` has told its size."""

    def __init__(self) -> None:
        self.size: float | None = None
        self._rate = 0.0
        self._level = 0.0
        self._stamp = 0.0
        self._seen = -1.0
        self._open = 0.0
        self.sent = 0.0

    def delay(self, cost: float, now: float) -> float:
        """Seconds until the budget has room for `cost`; for more than it ever holds, until it is full."""
        if self.size is None:
            return 0.0
        self._refill(now)
        missing = min(cost, self.size) - self._level
        return 0.0 if missing <= 1e-9 else missing / self._rate

    def spend(self, cost: float) -> None:
        """Count `cost` as sent."""
        self._level -= cost
        self.sent += cost
        self._open += cost

    def close(self, cost: float) -> None:
        """Count `cost` as answered, or lost."""
        self._open -= cost

    def observe(self, size: float, left: float, rate: float, ticket: tuple[float, float], now: float) -> None:
        """Take in what the server said of the request sent at ticket = (time, `sent` by then)."""
        at, sent_then = ticket
        known = self.size is not None
        self.size, self._rate = size, rate
        self._refill(now)
        if sent_then < self._seen:
            return
        self._seen = sent_then
        # It was admitted between then and now, and what was sent before it may have arrived after it: what we reckoned
        # ourselves stands, within the bounds that leaves.
        since = self.sent - sent_then
        most = min(size, left + rate * max(0.0, now - at)) - since
        self._level = min(max(self._level, left - self._open), most) if known else left - since

    def _refill(self, now: float) -> None:
        if self.size is not None:
            self._level = min(self.size, self._level + self._rate * (now - self._stamp))
        self._stamp = now


class Pacer:
    """The budgets of one key and model at one server, shared by all that send there."""

    def __init__(self) -> None:
        self.requests = Bucket()
        self.tokens = Bucket()
        self._turn = asyncio.Lock()
        self._held_until = 0.0
        self._streak = 0

    async def admit(self, tokens: int) -> Ticket:
        """Wait, first come first served, until a request of about this many tokens may be sent.

        Raises `RateLimited` at once when that is later than a run waits.
        """
        async with self._turn:
            while (wait := self._delay(tokens, time.monotonic())) > 0:
                if wait > LONGEST_PAUSE_S:
                    raise RateLimited("not sent: the server's limits leave no room yet", retry_after_s=wait)
                await asyncio.sleep(min(wait, _LOOK_AGAIN_S))
            self.requests.spend(1)
            self.tokens.spend(tokens)
            return Ticket(time.monotonic(), self.requests.sent, self.tokens.sent, tokens)

    def over(self, ticket: Ticket) -> None:
        """The request has ended, however it did."""
        self.requests.close(1)
        self.tokens.close(ticket.cost)

    def answered(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        """Learn from an answer that was not a 429."""
        self._streak = 0
        self._learn(ticket, headers)

    def refused(self, ticket: Ticket, headers: Mapping[str, str], message: str, retry_after_s: float | None) -> None:
        """Learn from a 429: from its headers, from its words, or, where it has neither, from its being one of many."""
        now = time.monotonic()
        self._streak += 1
        exhausted = self._learn(ticket, headers) or self._learn_from_words(ticket, message)
        if exhausted or self._streak >= _STREAK:
            self._held_until = max(self._held_until, now + (retry_after_s if retry_after_s is not None else 1.0))

    def _delay(self, tokens: int, now: float) -> float:
        return max(self._held_until - now, self.requests.delay(1, now), self.tokens.delay(tokens, now))

    def _learn(self, ticket: Ticket, headers: Mapping[str, str]) -> bool:
        """Take in the headers; True if they say that a budget is used up."""
        now = time.monotonic()
        exhausted = False
        for name, bucket, sent in (
            ("requests", self.requests, ticket.requests),
            ("tokens", self.tokens, ticket.tokens),
        ):
            left = number(_told(headers, "remaining", name))
            size = number(_told(headers, "limit", name))
            if left is None or size is None or size <= 0 or not 0 <= left <= size:
                continue
            reset = until(_told(headers, "reset", name))
            rate = (size - left) / reset if reset and left < size else size / _MINUTE
            bucket.observe(size, left, rate, (ticket.at, sent), now)
            exhausted = exhausted or left < 1
        return exhausted

    def _learn_from_words(self, ticket: Ticket, message: str) -> bool:
        """Take in "… on tokens per min (TPM): Limit 30000, Used 29500 …", as OpenAI's 429s say."""
        found = _LIMIT_MESSAGE.search(message)
        if found is None:
            return False
        size, used = float(found["limit"]), float(found["used"])
        if size <= 0:
            return False
        tokens = found["what"].lower() == "tokens"
        bucket, sent = (self.tokens, ticket.tokens) if tokens else (self.requests, ticket.requests)
        rate = size / _PERIODS[found["per"].lower()]
        bucket.observe(size, max(0.0, size - used), rate, (ticket.at, sent), time.monotonic())
        return True


def _told(headers: Mapping[str, str], what: str, budget: str) -> str | None:
    return headers.get(f"x-ratelimit-{what}-{budget}") or headers.get(f"anthropic-ratelimit-{budget}-{what}")


_PACERS: WeakValueDictionary[tuple[object, ...], Pacer] = WeakValueDictionary()


def pacer_for(*account: object) -> Pacer:
    """The pacer of this account (server, key, model) on the running event loop, shared for as long as it is in use."""
    key = (id(asyncio.get_running_loop()), *account)
    pacer = _PACERS.get(key)
    if pacer is None:
        pacer = _PACERS[key] = Pacer()
    return pacer
