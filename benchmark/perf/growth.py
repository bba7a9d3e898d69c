"""What each command needs as a run grows: processor time and peak memory of run, verify, report, compare and view.

Five models that answer at once, at length (600 characters, grades' probabilities, some failures), over clips without
media, at each size; every command is a process of its own. Prints one JSON line a command and size: `cpu_s` of the
process and those it waited for, `peak_mib` resident of the largest of them. For `view` that is a server that was asked
for the list, the run, what its clips are chosen by and one clip.

    python benchmark/perf/growth.py [--sizes 10000,50000] [--only run,verify]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
from overhead import prepare

PLUGIN = """
import random
from ghostbench import ModelSpec, ReferenceModel, Reply, Verdict, hookimpl

GRADES = ("ghost_probing", "potential_ghost_probing", "normal")

class Model(ReferenceModel):
    def answer(self, clip, request):
        rng = random.Random(f"{type(self).__name__} {clip.id}")
        score = rng.betavariate(3, 2) if clip.truth == "ghost_probing" else rng.betavariate(2, 3)
        grade = GRADES[0] if score > 0.6 else GRADES[1] if score > 0.5 else GRADES[2]
        verdict = Verdict(grade=grade, event_time_s=2.0 if grade != "normal" else None, evidence="made up " * 20)
        text = "no answer" if rng.random() < 0.02 else "I see a road. " * 30 + request.write_answer(verdict)
        rest = (1 - score) / 2
        return Reply(text=text, grade_probabilities=dict(zip(GRADES, (score, rest, rest))))

A, B, C, D, E = (type(name, (Model,), {}) for name in "ABCDE")

@hookimpl
def register_models(register):
    for name in "ABCDE":
        register(ModelSpec(name=f"model-{name}", load=f"growing:{name}", kind="reference", summary="nothing",
                           needs_frames=False))
"""
MODELS = ",".join(f"model-{name}" for name in "ABCDE")
COMMANDS = ("run", "verify", "report", "compare", "view")


def bench(folder: Path, *words: str) -> dict[str, float]:
    """What one command needed. Ends the script where it failed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ghostbench", *words, "--quiet"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"bench {' '.join(words)} failed")
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


def view(folder: Path) -> dict[str, float]:
    """What the viewer needed to show the run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ghostbench", "view", "results", "--no-browser"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        link = next(each[0] for line in process.stdout if (each := re.search(r"http://\S+token=\S+", line)))
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(link).read()
        for path in ("runs", "runs/r", "runs/r/index", "runs/r/clip?clip=clip_000042"):
            browser.open(urllib.parse.urljoin(link, f"/api/{path}"), timeout=300).read()
        times = psutil.Process(process.pid).cpu_times()
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        return {"cpu_s": times.user + times.system, "peak_mib": int(peak[1]) / 1024}
    finally:
        process.terminate()
        process.wait()


def measure(clips: int, only: set[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Each command's needs. The run is made in any case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = prepare(folder, clips)
        (folder / "growing.py").write_text(PLUGIN)
        (folder / "no_op-1.dist-info" / "entry_points.txt").write_text("[ghostbench]\ngrowing = growing\n")
        yield "run", bench(folder, "run", "--models", MODELS, "--dataset", str(dataset), "--run-id", "r")
        if "verify" in only:
            yield "verify", bench(folder, "verify", "results/r", "--labels", "labels.csv")
        if "report" in only:
            yield "report", bench(folder, "report", "results/r")
        if "view" in only:
            yield "view", view(folder)
        if "compare" in only:
            shutil.copytree(folder / "results/r", folder / "results/s")
            yield "compare", bench(folder, "compare", "results/r", "results/s", "--out", "compared")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10000,50000", help="numbers of clips")
    parser.add_argument("--only", default=",".join(COMMANDS), help="commands")
    options = parser.parse_args()
    for size in map(int, options.sizes.split(",")):
        for command, needs in measure(size, set(options.only.split(","))):
            rounded = {name: round(value, 1) for name, value in needs.items()}
            print(json.dumps({"clips": size, "command": command, **rounded}), flush=True)


if __name__ == "__main__":
    main()
