"""`bench run` and `bench doctor` on the five embedded clips."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from tiny_checkpoints import FAMILIES

from ghostbench import GRADES
from ghostbench.tasks.ghost_probing import GhostProbing

TASK = GhostProbing()


def bench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ghostbench", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def of_every(row: str) -> tuple[str, ...]:
    return tuple(word for key in ("device=cpu", "dtype=float32") for word in ("--set", f"{row}.{key}"))


@pytest.mark.slow
def test_a_checkpoint_of_every_family_answers_every_clip(tmp_path: Path, checkpoint: Callable[[str], Path]) -> None:
    models = ",".join(f"hf:{checkpoint(family)}" for family in FAMILIES)
    sets = [word for family in FAMILIES for word in of_every(family)]
    words = ("run", "--models", models, *sets, "--sampling", "uniform:3", "--on", "thread", "--run-id", "r", "--quiet")
    done = bench(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    run = tmp_path / "results" / "r"
    lines = [json.loads(line) for line in (run / "attempts.jsonl").read_text().splitlines()]
    assert {line["model"] for line in lines} == set(FAMILIES)
    assert len(lines) == 5 * len(FAMILIES)
    for line in lines:
        assert line["outcome"] == "answered", line["error"]
        assert TASK.parse(line["raw"]).grade in GRADES
        assert sum(line["grade_probabilities"].values()) == pytest.approx(1.0)
        assert line["usage"]["input_tokens"] > 100
    models = json.loads((run / "manifest.json").read_text())["models"]
    assert {entry["facts"]["architecture"] for entry in (models.values() if isinstance(models, dict) else models)}
    assert bench("verify", str(run), folder=tmp_path).returncode == 0


@pytest.mark.slow
def test_the_doctor_finds_that_the_answers_depend_on_the_frames(
    tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    words = (*of_every("qwen2_5_vl"), "--set", "qwen2_5_vl.max_new_tokens=100", "--set", "qwen2_5_vl.batch_size=4")
    done = bench("doctor", f"hf:{checkpoint('qwen2_5_vl')}", *words, "--limit", "3", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line["check"]: line["judgement"] for line in json.loads(done.stdout)["lines"]}
    assert lines["depends on the frames"] == "pass"
    assert "fail" not in lines.values()


def test_a_name_that_leads_nowhere_is_one_line_and_status_2(tmp_path: Path) -> None:
    done = bench("run", "--models", "hf:/no/where", folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "hf:/no/where" in done.stderr
