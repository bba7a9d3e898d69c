"""The way to a model: who waits, who looks whether it is open again, and when it is given up."""

from __future__ import annotations

import asyncio
import time

from ghostbench.running.ask.way import Passage, Pause, Way
from ghostbench.running.rules.patience import Patience

QUICK = Patience(outage_s=2.0, first_s=0.02, longest_s=0.1)


async def entered(way: Way) -> Passage:
    passage = await way.enter()
    assert passage is not None
    return passage


async def test_what_a_server_asks_for_holds_for_all_and_then_all_go_on() -> None:
    way = Way(QUICK)
    way.failed(await entered(way), "rate_limited", 0.2)
    began = time.monotonic()
    passages = await asyncio.gather(*(entered(way) for _ in range(20)))
    assert 0.2 <= time.monotonic() - began < 10
    assert not any(passage.look for passage in passages)


async def test_failures_in_a_row_are_an_outage_in_which_one_at_a_time_looks() -> None:
    told: list[Pause | None] = []
    way = Way(QUICK, tell=told.append)
    for passage in [await entered(way) for _ in range(8)]:
        way.failed(passage, "server_error: 503")
    looks = under_way = most = 0
    until = time.monotonic() + 0.6

    async def ask() -> None:
        nonlocal looks, under_way, most
        while True:
            passage = await entered(way)
            under_way += passage.look
            most = max(most, under_way)
            looks += passage.look
            await asyncio.sleep(0.005)
            under_way -= passage.look
            if time.monotonic() >= until and looks >= 3:
                way.came_through(passage)
                return
            way.failed(passage, "server_error: 503")

    await asyncio.gather(*(ask() for _ in range(50)))
    assert most == 1
    assert looks <= 40, "an outage takes few attempts, however many wait"
    assert told[-1] is None
    assert all(pause.outage for pause in told[:-1] if pause is not None)
    assert told[0] is not None
    assert "503" in told[0].why


async def test_failures_among_what_comes_through_are_no_outage() -> None:
    way = Way(QUICK)
    for _ in range(30):
        bad, good = await entered(way), await entered(way)
        way.failed(bad, "server_error")
        way.came_through(good)
    assert not way.paused


async def test_an_outage_is_given_up_after_its_time_and_nobody_waits_on() -> None:
    way = Way(Patience(outage_s=0.3, first_s=0.02, longest_s=0.05))
    began = time.monotonic()

    async def ask() -> None:
        while (passage := await way.enter()) is not None:
            way.failed(passage, "connection_failed")

    await asyncio.gather(*(ask() for _ in range(10)))
    assert 0.2 < time.monotonic() - began < 10
    assert way.given_up is not None


async def test_a_server_that_always_says_in_a_moment_is_asked_ever_less_often() -> None:
    way = Way(Patience(outage_s=5.0, first_s=0.05, longest_s=0.4))
    asked, until = 0, time.monotonic() + 1.0
    while time.monotonic() < until:
        asked += 1
        way.failed(await entered(way), "rate_limited", 0.0)
    assert asked < 25


async def test_a_look_that_is_called_off_leaves_it_to_another() -> None:
    way = Way(QUICK)
    for passage in [await entered(way) for _ in range(3)]:
        way.failed(passage, "server_error")
    looking = asyncio.ensure_future(hold(way))
    await asyncio.sleep(0.2)
    looking.cancel()
    async with asyncio.timeout(20):
        assert (await entered(way)).look


async def hold(way: Way) -> None:
    with way.held(await entered(way)):
        await asyncio.sleep(60)


async def test_a_pause_longer_than_a_run_makes_holds_up_no_other_unless_all_are_told_so() -> None:
    way = Way(QUICK)
    way.failed(await entered(way), "rate_limited", 86_400.0)
    assert not way.paused
    for _ in range(2):
        way.failed(await entered(way), "rate_limited", 86_400.0)
    assert way.given_up is not None


async def test_without_patience_no_outage_is_waited_for() -> None:
    way = Way(Patience(outage_s=0.0))
    for _ in range(20):
        way.failed(await entered(way), "server_error")
    assert not way.paused
    assert way.given_up is None
