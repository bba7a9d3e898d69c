"""Budgets learned from headers, from the words of a 429, and from a row of 429s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_openai import Bucket as ServerBucket
from loopback_openai import Server

from ghostbench import Reply, Request
from ghostbench_openai.chat import ChatModel
from ghostbench_openai.settings import OpenAISettings
from ghostbench_remote.pacing import Bucket, Pacer, pacer_for
from ghostbench_remote.pauses import until

ROOM_S = 10.0
"""For a loaded machine. What it still excludes is another rule: one request a second, a pause of 30 s."""

Build = Callable[..., Request]


def ask_in_turn(server: Server, requests: list[Request], **settings: Any) -> list[Any]:
    """The first request alone, so that the budget is known, then the others with at most 8 at once."""

    async def main() -> list[Any]:
        model = ChatModel(OpenAISettings(base_url=server.url, **settings), "gpt-4.1")
        await model.load()
        places = asyncio.Semaphore(1)

        async def one(request: Request) -> Any:
            async with places:
                try:
                    return await model.answer(request)
                except Exception as error:
                    return error

        try:
            first = await one(requests[0])
            for _ in range(7):
                places.release()
            return [first, *await asyncio.gather(*map(one, requests[1:]))]
        finally:
            await model.aclose()
            model.close()

    return asyncio.run(main())


def test_a_budget_of_requests_is_kept_without_running_into_it(server: Server, make_request: Build) -> None:
    kinds: set[str] = set()
    # Where a busy machine stops this process for half a second, what was well spread arrives at once: taken again then.
    for _ in range(4):
        server.chat.requests = ServerBucket(per_minute=1200, size=10)
        server.log.chats.clear()
        began = time.monotonic()
        replies = ask_in_turn(server, [make_request(seed=n) for n in range(50)])
        took = time.monotonic() - began
        kinds = {entry.kind for entry in server.log.chats}
        if kinds == {"answer"} and took < 2.0 + ROOM_S:
            break
    assert [type(reply) for reply in replies] == [Reply] * 50
    assert kinds == {"answer"}
    assert 2.0 <= took < 2.0 + ROOM_S, "40 requests beyond the first 10, at 20 a second"


def test_a_budget_of_tokens_is_kept_too(server: Server, make_request: Build) -> None:
    server.chat.tokens = ServerBucket(per_minute=1456 * 60 * 10, size=1456 * 12)
    replies = ask_in_turn(server, [make_request(seed=n) for n in range(30)])
    assert [type(reply) for reply in replies] == [Reply] * 30
    assert {entry.kind for entry in server.log.chats} == {"answer"}


def test_the_words_of_a_429_teach_the_budget() -> None:
    async def main() -> float:
        pacer = Pacer()
        ticket = await pacer.admit(500)
        words = "Rate limit reached for gpt-4.1 on tokens per min (TPM): Limit 30000, Used 30000, Requested 500."
        pacer.refused(ticket, {}, words, None)
        assert pacer.tokens.size == 30000
        began = time.monotonic()
        await pacer.admit(500)
        return time.monotonic() - began

    assert 0.7 < asyncio.run(main()) < 1.0 + ROOM_S


def test_one_429_without_a_word_about_budgets_holds_nobody_else_back() -> None:
    async def main() -> float:
        pacer = Pacer()
        pacer.refused(await pacer.admit(1), {}, "overloaded", 30.0)
        began = time.monotonic()
        await pacer.admit(1)
        return time.monotonic() - began

    assert asyncio.run(main()) < ROOM_S


def test_a_row_of_429s_holds_everybody_back() -> None:
    async def main() -> float:
        pacer = Pacer()
        for _ in range(8):
            pacer.refused(await pacer.admit(1), {}, "overloaded", 0.5)
        began = time.monotonic()
        await pacer.admit(1)
        return time.monotonic() - began

    assert 0.4 < asyncio.run(main()) < 0.5 + ROOM_S


def test_models_of_one_account_share_a_pacer_and_others_do_not() -> None:
    async def main() -> None:
        first = pacer_for("url", "key", "gpt-4.1")
        assert pacer_for("url", "key", "gpt-4.1") is first
        assert pacer_for("url", "other", "gpt-4.1") is not first
        assert pacer_for("url", "key", "gpt-4.1-mini") is not first

    asyncio.run(main())


@given(
    size=st.integers(2, 50),
    rate=st.floats(0.5, 20),
    sends=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 0.5)), min_size=1, max_size=40),
)
def test_the_level_is_never_above_the_servers(size: int, rate: float, sends: list[tuple[float, float]]) -> None:
    """A server's bucket played beside ours: requests leave, arrive at once, and their headers come back later."""
    ours, level, at, now = Bucket(), float(size), 0.0, 0.0
    replies: list[tuple[float, float, tuple[float, float]]] = []
    for gap, delay in sends:
        now += gap
        for due, left, ticket in [reply for reply in replies if reply[0] <= now]:
            ours.observe(size, left, rate, ticket, due)
            ours.close(1)
        replies = [reply for reply in replies if reply[0] > now]
        now += ours.delay(1, now)
        level, at = min(size, level + rate * (now - at)), now
        if ours.size is not None:
            assert level >= 1 - 1e-6, "the server would have refused what we let through"
        elif level < 1:
            return
        level -= 1
        ours.spend(1)
        replies.append((now + delay, level, (now, ours.sent)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("1m2.5s", 62.5),
        ("20ms", 0.02),
        ("7", 7),
        ("1d2h", 93600),
        ("soon", None),
        (None, None),
    ],
)
def test_reset_headers_are_read(text: str | None, value: float | None) -> None:
    assert until(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "many"])
def test_headers_that_make_no_sense_are_ignored(limit: str) -> None:
    async def main() -> None:
        pacer = Pacer()
        headers = {"x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": "0"}
        pacer.answered(await pacer.admit(1), headers)
        assert pacer.requests.size is None

    asyncio.run(main())
