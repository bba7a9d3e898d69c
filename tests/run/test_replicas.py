"""Several replicas of one local model: who gets what, so that all end together, and what the loss of one costs."""

from __future__ import annotations

import asyncio
import heapq
import io
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bare_request import request
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ghostbench.errors import BadInput, TimedOut, Unavailable, WorkerLost
from ghostbench.models import LocalModel, ModelSpec, NoSettings, Resources
from ghostbench.outcomes import Outcome
from ghostbench.plugins.choose import Choice
from ghostbench.records import Clip, Reply, Request
from ghostbench.running.ask import seat
from ghostbench.running.ask.dispatch import Delivery
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.place import Answered, InThread
from ghostbench.running.ask.replicas import facts_of_all
from ghostbench.running.ask.sharing_out import Pace, to_take
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.replicas import plan_replicas
from ghostbench.running.watch.progress import Progress

CLIP = Clip(id="c", truth="normal")


def ended(clips: int, most: int, per_s: Sequence[float], fixed_s: float = 0.0) -> tuple[float, list[int]]:
    """When all clips are answered by replicas that take so long for a batch and a clip, seconds; the batches' sizes."""
    paces = [Pace() for _ in per_s]
    free = [(0.0, number) for number in range(len(per_s))]
    running: dict[int, int] = {}
    sizes, last = [], 0.0
    heapq.heapify(free)
    while free:
        now, number = heapq.heappop(free)
        if number in running:
            paces[number].end(running.pop(number), now)
            last = max(last, now)
        if clips:
            size = min(clips, to_take(paces[number], paces, most, clips, now))
            clips -= size
            sizes.append(size)
            running[number] = paces[number].begin(size, now)
            heapq.heappush(free, (now + fixed_s + size / per_s[number], number))
    return last, sizes


@pytest.mark.parametrize(("most", "sizes"), [(64, [48] * 4), (128, [96] * 2), (48, [48] * 4), (192, [96] * 2)])
def test_two_equal_replicas_share_192_clips_evenly(most: int, sizes: list[int]) -> None:
    assert ended(192, most, [8.0, 8.0]) == (12.0, sizes)


@given(st.integers(1, 3000), st.integers(2, 128), st.lists(st.floats(1, 4), min_size=2, max_size=9))
def test_replicas_of_any_pace_end_at_most_one_small_batch_apart(clips: int, most: int, per_s: list[float]) -> None:
    took, sizes = ended(clips, most, per_s)
    assert sum(sizes) == clips
    assert max(sizes) <= most
    # Before its first batch has ended nobody knows how slow a replica is: that batch it may have too many of. Its last
    # one may have an eighth more, so that nobody is left with a small batch.
    first = min(most, clips / len(per_s) + 1) / min(per_s)
    assert took <= clips / sum(per_s) + first + (2 + most / 8) / min(per_s)


@pytest.mark.parametrize(("left", "takes"), [(40, 40), (48, 48), (52, 52), (60, 52), (70, 57)])
def test_no_replica_is_left_with_a_small_batch(left: int, takes: int) -> None:
    free, busy = Pace(8.0), Pace(8.0)
    busy.begin(48, 0.0)
    # 44 are left of what the other one is at.
    assert to_take(free, [free, busy], 64, left, 0.5) == takes


class Slow(LocalModel):
    """Takes 10 ms a request, and remembers its batches."""

    def __init__(self, size: int) -> None:
        super().__init__(NoSettings())
        self.size = size
        self.batches: list[int] = []
        self.threads: set[int] = set()

    @property
    def batch_size(self) -> int:
        return self.size

    def load(self) -> dict[str, Any]:
        return {"files": {"weights": "1"}}

    def prepare(self, request: Request) -> tuple[int, str]:
        return id(self), request.id

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self.threads.add(threading.get_ident())
        self.batches.append(len(requests))
        time.sleep(0.01 * len(requests))
        assert all(request.prepared == (id(self), request.id) for request in requests)
        return [Reply(text=request.id) for request in requests]


class Failing(InThread):
    """A place that is lost for good when it is asked."""

    def answer(self, requests: Sequence[Request]) -> Answered:
        failure = Unavailable("gone")
        return Answered([failure] * len(requests), 0.0, [()] * len(requests), worker="m#1", stops=True)


class NotLoading(InThread):
    def load(self) -> Any:
        raise Unavailable("no such device")


def asked(
    places: list[InThread],
    count: int,
    *,
    announced: bool = True,
    deadline_s: float = math.inf,
    settled: Callable[[], bool] = lambda: True,
) -> list[Delivery]:
    async def ask() -> list[Delivery]:
        with ThreadPoolExecutor(4) as pool:
            dispatcher = LocalDispatcher(places, pool, deadline_s)
            await dispatcher.load()
            left = count

            def still_left() -> int:
                return left

            dispatcher.left = still_left

            async def one(number: int) -> Delivery:
                nonlocal left
                delivery = await dispatcher.ask(CLIP, request(str(number)), expected=announced)
                while not settled():
                    await asyncio.sleep(0.005)
                left -= 1
                return delivery

            dispatcher.expect(count if announced else 0)
            async with asyncio.timeout(20):
                found = await asyncio.gather(*(one(number) for number in range(count)))
            await dispatcher.close()
            return found

    return asyncio.run(ask())


def test_replicas_get_equal_batches_and_answer_what_they_have_prepared_themselves() -> None:
    models = [Slow(16), Slow(16)]
    found = asked([InThread(model, f"m#{number}") for number, model in enumerate(models, 1)], 24)
    assert [delivery.result for delivery in found] == [Reply(text=str(number)) for number in range(24)]
    assert [model.batches for model in models] == [[12], [12]]
    assert Counter(delivery.worker for delivery in found) == {"m#1": 12, "m#2": 12}
    assert all(len(model.threads) == 1 for model in models)


def test_what_is_answered_and_not_yet_settled_is_not_shared_out_again() -> None:
    begun = threading.Event()

    class First(Slow):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            if self.batches:
                begun.set()
            return super().answer(requests)

    class Second(Slow):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            begun.wait(20)
            return super().answer(requests)

    models = [First(16), Second(16)]
    found = asked([InThread(model) for model in models], 48, settled=begun.is_set)
    assert len(found) == 48
    # Half of the 24 that nobody has begun, and not of the 36 that are not settled, which would be two batches.
    assert models[0].batches[0] == 12
    assert models[0].batches[1] >= 12


def test_what_a_slow_replica_has_prepared_is_taken_over_by_one_that_is_free() -> None:
    class Slower(Slow):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            time.sleep(0.05 * len(requests))
            return super().answer(requests)

    models = [Slower(1), Slow(1)]
    found = asked([InThread(model) for model in models], 24)
    assert [delivery.result for delivery in found] == [Reply(text=str(number)) for number in range(24)]
    assert sum(models[0].batches) < 12 < sum(models[1].batches)


def test_a_replica_that_is_lost_for_good_costs_its_batch_and_the_others_go_on() -> None:
    model = Slow(4)
    found = asked([Failing(Slow(4)), InThread(model, "m#2")], 16)
    lost = [delivery for delivery in found if delivery.lost]
    assert 1 <= len(lost) <= 4
    assert {delivery.result.outcome for delivery in lost} == {"worker_lost"}
    assert not any(delivery.stops for delivery in found)
    assert sum(model.batches) == 16 - len(lost)


def test_who_waits_for_a_thread_of_a_replica_that_is_lost_is_asked_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "_LOOK_S", 0.01)

    class Preparing(Slow):
        def prepare(self, request: Request) -> tuple[int, str]:
            time.sleep(0.05)
            return super().prepare(request)

    model = Preparing(1)
    found = asked([Failing(Preparing(1)), InThread(model, "m#2")], 12)
    assert sum(delivery.lost for delivery in found) == 1
    assert sum(model.batches) == 11


class Gated(Failing):
    """A place that is lost for good at its first request, once that is let go."""

    def __init__(self, model: LocalModel) -> None:
        super().__init__(model, "m#1")
        self.let_go = threading.Event()
        self.calls = 0

    def answer(self, requests: Sequence[Request]) -> Answered:
        self.calls += 1
        self.let_go.wait(20)
        return super().answer(requests)


@pytest.mark.parametrize("alone", [(False, True), (True, False), (True, True)])
def test_who_waits_for_a_turn_at_a_replica_that_is_lost_is_asked_of_another(alone: tuple[bool, bool]) -> None:
    lost, left = Gated(Slow(1)), Slow(1)

    async def ask() -> tuple[Delivery, Delivery]:
        with ThreadPoolExecutor(4) as pool:
            dispatcher = LocalDispatcher([lost, InThread(left, "m#2")], pool)
            await dispatcher.load()
            first = asyncio.create_task(dispatcher.ask(CLIP, request("1"), alone=alone[0]))
            while not lost.calls:
                await asyncio.sleep(0.001)
            # So that the second one has less to do there.
            dispatcher._seats[1].assigned += 2
            second = asyncio.create_task(dispatcher.ask(CLIP, request("2"), alone=alone[1]))
            await asyncio.sleep(0.01)
            lost.let_go.set()
            async with asyncio.timeout(20):
                found = await first, await second
            await dispatcher.close()
            return found

    first, second = asyncio.run(ask())
    assert isinstance(first.result, WorkerLost)
    assert first.lost
    assert (second.result, second.worker, second.lost) == (Reply(text="2"), "m#2", False)
    assert lost.calls == 1


def test_a_request_at_which_a_replica_hangs_for_good_has_timed_out_and_the_others_go_on() -> None:
    let_go = threading.Event()

    class Hanging(Slow):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            let_go.wait(20)
            return []

    found = asked([InThread(Hanging(1), "m#1"), InThread(Slow(1), "m#2")], 4, deadline_s=1.5)
    let_go.set()
    (hung,) = (delivery for delivery in found if delivery.lost)
    assert isinstance(hung.result, TimedOut)
    assert (hung.worker, hung.stops) == ("m#1", False)
    assert sum(isinstance(delivery.result, Reply) for delivery in found) == 3


def test_the_last_replica_that_is_lost_stops_the_model() -> None:
    found = asked([Failing(Slow(16)), NotLoading(Slow(16))], 8)
    assert all(delivery.stops and delivery.result.outcome == "unavailable" for delivery in found)


def test_replicas_of_other_files_are_no_one_model() -> None:
    with pytest.raises(Unavailable, match="other files"):
        facts_of_all({"m#1": {"files": {"a": 1}}, "m#2": {"files": {"a": 2}}})


def hosts(gpus: float = 0.0, memory: int = 0, kind: Any = "local") -> dict[str, ConfiguredModel]:
    needs = Resources(gpus=gpus, memory_bytes=memory)
    spec = ModelSpec(name="m", load="x:X", kind=kind, summary="", resources=needs)
    return {"m": ConfiguredModel(Choice("m", spec, None), NoSettings(), Slow(1))}


@pytest.mark.parametrize(
    ("gpus", "count", "seen", "shares"),
    [
        (1, 2, "5,7", ["5", "7"]),
        (2, 2, "0,1,2,3", ["0,1", "2,3"]),
        (0.5, 4, "GPU-a,GPU-b", ["GPU-a", "GPU-a", "GPU-b", "GPU-b"]),
    ],
)
def test_each_replica_gets_gpus_of_its_own(
    monkeypatch: pytest.MonkeyPatch, gpus: float, count: int, seen: str, shares: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    planned = hosts(gpus)
    plan_replicas(planned, [f"m={count}"], "process")
    found = planned["m"].replicas
    assert [replica.environment for replica in found] == [{"CUDA_VISIBLE_DEVICES": share} for share in shares]
    assert [replica.name for replica in found] == [f"m#{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("given", "on", "needs", "said"),
    [
        ("m", "process", {}, "not of the form MODEL=N"),
        ("m=0", "process", {}, "N from 1"),
        ("m=-1", "process", {}, "not of the form"),
        ("other=2", "process", {}, "no model 'other'"),
        ("m=3", "process", {"gpus": 1}, "needs 3 GPUs, and this machine has 2"),
        ("m=2", "thread", {"gpus": 1}, "use --on process"),
        ("m=2", "process", {"memory": 1 << 60}, "GiB"),
        ("m=4096", "process", {}, "too many for the"),
    ],
)
def test_replicas_that_cannot_be_are_bad_input(
    monkeypatch: pytest.MonkeyPatch, given: str, on: str, needs: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(BadInput, match=said):
        plan_replicas(hosts(**needs), [given], on)


@pytest.mark.slow
def test_a_run_with_two_workers_asks_both_and_tells_which(bench: Any) -> None:
    given = ["--models", "on-gpu", "--set", "on-gpu.sleep_s=0.3", "--replicas", "on-gpu=2", "--run-id", "r"]
    done = bench.run(*given, CUDA_VISIBLE_DEVICES="5,7")
    assert done.returncode == 0, done.stderr
    where = Counter((line["worker"], line["served_model"]) for line in bench.lines("r", "attempts.jsonl"))
    assert set(where) == {("on-gpu#1", "5"), ("on-gpu#2", "7")}
    assert sum(where.values()) == 6
    assert bench.manifest("r")["models"]["on-gpu"]["facts"]["replicas"] == 2
    workers = bench.metrics("r")["models"]["on-gpu"]["workers"]
    assert {name: share["answered"] for name, share in workers["by_name"].items()} == {
        worker: count for (worker, _), count in where.items()
    }
    assert 0 <= workers["idle_at_the_end"] < 1
    assert "Idle at the end" in (bench.folder / "results" / "r" / "report.md").read_text()


def test_progress_tells_what_each_of_several_workers_has_done() -> None:
    progress = Progress(Console(file=io.StringIO()), ["m"], 30)
    progress.settled("m", Outcome.ANSWERED, 3)
    progress.attempted("m", "m#1")
    assert progress.counts()["m"] == (3, "3 answered")
    for worker in ("m#2", "m#1"):
        progress.attempted("m", worker)
    assert progress.counts()["m"] == (3, "3 answered, workers #1 2, #2 1")
    for number in range(3, 13):
        progress.attempted("m", f"m#{number}")
    assert progress.counts()["m"] == (3, "3 answered, 12 workers at 1 to 2 attempts each")
