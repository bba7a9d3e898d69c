"""How requests to a local model are gathered into batches."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bare_request import request
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.errors import RequestRejected
from ghostbench.models import LocalModel, NoSettings
from ghostbench.records import Clip, Reply, Request
from ghostbench.running.ask.dispatch import Delivery
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.place import InThread

CLIP = Clip(id="c", truth="normal")


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_probe_that_breaks_its_batch_breaks_no_answer_of_the_model(bench: Any, tmp_path: Path, replicas: int) -> None:
    log = tmp_path / "log"
    given = ["--set", "picky.batch=3", "--set", f"picky.replicas={replicas}", "--set", f"picky.log={log}"]
    done = bench.run("--models", "picky", "--probe", "text-only,blank", *given, "--run-id", "r")
    assert done.returncode == 0, done.stderr
    outcomes = Counter((p["model"], p["outcome"]) for p in bench.lines("r", "predictions.jsonl"))
    assert outcomes == {("picky", "answered"): 6, ("picky+blank", "answered"): 6, ("picky+text-only", "crashed"): 6}
    own = {clip["frames_sha256"] for clip in bench.lines("r", "clips.jsonl")}
    batches = [json.loads(line) for line in log.read_text().splitlines()]
    assert [len(batch) for batch in batches if own & set(batch)] == [3, 3]
    assert all(set(batch) <= own or not own & set(batch) for batch in batches)
    broken = [len(batch) for batch in batches if False in batch]
    assert sorted(broken) == [1, 1, 1, 1, 1, 1, 3, 3], "each batch, and then each of its requests by itself"
    for line in bench.lines("r", "attempts.jsonl"):
        told = [note for note in line["notes"] if "asked by itself after a batch of 3 had failed" in note]
        assert len(told) == (line["model"] == "picky+text-only")


class Counting(LocalModel):
    """Answers each request with its own id, and remembers of which groups each batch was."""

    def __init__(self, size: int, replicas: int, pause_s: float = 0.0) -> None:
        super().__init__(NoSettings())
        self.size, self.replicas, self.pause_s = size, replicas, pause_s
        self.batches: list[list[str]] = []
        self._lock = threading.Lock()

    @property
    def batch_size(self) -> int:
        return self.size

    @property
    def parallel_batches(self) -> int:
        return self.replicas

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        with self._lock:
            self.batches.append([request.id for request in requests])
        time.sleep(self.pause_s)
        return [Reply(text=request.id) for request in requests]


async def asked(model: Counting, arrivals: list[tuple[str, bool, bool, int]]) -> list[str]:
    """Have each (group, announced, withdrawn, delay in ms) asked or taken back; return the answers' texts in order."""
    with ThreadPoolExecutor(2) as pool:
        dispatcher = LocalDispatcher([InThread(model)], pool)
        await dispatcher.load()
        for group, announced, _, _ in arrivals:
            dispatcher.expect(int(announced), group)

        async def one(number: int, group: str, announced: bool, withdrawn: bool, delay: int) -> str:
            await asyncio.sleep(delay / 1000)
            if withdrawn:
                dispatcher.expect(-int(announced), group)
                return "withdrawn"
            name = f"{group}{number}"
            delivery = await dispatcher.ask(CLIP, request(name), group=group, expected=announced)
            assert isinstance(delivery.result, Reply)
            return delivery.result.text

        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(one(number, *arrival) for number, arrival in enumerate(arrivals)))
        await dispatcher.close()
    return answers


ARRIVALS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans(), st.integers(0, 6)), max_size=25)


@given(ARRIVALS, st.integers(1, 5), st.integers(1, 3))
def test_every_request_is_answered_and_no_batch_mixes_groups(
    arrivals: list[tuple[str, bool, bool, int]], size: int, replicas: int
) -> None:
    model = Counting(size, replicas)
    answers = asyncio.run(asked(model, arrivals))
    wanted = [f"{a[0]}{n}" if not a[2] else "withdrawn" for n, a in enumerate(arrivals)]
    assert answers == wanted
    assert all(len({name[0] for name in batch}) == 1 and len(batch) <= size for batch in model.batches)


@pytest.mark.parametrize("replicas", [1, 2])
def test_what_was_announced_is_waited_for_in_each_group(replicas: int) -> None:
    arrivals = [(group, True, False, 3 * number) for number in range(8) for group in "ab"]
    model = Counting(4, replicas)
    asyncio.run(asked(model, arrivals))
    assert sorted((batch[0][0], len(batch)) for batch in model.batches) == [("a", 4)] * 2 + [("b", 4)] * 2


def test_no_group_waits_for_another_that_never_ends() -> None:
    arrivals = [("a", False, False, number) for number in range(60)] + [("b", False, False, 5)]
    model = Counting(1, 1, pause_s=0.01)
    asyncio.run(asked(model, arrivals))
    assert [batch[0][0] for batch in model.batches].index("b") < 30


class Preparing(Counting):
    """Takes a while to prepare a request, and fails to for those named "bad"."""

    def prepare(self, request: Request) -> None:
        time.sleep(0.1)
        if request.id == "bad":
            raise RequestRejected("cannot be prepared")


def test_waiting_for_a_thread_that_prepares_is_queueing_and_no_time_of_the_attempt() -> None:
    async def ask() -> list[Delivery]:
        with ThreadPoolExecutor(1) as pool:
            dispatcher = LocalDispatcher([InThread(Preparing(1, 1))], pool)
            await dispatcher.load()
            try:
                return await asyncio.gather(*(dispatcher.ask(CLIP, request(name)) for name in ("a", "b", "c", "bad")))
            finally:
                await dispatcher.close()

    deliveries = asyncio.run(ask())
    walls = [delivery.wall_s or 0 for delivery in deliveries]
    queued = [delivery.queue_s or 0 for delivery in deliveries]
    assert min(walls) >= 0.1
    assert queued == sorted(queued)
    assert queued[3] > 0.2, "three of 0.1 s go first, the first of which may have begun before this one was asked for"
    assert walls[3] < queued[3]
    assert isinstance(deliveries[3].result, RequestRejected)
