"""Models in workers of their own: what becomes of what they hold, and of those that cannot be started any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bare_request import request
from typing_extensions import override

from ghostbench.errors import DecodeFailed, MediaUnreachable, Unavailable
from ghostbench.media.far import Recipe
from ghostbench.media.sampling import parse_sampling
from ghostbench.models import LocalModel, NoSettings
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip, Reply, Request
from ghostbench.running.ask.far_decoding import FarDecoding
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places import looking
from ghostbench.running.ask.places.in_worker import Gone, InWorker, Worker
from ghostbench.running.ask.places.looking import Looking, Wanted
from ghostbench.running.ask.places.place import Answered, Prepared
from ghostbench.running.ask.places.worker_model import Assignment, WorkerModel
from ghostbench.running.ask.seat import Seat
from ghostbench.tasks.load import load_task

SAMPLING = parse_sampling("uniform:10")


class Preparing(LocalModel):
    """Says what it has prepared."""

    def __init__(self, settings: Any = None, argument: str | None = None) -> None:
        super().__init__(NoSettings())

    def load(self) -> dict[str, Any]:
        return {"files": {"weights": "1"}}

    def prepare(self, request: Request) -> str:
        return f"prepared {request.id}"

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [Reply(text=str(request.prepared)) for request in requests]


class Told(Worker):
    """A worker that says what it is told to: by kind of call, None where it is lost over that, ... where it hangs."""

    def __init__(self, says: dict[str, Any]) -> None:
        self.name = "m#1"
        self.says = {"load": ({"files": 1}, 1), "close": None} | says
        self.ended: str | None = None
        self.waiting: list[Future[Any]] = []

    @property
    @override
    def gone(self) -> bool:
        return self.ended is not None

    @property
    @override
    def was_ended(self) -> bool:
        return self.ended not in (None, "was killed")

    @override
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        waiting: Future[Any] = Future()
        said = self.says[kind]
        if said is None:
            self.ended = "was killed"
            waiting.set_exception(Gone(self.ended))
        elif said is ...:
            self.waiting.append(waiting)
        else:
            waiting.set_result(said)
        return 1, waiting

    @override
    def end(self, how: str) -> None:
        self.ended = self.ended or how
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_exception(Gone(self.ended))


class Slow(Told):
    """Takes so many seconds for each call but the first load, and is lost over what it says None to."""

    def __init__(self, seconds: float, says: dict[str, Any]) -> None:
        super().__init__(says)
        self.seconds = seconds

    @override
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        number, done = super().ask(kind, given)
        if done.exception() is not None:
            return number, done
        later: Future[Any] = Future()
        threading.Timer(self.seconds, later.set_result, [done.result()]).start()
        return number, later


class AtDesk(Worker):
    """A worker whose model is in this process."""

    gone = was_ended = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.batch_size = 2
        self.model = WorkerModel(Assignment(f"{__name__}:Preparing", None, None, (), 2, name))
        self.calls = 0

    @override
    def ask(self, kind: str, given: Any) -> tuple[int, Future[Any]]:
        waiting: Future[Any] = Future()
        self.calls += 1
        self.model.take(kind, self.calls, given, waiting.set_result)
        return self.calls, waiting

    @override
    def end(self, how: str) -> None:
        pass


@pytest.fixture
def clip(drawn_dataset: Path) -> str:
    return str(drawn_dataset.parent / "clips" / "images_1_001.avi")


def place_of(*workers: Worker) -> tuple[InWorker, list[bool]]:
    """A place that starts these workers one after another, and then says that there is no room; its starts."""
    left, starts = list(workers), list[bool]()

    def start(again: bool) -> Worker:
        starts.append(again)
        if not left:
            raise Unavailable("no node has room for another")
        return left.pop(0)

    return InWorker(Preparing(), "m#1", start), starts


def test_a_worker_that_cannot_be_replaced_is_looked_for_once() -> None:
    place, starts = place_of(Told({"prepare": None}))
    place.load()
    assert place.prepare(request("1")).lost
    for number in range(3):
        done = place.prepare(request(str(number)))
        assert done.stops
        assert "no node has room" in str(done.failure)
    assert place.answer([request("1")]).stops
    assert not place.can_be_asked
    assert starts == [False, True]


@pytest.mark.parametrize("call", ["prepare", "answer"])
def test_loading_a_lost_model_anew_takes_nothing_from_the_deadline_of_a_call(call: str) -> None:
    said = {"prepare": Prepared(None, None, 0.0), "answer": Answered([Reply(text="yes")], 0.0, [()])}
    place, starts = place_of(Told({call: None}), Slow(1.2, said))

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            seat = Seat[Any](place, pool, 2.0)
            await seat.load()
            try:
                if call == "prepare":
                    return [(await seat.prepare(request("1"), lambda: False)).failure for _ in range(2)]
                return [(await seat.answer([request("1")])).results[0] for _ in range(2)]
            finally:
                await seat.close()

    lost, found = asyncio.run(ask())
    assert lost.outcome is Outcome.WORKER_LOST
    assert found == (None if call == "prepare" else Reply(text="yes"))
    assert starts == [False, True]


def test_to_wait_for_room_takes_nothing_from_the_deadline_of_loading_anew() -> None:
    said = Answered([Reply(text="yes")], 0.0, [()])
    workers: list[Worker] = [Told({"answer": None}), Told({"answer": said})]

    def start(again: bool) -> Worker:
        time.sleep(1.3 if again else 0)  # longer than the deadline
        return workers.pop(0)

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as pool:
            seat = Seat[Any](InWorker(Preparing(), "m#1", start, room_s=60.0), pool, 1.0)
            await seat.load()
            try:
                return [(await seat.answer([request("1")])).results[0] for _ in range(2)]
            finally:
                await seat.close()

    lost, found = asyncio.run(ask())
    assert (lost.outcome, found) == (Outcome.WORKER_LOST, Reply(text="yes"))


@pytest.mark.parametrize("waits", ["for room", "for the model"])
def test_a_model_that_is_being_loaded_anew_can_be_closed_at_once(waits: str) -> None:
    new, room, looked_for = Told({"load": ...}), threading.Event(), threading.Event()

    def start(again: bool) -> Worker:
        if not again:
            return Told({"answer": None})
        looked_for.set()
        if waits == "for room":
            room.wait()
        return new

    place = InWorker(Preparing(), "m#1", start)
    place.load()
    assert place.answer([request("1")]).lost
    with ThreadPoolExecutor(2) as pool:
        loading = pool.submit(place.load_anew)
        assert looked_for.wait(60)
        while waits == "for the model" and not new.waiting:
            time.sleep(0.01)
        try:
            pool.submit(place.close).result(60)
        finally:
            room.set()
            if waits == "for the model":
                new.end("was ended by the test")
        loading.result(60)
    assert new.ended == "was closed"
    assert place.prepare(request("2")).stops


def test_a_lost_model_is_gone_until_it_is_loaded_anew() -> None:
    new = Told({"load": ..., "answer": Answered([Reply(text="yes")], 0.0, [()])})
    place, _ = place_of(Told({"answer": None}), new)
    place.load()
    assert place.answer([request("1")]).lost
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(place.load_anew)
        while not new.waiting:
            time.sleep(0.01)
        meanwhile = place.gone
        new.waiting[0].set_result(({"files": 1}, 1))
        loading.result()
    assert (meanwhile, place.gone) == (True, False)
    assert place.answer([request("1")]).results == [Reply(text="yes")]


@pytest.mark.parametrize("call", ["prepare", "answer"])
def test_a_worker_that_is_ended_while_a_call_loads_it_is_started_again(call: str) -> None:
    said = {"prepare": Prepared(None, None, 0.0), "answer": Answered([Reply(text="yes")], 0.0, [()])}
    hung = Told({"load": ...})
    place, starts = place_of(Told({call: None}), hung, Told(said))
    place.load()

    def ask() -> Any:
        return place.prepare(request("1")) if call == "prepare" else place.answer([request("1")])

    assert ask().lost
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        while not hung.waiting:
            time.sleep(0.01)
        place.end_work("did not answer in time and was ended")
        ended = asked.result()
    assert (ended.stops, ended.lost) == (False, False)
    found = ask()
    assert found.failure is None if call == "prepare" else found.results == [Reply(text="yes")]
    assert starts == [False, True, True]


def test_a_call_whose_loading_took_too_long_ends_no_later_one() -> None:
    said = {"prepare": Prepared(None, None, 0.0), "answer": Answered([Reply(text="yes")], 0.0, [()])}
    place, starts = place_of(Told({"answer": None}), Told({"load": ...}), Slow(0.2, said))

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(3) as pool:
            seat = Seat[Any](place, pool, 1.0)
            await seat.load()
            try:
                assert (await seat.answer([request("1")])).lost
                calls = [seat.prepare(request(str(number)), lambda: False) for number in range(3)]
                return list(await asyncio.gather(*calls))
            finally:
                await seat.close()

    late, *others = asyncio.run(ask())
    assert late.failure.outcome is Outcome.TIMED_OUT
    assert not late.lost  # it has taken no worker down
    assert [done.failure for done in others] == [None, None]
    assert starts == [False, True, True]


@pytest.mark.parametrize("facts", [{"files": 2}, {}, None])
def test_a_worker_that_is_started_anew_from_other_files_is_no_worker_of_the_model(facts: Any) -> None:
    other = Told({"load": (facts, 1), "prepare": ...})
    place, starts = place_of(Told({"prepare": None}), other)
    assert place.load() == {"files": 1}
    assert place.prepare(request("1")).lost
    done = place.prepare(request("1"))
    assert done.stops
    assert isinstance(done.failure, Unavailable)
    assert "from other files than before" in str(done.failure)
    assert other.gone
    assert place.prepare(request("2")).stops
    assert len(starts) == 2


def test_a_worker_that_is_started_anew_from_the_same_files_goes_on() -> None:
    place, _ = place_of(Told({"prepare": None}), Told({"load": ({"files": 1, "device": "b"}, 1), "look": "seen"}))
    place.load()
    assert place.prepare(request("1")).lost
    assert place.look("clip") == "seen"


@pytest.mark.parametrize("said", [-5.0, float("nan"), 1e300])
def test_a_worker_whose_clock_is_not_to_be_trusted_is_held_to_the_drivers(said: float) -> None:
    answers = Answered([Reply(text="x")], said, [()])
    place, _ = place_of(Told({"prepare": Prepared("x", None, said), "answer": answers}))
    asked = request("1")
    assert 0 <= place.prepare(asked).seconds < 60
    assert 0 <= place.answer([asked]).seconds < 60


def test_what_one_replica_has_prepared_and_another_computes_is_kept_by_neither() -> None:
    workers = [AtDesk("m#1"), AtDesk("m#2")]
    places = [place_of(worker)[0] for worker in workers]

    async def ask() -> None:
        with ThreadPoolExecutor(4) as pool:
            dispatcher = LocalDispatcher(places, pool)
            await dispatcher.load()
            first, second = dispatcher._seats
            dispatcher.expect(1)
            async with asyncio.timeout(20):
                waiting = asyncio.create_task(dispatcher.ask(Clip(id="c", truth="normal"), request("1")))
                while not first.ready.get(""):
                    await asyncio.sleep(0.001)
                assert workers[0].model._kept
                first.taken = first.parallel  # as if it were at a long batch
                dispatcher.expect(-1)
                second.free.set()
                delivery = await waiting
                while workers[0].model._kept:
                    await asyncio.sleep(0.001)
            assert (delivery.result, delivery.worker) == (Reply(text="prepared 1"), "m#2")
            assert not workers[1].model._kept
            await dispatcher.close()

    asyncio.run(ask())


def decoding(pool: ThreadPoolExecutor, *places: InWorker, deadline_s: float = 20.0) -> FarDecoding:
    far = FarDecoding(pool, SAMPLING, "root", (), deadline_s)
    far.join(places)
    return far


def decoded(far: FarDecoding, media: str) -> Any:
    return asyncio.run(far.decode(Clip(id="c", truth="normal", media=media))).frames


def test_workers_that_are_lost_over_a_clip_are_no_fault_of_its_media() -> None:
    places = [place_of(Told({"look": None}))[0] for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        found = decoded(decoding(pool, *places), "clip.mp4")
    assert isinstance(found, MediaUnreachable)
    assert "2 workers were lost" in str(found)


def test_that_no_worker_is_left_for_a_question_is_no_fault_of_its_media(clip: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        recipe = Recipe(clip, SAMPLING, probe="blank")
        found = asyncio.run(decoding(pool).foresee(looking.decode(clip, SAMPLING), recipe))
    assert isinstance(found, MediaUnreachable)


def test_media_that_gives_no_frames_for_a_question_is_no_crash(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    model = WorkerModel(
        Assignment(f"{__name__}:Preparing", None, None, (), 1, "m", load_task("ghost-probing"), {}, SAMPLING)
    )
    said: Future[Any] = Future()
    model.take("question", 1, Recipe(str(broken), SAMPLING, most=3), said.set_result)
    assert isinstance(said.result(20), DecodeFailed)


@pytest.mark.parametrize("hangs", ["look", "load"])
def test_a_worker_that_hangs_over_a_clip_is_ended_at_the_deadline(hangs: str) -> None:
    worker = Told({hangs: ...})
    place, _ = place_of(worker)
    started = time.monotonic()
    with pytest.raises(Gone if hangs == "look" else Unavailable, match=r"deadline of 0\.05 s"):
        place.look(Wanted("clip.mp4"), 0.05)
    assert time.monotonic() - started < 20
    assert "deadline" in str(worker.ended)


def looked(clip: str, tmp_path: Path, probes: tuple[str, ...]) -> Looking:
    found = Looking(load_task("ghost-probing"), {}, SAMPLING, "m")
    for number in range(4):
        media = tmp_path / f"{number}{Path(clip).suffix}"
        media.write_bytes(Path(clip).read_bytes())
        found.look(Wanted(str(media), probes))
    return found


def test_frames_that_probes_make_count_as_those_that_a_worker_keeps(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = looking.decode(clip, SAMPLING).pixels.nbytes
    monkeypatch.setattr(looking, "_KEPT_BYTES", 4 * size)
    assert len(looked(clip, tmp_path, ())._kept) == 4
    assert len(looked(clip, tmp_path, ("blank",))._kept) == 2


def test_no_lock_outlives_the_clip_that_it_was_for(clip: str, tmp_path: Path) -> None:
    found = looked(clip, tmp_path, ())
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert isinstance(found.look(Wanted(str(tmp_path / "broken.mp4"))), DecodeFailed)
    wanted = Wanted(str(tmp_path / f"0{Path(clip).suffix}"))
    threads = [threading.Thread(target=found.look, args=[wanted]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found._busy == {}
