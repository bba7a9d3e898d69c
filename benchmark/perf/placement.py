"""What it costs that a local model lives in a process of its own, over a thread of the run's process.

Run with `python benchmark/perf/placement.py [--samples N]`. A model is asked about 10 frames of 1584 × 660 pixels that
lie where the decoder puts them: one sample after the other, and 16 together. The two places alternate, so that a busy
machine troubles both alike. Prints the median of the time that passed for a sample, and the time of the processors that
both processes took for it, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import psutil

from ghostbench.frames import Frames
from ghostbench.media.shared import for_other_processes, new_pixels
from ghostbench.models import LocalModel
from ghostbench.records import Clip, Reply, Request, Verdict
from ghostbench.running.ask.local import LocalDispatcher
from ghostbench.running.ask.places.in_worker import InWorker, Worker
from ghostbench.running.ask.places.place import InThread, Place
from ghostbench.running.ask.places.process import WorkerProcess
from ghostbench.running.ask.places.worker_model import Assignment
from ghostbench.tasks.load import load_task

SHAPE = (10, 660, 1584, 3)
CLIP = Clip(id="x", truth="normal")


class NoOp(LocalModel):
    """Answers without looking."""

    batch_size = 16

    def answer(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """The same for all."""
        return [Reply(text=request.write_answer(Verdict(grade="normal"))) for request in requests]


class Looking(NoOp):
    """Answers after a look at every pixel, prepared ahead."""

    def prepare(self, request: Request) -> Any:
        """The brightness."""
        assert request.frames is not None
        return int(request.frames.pixels.max())


def frames(shared: bool, number: int) -> Frames:
    """Frames as a decoder leaves them."""
    with for_other_processes() if shared else nullcontext():
        pixels = new_pixels(SHAPE)
    pixels[:] = number % 251
    times_s = tuple(float(position) for position in range(SHAPE[0]))
    facts = {"indices": tuple(range(SHAPE[0])), "duration_s": 10.0, "decoder": "none", "sha256": f"{number:064d}"}
    return Frames(pixels, times_s=times_s, **facts)  # type: ignore[arg-type]


def requests(seen: Frames, count: int) -> Iterator[Request]:
    """So many requests about these frames."""
    task = load_task("ghost-probing")
    for number in range(count):
        yield Request(
            id=str(number),
            prompt=task.build(seen),
            frames=seen.private(),
            seed=0,
            level=0,
            level_settings={},
            write_answer=task.write,
        )


@contextmanager
def places(kind: type[LocalModel]) -> Iterator[dict[str, Place]]:
    """The model in a thread, and in a process."""
    starter = ThreadPoolExecutor(1, "starter")
    assignment = Assignment(f"placement:{kind.__name__}", None, None, tuple(sys.path), 4)

    def start(again: bool) -> Worker:
        return starter.submit(WorkerProcess, "no-op", assignment).result()

    process = InWorker(kind(None), "no-op", start)
    try:
        yield {"thread": InThread(kind(None)), "process": process}
    finally:
        process.close()
        starter.shutdown()


def processor_s() -> float:
    """Seconds of processors that this process and its children have taken, the living ones too."""
    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))


async def asked(place: Place, seen: Frames, samples: int, together: int) -> tuple[list[float], float]:
    """The seconds that passed for a sample, of each round of so many together; and of processors, on average."""
    pool = ThreadPoolExecutor(4, "prepare")
    dispatcher = LocalDispatcher([place], pool)
    await dispatcher.load()
    passed = []
    used = processor_s()
    for _ in range(samples // together):
        round_of = list(requests(seen, together))
        dispatcher.expect(together)
        started = time.perf_counter()
        await asyncio.gather(*(dispatcher.ask(CLIP, request, expected=True) for request in round_of))
        passed.append((time.perf_counter() - started) / together)
    used = processor_s() - used
    for server in dispatcher._servers:
        server.cancel()
    pool.shutdown()
    return passed, used / samples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=256)
    samples: int = parser.parse_args().samples
    for kind in (NoOp, Looking):
        with places(kind) as both:
            for together in (1, 16):
                passed: dict[str, list[float]] = {name: [] for name in both}
                used: dict[str, list[float]] = {name: [] for name in both}
                for number in range(4):
                    for name, place in both.items():
                        seen = frames(name == "process", number)
                        times, average = asyncio.run(asked(place, seen, samples // 4, together))
                        passed[name] += times
                        used[name].append(average)
                waited = {name: 1000 * statistics.median(times) for name, times in passed.items()}
                spent = {name: 1000 * statistics.mean(times) for name, times in used.items()}
                print(
                    f"{kind.__name__}, {together} together, ms a sample: passed {waited['thread']:.2f} in a thread, "
                    f"{waited['process']:.2f} in a process; processors {spent['thread']:.2f} and "
                    f"{spent['process']:.2f}: {spent['process'] - spent['thread']:+.2f}"
                )


if __name__ == "__main__":
    main()
