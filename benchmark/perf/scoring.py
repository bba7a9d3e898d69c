"""How long metrics and report take for a large run, and the memory they need: `python benchmark/perf/scoring.py`.

Writes a made-up run of 100 models on 2,000 clips (every outcome, retries, probabilities, answers of 600 characters) and
scores and reports it in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OUTCOMES = ["unparseable", "refused", "timed_out", "content_filtered", "missing_media"]
GRADES = ["ghost_probing", "potential_ghost_probing", "normal"]


def clip(place: int, rng: random.Random) -> dict[str, Any]:
    truth = rng.choices(["ghost_probing", "cut_in", "normal"], [42, 9, 49])[0]
    duration = 3 + 12 * rng.random()
    return {
        "clip": f"images_{1 + place % 60}_{place:04d}", "truth": truth,
        "truth_time_s": round(duration * rng.random(), 1) if truth == "ghost_probing" else None,
        "category": 1 + place % 60, "remark": "???" if place % 11 == 0 else None, "duration_s": duration,
        "frame_indices": list(range(10)), "frame_times_s": [duration * (i + 0.5) / 10 for i in range(10)],
        "decoder": "made up", "frames_sha256": hashlib.sha256(str(place).encode()).hexdigest(),
    }  # fmt: skip


def attempt(
    model: str, line: dict[str, Any], repeat: int, number: int, outcome: str, raw: str | None, wall: float
) -> str:
    second = int(line["clip"].rsplit("_", 1)[1]) % 60
    return json.dumps({
        "model": model, "clip": line["clip"], "repeat": repeat, "attempt": number, "fallback_level": 0,
        "outcome": outcome,
        "error": None if outcome == "answered" else {"type": "Made", "message": "made up"},
        "started_at": f"2026-01-01T00:00:{second:02d}.000Z", "wall_s": wall, "wait_s": 0.1,
        "stages": {"queue_s": 0.01, "video_decode_s": 0.1, "preprocess_s": 0.01, "vision_s": 0.02, "prefill_s": 0.1,
                   "first_token_s": 0.2, "generate_s": wall * 0.7},
        "batch_size": 8, "usage": {"input_tokens": 3000, "cached_tokens": 0, "output_tokens": 80, "cost_usd": 0.007},
        "memory": {"peak_allocated_bytes": 17 << 30, "peak_reserved_bytes": 18 << 30, "process_bytes": 19 << 30},
        "served_model": model, "system_fingerprint": None, "request_id": "x" * 36, "server_request_id": None,
        "finish_reason": "stop", "grade_probabilities": None, "frames_sha256": line["frames_sha256"],
        "prompt_sha256": "b" * 64, "raw": raw, "notes": [],
    })  # fmt: skip


def write_run(folder: Path, models: int, clips: int, repeats: int) -> None:
    rng = random.Random(0)
    lines = [clip(place, rng) for place in range(clips)]
    names = [f"model-{place:03d}" for place in range(models)]
    with (folder / "attempts.jsonl").open("w") as attempts, (folder / "predictions.jsonl").open("w") as predictions:
        for name in names:
            for line, repeat in itertools.product(lines, range(repeats)):
                score = rng.betavariate(3, 2) if line["truth"] == "ghost_probing" else rng.betavariate(2, 3)
                grade = GRADES[0] if score > 0.6 else GRADES[1] if score > 0.5 else GRADES[2]
                outcome = "answered" if rng.random() > 0.05 else rng.choice(OUTCOMES)
                retried = rng.random() < 0.1
                if retried:
                    attempts.write(attempt(name, line, repeat, 1, "rate_limited", None, 0.2) + "\n")
                raw = json.dumps({"grade": grade, "evidence": "made up " * 70})
                wall = rng.gammavariate(4, 0.3)
                attempts.write(attempt(name, line, repeat, 1 + retried, outcome, raw, wall) + "\n")
                said = outcome == "answered"
                predictions.write(json.dumps({
                    "model": name, "clip": line["clip"], "repeat": repeat, "truth": line["truth"],
                    "truth_time_s": line["truth_time_s"], "grade": grade if said else None,
                    "event_time_s": 2.0 if said and grade != "normal" else None, "score": score if said else None,
                    "answered_by": "model" if said else None, "fallback_level": 0, "outcome": outcome,
                    "attempts": 1 + retried,
                }) + "\n")  # fmt: skip
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest = {
        "format": 2, "status": "complete", "run_id": "perf", "command": ["bench", "run"],
        "dataset": {"name": "made-up", "split": "all", "labels_sha256": "a" * 64, "split_sha256": "b" * 64},
        "task": {"name": "ghost-probing"}, "sampling": "uniform:10", "repeats": repeats, "seed": 0,
        "models": {name: {"spec": name, "kind": "remote"} for name in names},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def score(folder: Path) -> None:
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run

    begun = time.perf_counter()
    score_run(folder)
    scored = time.perf_counter()
    write_report(folder)
    ended = time.perf_counter()
    cpu = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"metrics {scored - begun:.1f} s, report {ended - scored:.1f} s, together {ended - begun:.1f} s")
    print(f"processor time of the whole process {cpu:.1f} s")
    print(f"peak resident memory {peak:.2f} GiB")
    for name in ("attempts.jsonl", "metrics.json", "report.md", "report.html"):
        print(f"{name} {(folder / name).stat().st_size / 2**20:.1f} MiB")
    rows = [path.stat().st_size for path in (folder / "report_rows").glob("*")]
    print(f"report_rows {sum(rows) / 2**20:.1f} MiB in {len(rows)} files")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--score", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.score:
        score(options.score)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), options.models, options.clips, options.repeats)
        print(f"{options.models} models, {options.clips} clips, {options.repeats} × each")
        sys.stdout.flush()
        subprocess.run([sys.executable, __file__, "--score", folder], check=True)


if __name__ == "__main__":
    main()
