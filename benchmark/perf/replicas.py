"""How much two replicas answer beside one, and how evenly they end: the run's own scheduler over models that sleep.

    python benchmark/perf/replicas.py [--clips 192] [--batches 64,128,192] [--scale 0.25] [--json FILE]

A batch takes a fixed time and a time for each of its clips, as DriveMM's do on an H100 (docs/drivemm.md: 112 clips in
13.2 s, of which some 1.6 s are 260 readings of the weights whatever the batch), or the second alone. Feeding, settling,
ledger and sharing out are the run's; replicas are threads. Told are the times one replica and two take, beside the best
division that there is, and two of which the second takes half as long again for everything. No GPU is needed; all times
are scaled, so that what the run itself costs counts for more than it would.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent))

from scheduling import a_plan, driven

from ghostbench.folder.log import LOGGER
from ghostbench.folder.place import RunFolder
from ghostbench.models import LocalModel, NoSettings
from ghostbench.records import Reply, Request, Verdict
from ghostbench.running.watch.progress import Progress

SLOWER = 1.5


@dataclass(frozen=True)
class Costs:
    """What a batch takes, seconds."""

    name: str
    fixed_s: float
    clip_s: float

    def batches_s(self, clips: int, most: int, slower: float = 1.0) -> float:
        """What so many clips take a replica, in as few batches as can be."""
        return slower * (math.ceil(clips / most) * self.fixed_s + clips * self.clip_s)


COSTS = (Costs("a time for each clip", 0.0, 0.1175), Costs("DriveMM's", 1.6, 0.103))


@dataclass
class Sleeper(LocalModel):
    """Takes as long as it is told. batches : when each began and ended, and its size."""

    size: int
    fixed_s: float
    clip_s: float
    batches: list[tuple[float, float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(NoSettings())

    @property
    def batch_size(self) -> int:
        return self.size

    def prepare(self, request: Request) -> Any:
        return None

    def answer(self, requests: Sequence[Request]) -> Sequence[Reply]:
        began = time.perf_counter()
        time.sleep(self.fixed_s + len(requests) * self.clip_s)
        self.batches.append((began, time.perf_counter(), len(requests)))
        return [Reply(text=request.write_answer(Verdict(grade="normal"))) for request in requests]


@dataclass(frozen=True)
class Took:
    """A run. seconds : from the first batch's beginning to the last one's end. apart_s : between the replicas' ends."""

    seconds: float
    apart_s: float
    batches: list[list[int]]


def run(clips: int, models: Sequence[Sleeper]) -> Took:
    """All clips answered by these replicas, through the run's own scheduler."""
    plan = a_plan(len(models), clips)
    with tempfile.TemporaryDirectory() as where:
        folder = RunFolder.at(Path(where), "replicas")
        folder.create()
        with Progress(Console(file=io.StringIO()), ["nobody"], clips, quiet=True) as progress:
            asyncio.run(driven(plan, folder, progress, models))
        folder.close()
    began = min(model.batches[0][0] for model in models)
    ends = [model.batches[-1][1] for model in models]
    sizes = [[size for _, _, size in model.batches] for model in models]
    return Took(max(ends) - began, max(ends) - min(ends), sizes)


def best_s(costs: Costs, clips: int, most: int, slower: Sequence[float]) -> float:
    """The least time in which one replica, or two, can answer them, seconds."""
    if len(slower) == 1:
        return costs.batches_s(clips, most, slower[0])
    first, second = slower
    return min(
        max(costs.batches_s(share, most, first), costs.batches_s(clips - share, most, second))
        for share in range(clips + 1)
    )


def main() -> None:
    """Run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--batches", default="64,128,192")
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    LOGGER.setLevel(logging.CRITICAL)
    print(
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {given.clips} clips, times scaled by {given.scale:g}"
    )
    rows: list[dict[str, Any]] = []
    for costs in (Costs(each.name, each.fixed_s * given.scale, each.clip_s * given.scale) for each in COSTS):
        for most in map(int, given.batches.split(",")):
            told, alone = [], 0.0
            for slower in ((1.0,), (1.0, 1.0), (1.0, SLOWER)):
                models = [Sleeper(most, costs.fixed_s * each, costs.clip_s * each) for each in slower]
                took = run(given.clips, models)
                alone = alone or took.seconds
                best = best_s(costs, given.clips, most, (1.0,)) / best_s(costs, given.clips, most, slower)
                rows.append({"costs": costs.name, "most": most, "slower": slower, "best": best, **asdict(took)})
                words = " beside ".join(" ".join(map(str, sizes)) for sizes in took.batches)
                if len(slower) > 1:
                    kind = "two" if slower[1] == 1.0 else f"one and one {SLOWER:g} times as slow"
                    told.append(
                        f"  {kind}: {alone / took.seconds:.2f} times one ({best:.2f} at best), ends "
                        f"{took.apart_s / took.seconds:.1%} apart; batches {words}"
                    )
                else:
                    told.append(
                        f"{costs.name}, at most {most} a batch; one: {took.seconds / given.scale:.1f} s ({words})"
                    )
            print("\n".join(told), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
