"""`start_up_s` counts from the interpreter, whatever ran before it in the same process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "ghostbench", "run", "--models", "always", "--quiet", "--out"]
BURN = "import sys, time, os\nwhile time.process_time() < 1.5: pass\nos.execv(sys.argv[1], sys.argv[1:])"
SHOWN = "import ghostbench.running.plan.start_up as s; print(s.start_up_s())"


def started_in(words: list[str]) -> tuple[float, float]:
    """What an interpreter started by these words says of its start-up, and how long it all took, seconds."""
    began = time.perf_counter()
    done = subprocess.run([*words, sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)
    return float(done.stdout), time.perf_counter() - began


@pytest.mark.slow
def test_a_run_states_a_start_up_within_its_own_time(tmp_path: Path) -> None:
    began = time.perf_counter()
    subprocess.run([*RUN, str(tmp_path), "--run-id", "r"], check=True)
    took = time.perf_counter() - began
    start_up = json.loads((tmp_path / "r" / "manifest.json").read_text())["start_up_s"]
    assert 0.05 < start_up < took


@pytest.mark.skipif(os.name == "nt", reason="exec keeps the process on POSIX alone")
@pytest.mark.parametrize(
    ("words", "before_s"),
    [
        (["sh", "-c", 'sleep 1.5; exec "$@"', "sh"], 1.5),
        ([sys.executable, "-c", BURN], 1.5),
    ],
    ids=["a shell that waited", "a launcher that computed"],
)
def test_what_ran_before_the_interpreter_in_its_process_is_not_counted(words: list[str], before_s: float) -> None:
    start_up, took = started_in(words)
    assert took > before_s
    assert 0 < start_up < took - before_s
