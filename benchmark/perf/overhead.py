"""What the harness itself costs a sample: no-op models over thousands of clips without media.

Runs `bench run` as a process at two sizes with a model that does nothing, as a reference model (inline) and as a local
model (through the batching threads). Prints, for each: milliseconds a sample in the run itself (from the manifest's
start to its end: asking, ledger with fsync, predictions), CPU time and wall time of the whole command, report included,
and resident memory while the ledger grows. Each is the slope between the two sizes, so that start-up does not count.

    python benchmark/perf/overhead.py [--sizes 1000,10000]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import psutil

PLUGIN = """
from ghostbench import LocalModel, ModelSpec, ReferenceModel, Reply, Verdict, hookimpl

class Reference(ReferenceModel):
    def answer(self, clip, request):
        return Reply(text=request.write_answer(Verdict(grade="normal")))

class Local(LocalModel):
    batch_size = 16
    def answer(self, requests):
        return [Reply(text=r.write_answer(Verdict(grade="normal"))) for r in requests]

@hookimpl
def register_models(register):
    for name, kind, cls in (("no-op-reference", "reference", "Reference"), ("no-op-local", "local", "Local")):
        register(ModelSpec(name=name, load=f"no_op:{cls}", kind=kind, summary="nothing", needs_frames=False))
"""


def prepare(folder: Path, clips: int) -> Path:
    """A dataset of that many labels and no media, and the plugin beside it."""
    (folder / "no_op.py").write_text(PLUGIN)
    info = folder / "no_op-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: no_op\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ghostbench]\nno_op = no_op\n")
    rows = "".join(f"clip_{i:06},{'ghost probing' if i % 3 == 0 else 'none'},\n" for i in range(clips))
    (folder / "labels.csv").write_text("video_id,ground_truth_label,remark\n" + rows)
    (folder / "set.yaml").write_text("name: set\nlabels: labels.csv\n")
    return folder / "set.yaml"


def measure(model: str, clips: int) -> dict[str, float]:
    """Seconds of the run itself and of the whole command, and peak resident bytes by phase."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = prepare(folder, clips)
        words = ["-m", "ghostbench", "run", "--models", model, "--dataset", str(dataset), "--quiet"]
        started, cpu_before = time.perf_counter(), sum(os.times()[2:4])
        process = subprocess.Popen(
            [sys.executable, *words, "--run-id", "r"], cwd=folder, env={**os.environ, "PYTHONPATH": name}
        )
        samples: list[tuple[int, int]] = []
        watcher = threading.Thread(target=watch, args=(process.pid, folder / "results/r/attempts.jsonl", samples))
        watcher.start()
        if process.wait():
            raise SystemExit("the run failed")
        total = time.perf_counter() - started
        watcher.join()
        manifest = json.loads((folder / "results/r/manifest.json").read_text())
        stamps = [datetime.fromisoformat(manifest[k]) for k in ("started_at", "finished_at")]
        asking = [rss for rss, size in samples if size]
        return {
            "run_s": (stamps[1] - stamps[0]).total_seconds(),
            "command_s": total,
            "cpu_s": sum(os.times()[2:4]) - cpu_before,
            "rss_while_asking_first": asking[len(asking) // 10] if asking else 0,
            "rss_while_asking_last": asking[-1] if asking else 0,
        }


def watch(pid: int, ledger: Path, samples: list[tuple[int, int]]) -> None:
    """Sample resident memory every 20 ms while the ledger grows."""
    before = -1
    while True:
        try:
            process = psutil.Process(pid)
            # The run goes on in a child, which the process that was started watches over.
            rss = max(p.memory_info().rss for p in (process, *process.children()))
        except psutil.Error:
            return
        size = ledger.stat().st_size if ledger.exists() else 0
        if size != before:
            samples.append((rss, size))
        before = size
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000", help="two numbers of clips")
    small, large = (int(size) for size in parser.parse_args().sizes.split(","))
    for model in ("no-op-reference", "no-op-local"):
        few, many = measure(model, small), measure(model, large)
        result = {
            "model": model,
            "samples": [small, large],
            "overhead_ms": 1e3 * (many["run_s"] - few["run_s"]) / (large - small),
            "cpu_ms": 1e3 * (many["cpu_s"] - few["cpu_s"]) / (large - small),
            "command_ms": 1e3 * (many["command_s"] - few["command_s"]) / (large - small),
            "rss_mib_start_of_asking": many["rss_while_asking_first"] / 2**20,
            "rss_mib_end_of_asking": many["rss_while_asking_last"] / 2**20,
        }
        print(json.dumps(result))
    print(
        f"maximum resident size of any child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
