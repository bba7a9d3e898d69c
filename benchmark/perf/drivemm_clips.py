"""How much of the engine's own speed is left when real clips go through `bench run`, video decoding included.

    python benchmark/perf/drivemm_clips.py --media DIR --labels FILE --checkpoint DIR --clips 32 --json result.json
    python benchmark/perf/drivemm_clips.py --media DIR --labels FILE --checkpoint DIR --clips 192 --replicas 2

`bench run` is a process of its own, and is run twice: the second time, what the first has compiled and hashed is there.
Its time runs from the moment that the model is ready to the last line of the ledger. Then the engine answers the same
clips in the same batches, prepared beforehand, in this process. Where the folder holds fewer clips than asked for, more
are made from them, brighter by a step each, so that no two have a frame in common. A checkpoint of random weights of
the exact full shape is written where none is (17 GB).

With --replicas N, `bench run` answers them on N GPUs too, twice, and its speed is held against that of one GPU. Where
several measurements follow each other, --keep FOLDER makes the clips once, and --once leaves first runs out; --passes 0
leaves out the engine.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2] / name) for name in ("adapters", "benchmark")]
sys.path.insert(0, str(Path(__file__).parent))

from drivemm import forget
from drivemm_loading import write_checkpoint

from ghostbench import Request
from ghostbench.datasets.query import SplitQuery
from ghostbench.media.decode import decode
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import make_plan
from ghostbench_drivemm import DriveMM
from ghostbench_drivemm.adapter import DriveMMModel
from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.engine import generate_prepared


def make_dataset(media: Path, labels: Path, count: int, folder: Path) -> Path:
    """A dataset of `count` clips: the folder's own, then brighter ones made from them, under ids of their own."""
    with labels.open(encoding="utf-8-sig") as file:
        named = {Path(row["video_id"]).stem: row["ground_truth_label"] for row in csv.DictReader(file)}
    found = [clip for clip in sorted(media.glob("*.avi")) if clip.stem in named]
    if not found:
        raise SystemExit(f"no labelled clip in {media}")
    shutil.rmtree(folder / "clips", ignore_errors=True)
    (folder / "clips").mkdir(parents=True)
    rows, making = [], []
    with ThreadPoolExecutor() as threads:
        for number, clip in enumerate(islice(cycle(found), count)):
            name = clip.name if number < len(found) else f"images_1_{9000 + number}.avi"
            if number < len(found):
                # A link would lead out of the data root, where no media are read.
                shutil.copyfile(clip, folder / "clips" / name)
            else:
                making.append(threads.submit(brighter, clip, number // len(found), folder / "clips" / name))
            rows.append(f"{name},{named[clip.stem]}\n")
        for made in making:
            made.result()
    (folder / "labels.csv").write_text("video_id,ground_truth_label\n" + "".join(rows))
    (folder / "set.yaml").write_text("name: clips\nroot: clips\nlayout: files\nlabels: labels.csv\nsplits: {}\n")
    print(f"{count} clips, {len(making)} of them made from the {min(count, len(found))} given", flush=True)
    return folder / "set.yaml"


def brighter(clip: Path, by: int, target: Path) -> None:
    """The clip in the same coding with `by` added to every luma."""
    with av.open(str(clip)) as source, av.open(str(target), "w", format="avi") as sink:
        shown = source.streams.video[0]
        written = sink.add_stream("mpeg4", rate=shown.average_rate)
        written.width, written.height, written.pix_fmt = shown.width, shown.height, "yuv420p"
        written.bit_rate = shown.bit_rate or 4_000_000
        for frame in source.decode(shown):
            planes = frame.reformat(format="yuv420p").to_ndarray()
            luma = planes[: frame.height]
            np.add(np.minimum(luma, 255 - by), by, out=luma)
            changed = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            changed.pts, changed.time_base = frame.pts, frame.time_base
            sink.mux(written.encode(changed))
        sink.mux(written.encode())


class ReadyWatch(threading.Thread):
    """Notes when a run's manifest first says how long its model took to load: the moment it was ready."""

    def __init__(self, manifest: Path) -> None:
        super().__init__(daemon=True)
        self._manifest = manifest
        self.ready_at: float | None = None

    def run(self) -> None:
        """Look every 2 ms."""
        while self.ready_at is None:
            time.sleep(0.002)
            try:
                written = self._manifest.stat().st_mtime_ns
                state = json.loads(self._manifest.read_bytes())
            except (OSError, ValueError):
                continue
            if state["models"]["drivemm"]["load_s"] is not None:
                self.ready_at = written / 1e9


def bench_run(dataset: Path, settings: Sequence[str], folder: Path, name: str, replicas: int = 1) -> dict[str, Any]:
    """Run it; seconds from the model's readiness to the last ledger line, and the batches in the order computed."""
    run = folder / "results" / name
    watch = ReadyWatch(run / "manifest.json")
    watch.start()
    words = ["run", "--models", "drivemm", "--dataset", str(dataset), "--out", str(run.parent), "--run-id", name]
    words += ["--data-root", str(dataset.parent / "clips")]
    words += [word for setting in settings for word in ("--set", f"drivemm.{setting}")]
    words += ["--replicas", f"drivemm={replicas}"] if replicas > 1 else []
    started, began = time.perf_counter(), time.time()
    done = subprocess.run(
        [sys.executable, "-m", "ghostbench", *words, "--quiet"], capture_output=True, text=True, check=False
    )
    whole = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    ended = (run / "attempts.jsonl").stat().st_mtime_ns / 1e9
    if watch.ready_at is None:
        raise SystemExit("the run never said that its model was ready")
    outcomes = {outcome: sum(line["outcome"] == outcome for line in lines) for outcome in {x["outcome"] for x in lines}}
    model = json.loads((run / "manifest.json").read_bytes())["models"]["drivemm"]
    batches: list[list[Any]] = []
    rest = sorted(lines, key=lambda line: str(line["worker"]))
    while rest:
        size = rest[0]["batch_size"]
        batches.append(rest[:size])
        rest = rest[size:]
    return {
        "lines": lines,
        "batches": [[line["clip"] for line in batch] for batch in batches],
        "batch_sizes": [batch[0]["batch_size"] for batch in batches],
        "wall_s": ended - watch.ready_at,
        "whole_s": whole,
        "before_ready_s": watch.ready_at - began,
        "after_last_line_s": began + whole - ended,
        "load_s": model["load_s"],
        "warm_up_s": model["facts"]["warm_up_s"],
        "outcomes": outcomes,
        "positions": statistics.mean(line["usage"]["input_tokens"] for line in lines),
        "output_tokens": statistics.mean(line["usage"]["output_tokens"] for line in lines),
        "stages_s": {
            name: statistics.mean(line["stages"][name] or 0.0 for line in lines) for name in lines[0]["stages"]
        },
    }


def engine_alone(
    dataset: Path, settings: Sequence[str], sizes: Sequence[int], order: Sequence[str], passes: int
) -> dict[str, Any]:
    """The same clips in batches of the same sizes, prepared beforehand; seconds of the median of so many passes."""
    chosen = tuple(f"drivemm.{setting}" for setting in settings)
    query = SplitQuery(dataset=str(dataset), data_root=str(dataset.parent / "clips"))
    plan = make_plan(Options(models="drivemm", query=query, settings=chosen))
    model = plan.rows[0].configured.model
    assert isinstance(model, DriveMMModel)
    model.load()
    model.warm_up()
    by_id = {clip.id: clip for clip in plan.split.clips}

    def request(clip: str) -> Request:
        media = by_id[clip].media
        assert media is not None
        frames = decode(media, plan.sampling)
        asked = Request(
            id=clip, prompt=plan.task.build(frames), frames=frames, seed=0, level=0, level_settings={},
            write_answer=plan.task.write,
        )  # fmt: skip
        return dataclasses.replace(asked, prepared=model.prepare(asked))

    with ThreadPoolExecutor() as threads:
        requests = list(threads.map(request, order))
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    batches = [requests[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    walls = []
    loaded = model._model
    for _ in range(1 + passes):
        forget(loaded)
        started = time.perf_counter()
        for batch in batches:
            generate_prepared(loaded, [r.prepared.prepared for r in batch], model.options(batch, loaded))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        walls.append(time.perf_counter() - started)
    model.close()
    return {"first_pass_s": walls[0], "passes_s": walls[1:], "wall_s": statistics.median(walls[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of drivemm")
    parser.add_argument("--replicas", type=int, default=1, help="as many GPUs as are held against one")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the clips lie for later measurements")
    parser.add_argument("--once", action="store_true", help="caches are warm already: one run of each kind")
    parser.add_argument("--passes", type=int, default=3, help="of the engine, after one that warms it up")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not (chosen.checkpoint / "config.json").is_file():
        started = time.perf_counter()
        pages = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
        model = DriveMM.from_random(DriveMMConfig.full_shape(), corpus=[page.read_text() for page in pages])
        write_checkpoint(model, chosen.checkpoint)
        del model
        torch.cuda.empty_cache()
        # What is still being written would hold up the ledger.
        os.sync()
        print(f"checkpoint written in {time.perf_counter() - started:.1f} s", flush=True)
    settings = [f"checkpoint={chosen.checkpoint}", *chosen.set]
    with tempfile.TemporaryDirectory() as scratch:
        dataset = (chosen.keep or Path(scratch)) / f"set-{chosen.clips}" / "set.yaml"
        if not dataset.is_file():
            make_dataset(chosen.media, chosen.labels, chosen.clips, dataset.parent)

        def runs(named: str, replicas: int) -> list[dict[str, Any]]:
            names = [f"{named}-second"] if chosen.once else [f"{named}-first", f"{named}-second"]
            return [bench_run(dataset, settings, Path(scratch), name, replicas) for name in names]

        found = runs("one", 1)
        many = runs("several", chosen.replicas) if chosen.replicas > 1 else []
        through, several = found[-1], many[-1] if many else None
        order = [clip for batch in through["batches"] for clip in batch]
        alone = None
        if chosen.passes:
            alone = engine_alone(dataset, settings, through["batch_sizes"], order, chosen.passes)
    lines = through["lines"]
    for run in (*found, *many):
        run.pop("lines")
    result = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "clips": chosen.clips,
        "settings": chosen.set,
        "first bench run": found[0],
        "bench run": through,
        "engine": alone,
        "share": None if alone is None else alone["wall_s"] / through["wall_s"],
        "replicas": chosen.replicas,
        "bench run on all": several,
        "all runs": [*found, *many],
    }
    if chosen.json:
        chosen.json.write_text(json.dumps({**result, "lines": lines}, indent=1))
    for name, run in (("first bench run", found[0]), ("last bench run", through)):
        print(
            f"{name}: {run['wall_s']:.2f} s = {chosen.clips / run['wall_s']:.2f} clips/s, ready to last line; whole "
            f"process {run['whole_s']:.2f} s = {run['whole_s'] / run['wall_s']:.2f} times: "
            f"{run['before_ready_s']:.2f} s before (load {run['load_s']:.2f} s, warming up in it {run['warm_up_s']}), "
            f"{run['after_last_line_s']:.2f} s after; batches {run['batch_sizes']}, {run['positions']:.0f} positions, "
            f"{run['output_tokens']:.0f} tokens, {run['outcomes']}"
        )
    if alone is not None:
        print(
            f"engine: {alone['wall_s']:.2f} s = {chosen.clips / alone['wall_s']:.2f} clips/s, first pass "
            f"{alone['first_pass_s']:.2f} s\n"
            f"share of the engine's own speed: {result['share']:.1%}",
            flush=True,
        )
    if several is not None:
        print(
            f"{chosen.replicas} GPUs: {several['wall_s']:.2f} s = {chosen.clips / several['wall_s']:.2f} clips/s, "
            f"{through['wall_s'] / several['wall_s']:.2f} times one; whole process {several['whole_s']:.2f} s, "
            f"{several['before_ready_s']:.2f} s before; batches {several['batch_sizes']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
