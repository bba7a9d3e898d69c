"""What a model still has to do before its first batch is done while its first requests are prepared."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from bare_request import request
from typing_extensions import override

from ghostbench.errors import Unavailable
from ghostbench.models import LocalModel, NoSettings
from ghostbench.records import Clip, Reply, Request
from ghostbench.running.ask.dispatch import Withdrawn
from ghostbench.running.ask.dispatchers import load, ready
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.in_worker import Gone, InWorker, Worker
from ghostbench.running.ask.places.place import Answered, InThread, Prepared

CLIP = Clip(id="c", truth="normal")
LONG_S = 60.0


class Warming(LocalModel):
    """Its warm-up waits for a request to be prepared, and fails then if it is told to."""

    batch_size = 2

    def __init__(self, settings: Any = None, argument: str | None = None, failure: Exception | None = None) -> None:
        super().__init__(NoSettings())
        self.failure = failure
        self.prepared = threading.Event()
        self.did: list[str] = []

    def load(self) -> dict[str, Any]:
        return {"size": 1, "batch": "unknown"}

    def warm_up(self) -> Mapping[str, Any]:
        assert self.prepared.wait(LONG_S)
        self.did.append("warm")
        if self.failure is not None:
            raise self.failure
        return {"batch": 2, "warm_up_s": 0.5}

    def prepare(self, request: Request) -> None:
        self.did.append("prepare")
        self.prepared.set()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self.did.append("answer")
        return [Reply(text=request.id) for request in requests]


async def all_asked(dispatcher: LocalDispatcher, count: int = 2) -> list[Any]:
    """What comes of so many requests, and of waiting until the model is ready, which is last."""
    dispatcher.expect(count)
    asks = [dispatcher.ask(CLIP, request(str(number)), expected=True) for number in range(count)]
    async with asyncio.timeout(LONG_S):
        found = await asyncio.gather(*asks, ready(dispatcher), return_exceptions=True)
    await dispatcher.close()
    return list(found)


def test_requests_are_prepared_while_the_model_warms_up_and_answered_after_that() -> None:
    model = Warming()

    async def ask() -> tuple[Any, list[Any]]:
        with ThreadPoolExecutor(2) as pool:
            dispatcher = LocalDispatcher([InThread(model)], pool)
            facts = await dispatcher.load()
            return facts, await all_asked(dispatcher)

    facts, (*deliveries, added) = asyncio.run(ask())
    assert facts == {"size": 1, "batch": "unknown"}
    assert added == {"size": 1, "batch": 2, "warm_up_s": 0.5}
    assert [delivery.result.text for delivery in deliveries] == ["0", "1"]
    assert model.did[0] == "prepare"
    assert model.did.index("warm") < model.did.index("answer")
    assert model.did.count("warm") == 1


@pytest.mark.parametrize("failure", [Unavailable("no kernel for this card"), SystemExit(3), StopIteration()])
def test_a_model_that_cannot_warm_up_is_unavailable_before_what_waits_is_withdrawn(failure: Any) -> None:
    told: list[tuple[BaseException, bool]] = []

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            dispatcher = LocalDispatcher([InThread(Warming(failure=failure))], pool)
            dispatcher.lost = lambda why: told.append((why, dispatcher.stopped))
            await dispatcher.load()
            return await all_asked(dispatcher)

    *deliveries, added = asyncio.run(ask())
    assert [type(delivery) for delivery in deliveries] == [Withdrawn, Withdrawn]
    assert isinstance(added, Unavailable)
    assert told == [(added, False)]


def test_a_replica_that_cannot_warm_up_leaves_its_requests_to_the_others() -> None:
    bad, good = Warming(failure=Unavailable("no kernel for this card")), Warming()
    good.prepared.set()

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            dispatcher = LocalDispatcher([InThread(bad, "m#1"), InThread(good, "m#2")], pool)
            dispatcher.lost = lambda why: pytest.fail(str(why))
            await dispatcher.load()
            return await all_asked(dispatcher, 4)

    *deliveries, added = asyncio.run(ask())
    assert [(delivery.result.text, delivery.worker) for delivery in deliveries] == [(str(n), "m#2") for n in range(4)]
    assert added["replicas"] == 1
    assert added["warm_up_s"] == {"m#2": 0.5}
    assert "answer" not in bad.did


def test_facts_of_a_warm_up_that_are_no_facts_make_a_model_unavailable() -> None:
    class Odd(Warming):
        def warm_up(self) -> Any:
            return 3

    async def ask() -> None:
        with ThreadPoolExecutor(2) as pool:
            dispatcher = LocalDispatcher([InThread(Odd())], pool)
            try:
                await load(dispatcher)
            finally:
                await dispatcher.close()

    with pytest.raises(Unavailable, match="its warm_up returned int where a mapping of facts belongs"):
        asyncio.run(ask())


def test_closing_a_model_that_warms_up_leaves_nothing_to_complain_of() -> None:
    complaints: list[Any] = []
    begun, ended = threading.Event(), threading.Event()

    class Slow(Warming):
        def warm_up(self) -> Mapping[str, Any]:
            begun.set()
            assert ended.wait(LONG_S)
            raise Unavailable("its worker was closed")

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        with ThreadPoolExecutor(2) as pool:
            dispatcher = LocalDispatcher([InThread(Slow())], pool)
            await dispatcher.load()
            await asyncio.to_thread(begun.wait, LONG_S)
            await dispatcher.close()
            thread = dispatcher._seats[0]._threads
            ended.set()
            await asyncio.to_thread(thread.shutdown)
            # What has come of the call is handed over through the loop.
            for _ in range(3):
                await asyncio.sleep(0)

    asyncio.run(ask())
    gc.collect()
    assert complaints == []


class Told(Worker):
    """A worker that says what it is told to, by kind of call, and is lost over a call without a word."""

    was_ended = False

    def __init__(self, says: dict[str, Any]) -> None:
        self.name = "m#1"
        self.says = {"load": ({"files": 1}, 1), "prepare": Prepared(None, None, 0.0), "close": None} | says
        self.calls: list[str] = []
        self.ended: str | None = None

    @property
    @override
    def gone(self) -> bool:
        return self.ended is not None

    @override
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        waiting: Future[Any] = Future()
        self.calls.append(kind)
        if kind in self.says:
            waiting.set_result(self.says[kind])
        else:
            self.ended = "was killed"
            waiting.set_exception(Gone(self.ended))
        return 1, waiting

    @override
    def end(self, how: str) -> None:
        self.ended = self.ended or how


def place_of(*workers: Worker) -> InWorker:
    left = list(workers)
    return InWorker(Warming(), "m#1", lambda again: left.pop(0))


def test_a_worker_that_is_lost_while_it_warms_up_is_replaced_by_one_that_is_warm() -> None:
    first, second = Told({}), Told({"warm up": {"warm_up_s": 2.0}})
    place = place_of(first, second)
    place.load()
    assert place.warm_up() == {"warm_up_s": 2.0}
    assert (first.calls, second.calls) == (["load", "warm up"], ["load", "warm up"])
    assert not place.gone


def test_a_worker_in_place_of_a_lost_one_is_warm_before_it_is_asked() -> None:
    first = Told({"warm up": {"warm_up_s": 1.0}})
    second = Told({"warm up": {"warm_up_s": 2.0}, "answer": Answered([Reply(text="yes")], 0.0, [()])})
    place = place_of(first, second)
    place.load()
    assert place.warm_up() == {"warm_up_s": 1.0}
    assert place.answer([request("1")]).lost
    assert place.answer([request("1")]).results == [Reply(text="yes")]
    assert second.calls == ["load", "warm up", "answer"]


def test_a_model_that_says_in_its_worker_that_it_cannot_warm_up_is_unavailable_there() -> None:
    failing = Told({"warm up": Unavailable("no kernel for this card")})
    place = place_of(failing)
    place.load()
    with pytest.raises(Unavailable, match="no kernel for this card"):
        place.warm_up()
    assert not failing.gone  # it may be preparing requests, which are withdrawn, and not lost
    place.close()
    assert failing.gone


PLUGIN = """
    import os
    import threading

    from ghostbench import LocalModel, ModelSpec, Reply, Unavailable, Verdict, hookimpl

    class Warming(LocalModel):
        batch_size = 3
        seen = threading.Event()

        def warm_up(self):
            assert self.seen.wait(60)
            if os.environ.get("WARM_UP_FAILS"):
                raise Unavailable("no kernel for this card")
            return {"warm_up_s": 0.25, "pid": os.getpid()}

        def prepare(self, request):
            self.seen.set()

        def answer(self, requests):
            return [Reply(text=r.write_answer(Verdict(grade="normal")), notes=(str(os.getpid()),)) for r in requests]

    @hookimpl
    def register_models(register):
        register(ModelSpec(name="warming", load="warming:Warming", kind="local", summary="warms up"))
"""


def install(site: Path) -> None:
    (site / "warming.py").write_text(dedent(PLUGIN))
    info = site / "warming-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: warming\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ghostbench]\nwarming = warming\n")


def test_a_run_prepares_its_first_requests_in_the_worker_while_that_warms_up(bench: Any) -> None:
    install(bench.folder / "site")
    done = bench.run("--models", "warming", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    entry = bench.manifest("r")["models"]["warming"]
    assert entry["facts"]["warm_up_s"] == 0.25
    assert entry["load_s"] > 0
    lines = bench.lines("r", "attempts.jsonl")
    assert [line["outcome"] for line in lines] == ["answered"] * 6
    assert {line["notes"][0] for line in lines} == {str(entry["facts"]["pid"])}


def test_a_run_whose_model_cannot_warm_up_has_no_answer_and_says_why(bench: Any) -> None:
    install(bench.folder / "site")
    done = bench.run("--models", "warming", "--run-id", "r", WARM_UP_FAILS="1")
    assert done.returncode == 1
    assert "no kernel for this card" in done.stderr
    assert [line["outcome"] for line in bench.lines("r", "predictions.jsonl")] == ["unavailable"] * 6
    assert bench.lines("r", "attempts.jsonl") == []
    assert bench.manifest("r")["models"]["warming"]["load_s"] > 0
