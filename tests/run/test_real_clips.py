"""The main job on real DADA-2000 clips and on recorded answers of real models. Skipped where the data is absent."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

FIELDS = ("model", "clip", "grade", "event_time_s", "score", "outcome", "attempts")


def essence(bench: Any, run_id: str) -> list[tuple[Any, ...]]:
    return [tuple(p[f] for f in FIELDS) for p in bench.lines(run_id, "predictions.jsonl")]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_32_real_clips_killed_again_and_again_resume_to_the_same_predictions(bench: Any, shared_data: Path) -> None:
    given = ["--models", "motion,always", "--dataset", "dada2000", "--data-root", str(shared_data / "dada2000")]
    given += ["--only-available", "--quiet"]
    whole = bench.run(*given, "--run-id", "whole", dataset=False)
    assert whole.returncode == 0, whole.stderr
    draw = random.Random(1)
    resume: list[str] = []
    for _ in range(6):
        process = bench.start(*given, "--run-id", "killed", *resume, dataset=False)
        time.sleep(draw.uniform(1.0, 5.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (bench.folder / "results" / "killed" / "manifest.json").exists():
            resume = ["--resume"]
    last = bench.run(*given, "--run-id", "killed", *resume, dataset=False)
    assert last.returncode == 0, last.stderr
    assert len(bench.lines("killed", "clips.jsonl")) == 32
    assert essence(bench, "killed") == essence(bench, "whole")
    answered = Counter((a["model"], a["clip"]) for a in bench.lines("killed", "attempts.jsonl"))
    assert len(answered) == 64
    assert set(answered.values()) == {1}
    sampled = [c["frames_sha256"] for c in bench.lines("killed", "clips.jsonl")]
    assert sampled == [c["frames_sha256"] for c in bench.lines("whole", "clips.jsonl")]
    assert len(set(sampled)) == 32


@pytest.mark.slow
def test_a_clip_without_media_is_missing_media_and_still_counts(bench: Any, shared_data: Path) -> None:
    given = ["--models", "motion", "--dataset", "dada2000", "--data-root", str(shared_data / "dada2000")]
    done = bench.run(*given, "--clips", "images_1_00*", "--run-id", "r", dataset=False)
    assert done.returncode == 0, done.stderr
    row = bench.metrics("r")["models"]["motion"]
    there = len(list((shared_data / "dada2000" / "clips").glob("images_1_00*.avi")))
    assert (row["answered"], row["outcomes"]["missing_media"]) == (there, row["n"] - there)


def test_recorded_answers_of_real_models_are_scored_on_all_labels(bench: Any, shared_data: Path) -> None:
    recorded = shared_data / "recorded" / "gpt-4.1-balanced.jsonl"
    given = ["--task", "ghost-probing-summary", "--dataset", "dada2000"]
    given += ["--labels", str(shared_data / "dada2000" / "labels.csv"), "--run-id", "r"]
    done = bench.run("--models", f"replay:{recorded}=GPT", *given, dataset=False)
    assert done.returncode == 0, done.stderr
    row = bench.metrics("r")["models"]["GPT"]
    counts = row["views"]["lenient"]["answered"]
    assert [counts[k] for k in ("tp", "fp", "fn", "tn")] == [35, 26, 16, 23]
    assert (row["n"], row["answered"], row["outcomes"]["not_recorded"]) == (200, 100, 100)
    facts = bench.manifest("r")["models"]["GPT"]["facts"]
    assert (facts["rows"], facts["duplicates"], facts["without_row"]) == (100, 0, 100)
