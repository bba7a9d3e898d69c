"""What a model prints is in a file of the run, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.mark.slow
def test_a_model_that_prints_changes_no_output_of_the_command(bench: Any) -> None:
    given = ["--models", "chatty,always", "--repeats", "2"]
    done = bench.run(*given, "--run-id", "r", "--json", SPY_API_KEY="swordfish-and-chips")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["models"]["chatty"]["answered"] == 12
    assert "chips" not in done.stdout + done.stderr
    assert "straight" not in done.stdout + done.stderr
    path = bench.folder / "results" / "r" / "printed.txt"
    printed = path.read_text(encoding="utf-8")
    assert "loading chatty" in printed
    assert "straight to one" in printed
    assert "from a process of mine" in printed
    assert "swordfish" not in printed
    assert path.stat().st_size <= 2**20


def test_a_run_without_words_leaves_no_file_for_them(bench: Any) -> None:
    done = bench.run("--models", "always", "--run-id", "r")
    assert done.returncode == 0
    assert done.stdout
    assert not (bench.folder / "results" / "r" / "printed.txt").exists()


@pytest.mark.slow
def test_what_a_model_changes_of_the_process_changes_nothing_of_the_run(bench: Any) -> None:
    done = bench.run("--models", "restless,local-spy", "--run-id", "r")
    assert (done.returncode, done.stderr) == (0, "")
    assert "report:     results/r/report.html" in done.stdout
    assert {p["outcome"] for p in bench.lines("r", "predictions.jsonl")} == {"answered"}
    assert sorted(path.name for path in bench.folder.iterdir()) == ["results", "site"]
