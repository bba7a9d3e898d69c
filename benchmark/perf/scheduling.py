"""Whether one driver is enough for 1,000 workers and 1,000,000 clips: measured where it can be, simulated beyond.

    python benchmark/perf/scheduling.py [--attempts 20000] [--workers 1000] [--clips 1000000] [--json FILE]

driver      the real driver (feeding, settler, rules, dispatcher, ledger on disk) over so many workers that answer at
            once, two in a hundred being lost: what an attempt costs it, in time that passed and in time of the
            processor, which others on the machine do not lengthen. Frames are elsewhere, as on a cluster.
ledger      the ledger by itself: lines a second with as many writers as there are workers, and what one fsync takes.
cluster     the clips simulated event by event: lognormal times of a batch, a hundredth of the batches lost with their
            worker, which is away for a minute then. A batch's attempts pass one after the other through the driver,
            each for as long as it was measured to take the processor, and its worker is idle until it is through; what
            a worker takes is decided by the run's own rule. Held against the same cluster with a driver that takes no
            time, and told with the pace at which the driver would be the limit.

The figures are those of the machine as it is: its load is printed beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import heapq
import io
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from ghostbench.errors import WorkerLost
from ghostbench.folder.ledger import Ledger
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.log import LOGGER
from ghostbench.folder.place import RunFolder
from ghostbench.media.far import Facts, FarFrames, Recipe
from ghostbench.media.sampling import parse_sampling
from ghostbench.models import LocalModel, ModelSpec, NoSettings
from ghostbench.outcomes import Outcome
from ghostbench.plugins.choose import Choice
from ghostbench.question import Question
from ghostbench.records import Clip, Reply, Request, Split, Verdict
from ghostbench.redact import Redactor
from ghostbench.running.ask.decoding import Decoded
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.place import Answered, InThread, Prepared
from ghostbench.running.ask.questions import foresee
from ghostbench.running.ask.seat import Seat
from ghostbench.running.ask.sharing_out import Pace, to_take
from ghostbench.running.ask.units import ModelState
from ghostbench.running.ask.window import Coming
from ghostbench.running.feeding import Feeding
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import Plan
from ghostbench.running.plan.replicas import Replica
from ghostbench.running.resume.left import Left
from ghostbench.running.settle.budget import Budget
from ghostbench.running.settle.making import RequestMaker
from ghostbench.running.settle.recorder import Recorder
from ghostbench.running.settle.settler import Settler
from ghostbench.running.watch.progress import Progress
from ghostbench.tasks.load import load_task

LOST = 0.02


class Nobody(LocalModel):
    """Never asked: the seats answer."""

    def prepare(self, request: Request) -> Any:
        return None

    def answer(self, requests: Sequence[Request]) -> Sequence[Reply]:
        raise AssertionError


class AtOnce(Seat[Any]):
    """A worker that answers in no time, or is lost."""

    draw = random.Random(1)

    async def load(self) -> Mapping[str, Any]:
        return {}

    async def prepare(self, request: Request, stopped: Any) -> Prepared:
        await asyncio.sleep(0)
        return Prepared(None, None, 0.0, worker=self.place.worker)

    async def answer(self, requests: Sequence[Request]) -> Answered:
        await asyncio.sleep(0)
        if self.draw.random() < LOST:
            lost = [WorkerLost("the worker was lost while this was computed")] * len(requests)
            return Answered(lost, 0.0, [()] * len(requests), worker=self.place.worker, lost=True)
        replies = [Reply(text=request.write_answer(Verdict(grade="normal"))) for request in requests]
        return Answered(replies, 0.0, [()] * len(requests), worker=self.place.worker)

    async def close(self) -> None:
        return None


def a_plan(workers: int, clips: int) -> Plan:
    """A run over so many clips of one model with so many replicas."""
    spec = ModelSpec(name="nobody", load="scheduling:Nobody", kind="local", summary="")
    configured = ConfiguredModel(Choice("nobody", spec, None), NoSettings(), Nobody(NoSettings()))
    configured.replicas = tuple(Replica(f"nobody#{number}", NoSettings()) for number in range(1, workers + 1))
    named = tuple(Clip(id=f"clip-{number:07}", truth="normal", media=f"/{number}.avi") for number in range(clips))
    split = Split(dataset="none", name="all", clips=named, data_root="/", labels_sha256="", split_sha256="")
    task = load_task("ghost-probing")
    return Plan(
        options=Options(models="nobody", on="ray"),
        run_id="scheduling",
        split=split,
        task=task,
        sampling=parse_sampling(task.sampling),
        rows=(Contender(name="nobody", configured=configured),),
        probes=(),
        sustain=None,
    )


async def driven(plan: Plan, folder: RunFolder, progress: Progress, models: Sequence[LocalModel] | None = None) -> None:
    """All clips of the plan through the driver, each with frames that are elsewhere.

    models : one for each replica, in threads; None: workers that answer at once.
    """
    configured, row = plan.configured_models[0], plan.rows[0].name
    left = Left(plan, {})
    state = ModelState(configured)
    pool = ThreadPoolExecutor(1 if models is None else 4)
    assert isinstance(configured.model, LocalModel)
    living = models or [configured.model] * len(configured.replicas)
    places = [InThread(model, replica.name) for model, replica in zip(living, configured.replicas, strict=True)]
    dispatcher = LocalDispatcher(places, pool)
    if models is None:
        dispatcher._seats = [AtOnce(seat.place, pool) for seat in dispatcher._seats]
        dispatcher._named = {seat.place.worker: seat for seat in dispatcher._seats}
    await dispatcher.load()
    state.dispatcher = dispatcher
    ledger = Ledger(folder.attempts, Redactor())
    times_s = tuple(float(number) for number in range(10))
    facts = Facts((10, 660, 1584, 3), tuple(range(10)), times_s, 10.0, "none", "0" * 64)
    seen = FarFrames(facts, Recipe("", plan.sampling))
    asked = Question.about(plan.task.build(seen), seen)

    @contextlib.asynccontextmanager
    async def lent(clip: Clip, coming: Coming) -> AsyncIterator[Decoded]:
        coming(True)
        frames = FarFrames(facts, Recipe(clip.media or "", plan.sampling), None)
        foresee(frames, {None: (replace(asked, frames=frames),)}, ())
        yield Decoded(frames, 0.0)

    settler = Settler(
        maker=RequestMaker(plan.task, 0, limited=False, far=plan.sampling),
        recorder=Recorder(task=plan.task, ledger=ledger, progress=progress, max_attempts=6),
        budget=Budget(None),
        media=lent,
    )
    await Feeding(plan, folder, {configured: state}, left, [], 16).ask_trusted(settler)
    assert progress.counts()[row][0] == len(plan.split.clips)
    await dispatcher.close()
    ledger.close()
    pool.shutdown()


def measured_driver(workers: int, clips: int) -> dict[str, float]:
    """What an attempt costs the driver, seconds."""
    plan = a_plan(workers, clips)
    with tempfile.TemporaryDirectory() as where:
        folder = RunFolder.at(Path(where), "scheduling")
        folder.create()
        console = Console(file=io.StringIO())
        with Progress(console, ["nobody"], clips, quiet=True) as progress:
            began, used = time.perf_counter(), time.process_time()
            asyncio.run(driven(plan, folder, progress))
            passed, used = time.perf_counter() - began, time.process_time() - used
        lines = folder.attempts.read_bytes().count(b"\n")
        folder.close()
    return {
        "attempts": lines,
        "attempts_per_s": lines / passed,
        "attempt_s": passed / lines,
        "processor_s": used / lines,
    }


def measured_ledger(writers: int, lines: int) -> dict[str, float]:
    """Lines a second, and what one fsync takes, seconds."""
    line = AttemptLine(
        model="nobody",
        clip="clip-0000000",
        repeat=0,
        attempt=1,
        fallback_level=0,
        outcome=Outcome.ANSWERED,
        error=None,
        started_at="2026-01-01T00:00:00.000Z",
        raw="x" * 300,
        frames_sha256="0" * 64,
        prompt_sha256="0" * 64,
    )

    async def write(path: Path) -> None:
        ledger = Ledger(path, Redactor())

        async def one(count: int) -> None:
            for _ in range(count):
                await ledger.append(line)

        await asyncio.gather(*(one(lines // writers) for _ in range(writers)))
        ledger.close()

    with tempfile.TemporaryDirectory() as where:
        began = time.perf_counter()
        asyncio.run(write(Path(where) / "attempts.jsonl"))
        passed = time.perf_counter() - began
        number = os.open(Path(where) / "one", os.O_CREAT | os.O_WRONLY)
        alone = time.perf_counter()
        for _ in range(50):
            os.write(number, b"x" * 1000)
            os.fsync(number)
        alone = (time.perf_counter() - alone) / 50
        os.close(number)
    return {"lines_per_s": writers * (lines // writers) / passed, "fsync_s": alone}


@dataclass(frozen=True)
class Shape:
    """A cluster. mean_s : of a clip, within a batch of so many at most; sigma of the lognormal."""

    workers: int
    clips: int
    batch: int
    mean_s: float
    sigma: float = 0.8
    lost: float = 0.01
    away_s: float = 60.0


def simulated(shape: Shape, attempt_s: float, seed: int = 1) -> dict[str, float]:
    """When the last clip is settled, seconds, with a driver that takes so long for an attempt; and what was done."""
    draw = random.Random(seed)
    drift = -(shape.sigma**2) / 2
    paces = [Pace() for _ in range(shape.workers)]
    waiting, free_at, work_s, attempts, last = shape.clips, 0.0, 0.0, 0, 0.0
    # (moment, worker, batch in hand, its number, whether it is lost); a worker without a batch asks for one.
    events: list[tuple[float, int, int, int, bool]] = [(0.0, worker, 0, 0, False) for worker in range(shape.workers)]
    idle: list[int] = []
    while events:
        now, worker, size, number, lost = heapq.heappop(events)
        if size:
            attempts += size
            free_at = max(now, free_at) + size * attempt_s
            paces[worker].end(number, now, counts=not lost)
            if lost:
                # What was lost is asked again, by those that had nothing left to do.
                waiting += size
                for other in idle:
                    heapq.heappush(events, (free_at, other, 0, 0, False))
                idle.clear()
            last = max(last, free_at)
            heapq.heappush(events, ((now + shape.away_s) if lost else free_at, worker, 0, 0, False))
            continue
        if not waiting:
            idle.append(worker)
            continue
        take = min(waiting, to_take(paces[worker], paces, shape.batch, waiting, now))
        took_s = take * shape.mean_s * draw.lognormvariate(drift, shape.sigma)
        is_lost = draw.random() < shape.lost
        waiting -= take
        work_s += took_s
        heapq.heappush(events, (now + took_s, worker, take, paces[worker].begin(take, now), is_lost))
    return {"ended_s": last, "attempts": attempts, "busy": work_s / last / shape.workers}


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    LOGGER.setLevel(logging.CRITICAL)
    found: dict[str, Any] = {"load": os.getloadavg(), "cores": os.cpu_count()}
    found["driver"] = driver = measured_driver(given.workers, given.attempts)
    found["ledger"] = ledger = measured_ledger(given.workers, given.attempts)
    print(f"load {found['load'][0]:.1f} on {found['cores']} cores")
    print(
        f"driver, {given.workers} workers: {driver['attempts_per_s']:.0f} attempts/s; "
        f"{1000 * driver['attempt_s']:.2f} ms an attempt, {1000 * driver['processor_s']:.2f} ms of the processor"
    )
    print(f"ledger: {ledger['lines_per_s']:.0f} lines/s; one fsync by itself {1000 * ledger['fsync_s']:.2f} ms")
    found["clusters"] = []
    for batch, mean_s in ((1, 10.0), (1, 2.0), (16, 2.0)):
        shape = Shape(given.workers, given.clips, batch, mean_s)
        with_driver = simulated(shape, driver["processor_s"])
        without = simulated(shape, 0.0)
        rate = with_driver["attempts"] / with_driver["ended_s"]
        row = {
            "batch": batch,
            "clip_s": shape.mean_s,
            "hours": with_driver["ended_s"] / 3600,
            "of_the_ideal": without["ended_s"] / with_driver["ended_s"],
            "driver_busy": rate * driver["processor_s"],
            "attempts_per_s": rate,
            "workers_busy": with_driver["busy"],
        }
        found["clusters"].append(row)
        print(
            f"{given.clips} clips on {given.workers} workers, batches of {batch}, {shape.mean_s:g} s a clip: "
            f"{row['hours']:.2f} h, {row['of_the_ideal']:.1%} of a driver that takes no time; driver busy "
            f"{row['driver_busy']:.1%}, workers {row['workers_busy']:.1%}, {rate:.0f} attempts/s"
        )
    limit = given.workers * driver["processor_s"]
    print(f"the driver is the limit where {given.workers} workers take less than {limit:.2f} s a clip on average")
    if given.json:
        given.json.write_text(json.dumps(found | {"limit_clip_s": limit}, indent=1))


if __name__ == "__main__":
    main()
