"""How long `bench run --resume` takes until it asks again, for runs that are nearly done.

Makes a run of a model that does nothing over clips without media, takes the last lines of its ledger away as a kill
would have, and resumes it. Prints, per size, the seconds from the start of the command until the model is asked, and
those of processor time that the asking process had until then, which another load on the machine does not change.

    python benchmark/perf/resume.py [--sizes 10000,50000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from overhead import prepare

PLUGIN = """
import os, time
from ghostbench import ModelSpec, ReferenceModel, Reply, Verdict, hookimpl

class Timed(ReferenceModel):
    def answer(self, clip, request):
        path = os.environ["ASKED_AT"]
        if not os.path.exists(path):
            with open(path, "w") as file:
                file.write(f"{time.time()} {time.process_time()}")
        return Reply(text=request.write_answer(Verdict(grade="normal")))

@hookimpl
def register_models(register):
    register(ModelSpec(name="timed", load="timed:Timed", kind="reference", summary="nothing", needs_frames=False))
"""
LEFT = 3
"""Clips that the resumed run still has to ask about."""


def bench(folder: Path, asked_at: Path, *words: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(folder), "ASKED_AT": str(asked_at)}
    subprocess.run([sys.executable, "-m", "ghostbench", "run", *words, "--quiet"], cwd=folder, env=env, check=True)


def measure(clips: int) -> tuple[float, float]:
    """Seconds from the command's start until it asks the first clip that is left, and of processor time until then."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = prepare(folder, clips)
        (folder / "timed.py").write_text(PLUGIN)
        (folder / "no_op-1.dist-info" / "entry_points.txt").write_text("[ghostbench]\ntimed = timed\n")
        bench(folder, folder / "first", "--models", "timed", "--dataset", str(dataset), "--run-id", "r")
        run = folder / "results" / "r"
        lines = (run / "attempts.jsonl").read_bytes().splitlines(keepends=True)
        (run / "attempts.jsonl").write_bytes(b"".join(lines[:-LEFT]))
        manifest = json.loads((run / "manifest.json").read_text())
        (run / "manifest.json").write_text(json.dumps({**manifest, "status": "running", "digests": {}, "seal": None}))
        started = time.time()
        bench(folder, folder / "again", "--resume", "--run-id", "r")
        asked_at, cpu_s = map(float, (folder / "again").read_text().split())
        return asked_at - started, cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10000,50000", help="numbers of clips")
    for size in map(int, parser.parse_args().sizes.split(",")):
        first_s, cpu_s = measure(size)
        print(json.dumps({"clips": size, "first_ask_s": round(first_s, 2), "cpu_s": round(cpu_s, 2)}), flush=True)


if __name__ == "__main__":
    main()
