"""Killed at any moment and resumed: the same predictions, no clip answered twice."""

from __future__ import annotations

import json
import random
import shlex
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

FIELDS = ("model", "clip", "repeat", "grade", "score", "outcome", "fallback_level", "answered_by")


def essence(bench: Any, run_id: str) -> list[tuple[Any, ...]]:
    return [tuple(p[f] for f in FIELDS) for p in bench.lines(run_id, "predictions.jsonl")]


def as_a_kill_leaves_it(bench: Any, run_id: str) -> None:
    """Take back what the manifest of a finished run says of its end."""
    manifest = {**bench.manifest(run_id), "status": "running", "finished_at": None, "digests": {}}
    (bench.folder / "results" / run_id / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def words(log: Path, run_id: str) -> list[str]:
    models = ["--models", "local-spy,remote-spy,random", "--repeats", "2", "--set", f"local-spy.log={log}"]
    slow = ["--set", "local-spy.sleep_s=0.08", "--set", "remote-spy.sleep_s=0.05"]
    return [*models, *slow, "--run-id", run_id, "--quiet"]


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(5))
def test_a_run_killed_at_any_moment_resumes_to_the_same_predictions(bench: Any, tmp_path: Path, trial: int) -> None:
    log = tmp_path / "log"
    draw = random.Random(trial)
    resume: list[str] = []
    for _ in range(4):
        process = bench.start(*words(log, "killed"), *resume)
        time.sleep(draw.uniform(0.4, 1.8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (bench.folder / "results" / "killed" / "manifest.json").exists():
            resume = ["--resume"]
    last = bench.run(*words(log, "killed"), *resume)
    assert last.returncode == 0, last.stderr
    whole = bench.run(*words(tmp_path / "other", "whole"))
    assert whole.returncode == 0
    assert essence(bench, "killed") == essence(bench, "whole")
    answered = Counter((a["model"], a["clip"], a["repeat"]) for a in bench.lines("killed", "attempts.jsonl"))
    assert set(answered.values()) == {1}
    sent = len(log.read_text().splitlines())
    assert sent <= 12 + 4, "at most what was in flight at each kill is asked again"


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_with_the_command_that_resumes(bench: Any, tmp_path: Path) -> None:
    given = words(tmp_path / "log", "stopped")[:-1]
    process = bench.start(*given)
    attempts = bench.folder / "results" / "stopped" / "attempts.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (attempts.exists() and attempts.stat().st_size):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert bench.manifest("stopped")["status"] == "interrupted"
    command = shlex.split(err.partition("go on with: ")[2])
    assert command[:2] == ["bench", "run"]
    done = bench.run(*command[2:], dataset=False)
    assert done.returncode == 0, done.stderr
    assert bench.manifest("stopped")["status"] == "complete"
    assert len(bench.lines("stopped", "predictions.jsonl")) == 36


@pytest.mark.slow
def test_a_torn_last_line_is_recovered(bench: Any) -> None:
    assert bench.run("--models", "local-spy", "--run-id", "r").returncode == 0
    before = essence(bench, "r")
    attempts = bench.folder / "results" / "r" / "attempts.jsonl"
    data = attempts.read_bytes()
    attempts.write_bytes(data[: len(data) - 40])
    as_a_kill_leaves_it(bench, "r")
    assert bench.run("--models", "local-spy", "--run-id", "r", "--resume").returncode == 0
    assert essence(bench, "r") == before
    assert len(bench.lines("r", "attempts.jsonl")) == 6


def test_resuming_a_finished_run_asks_nothing(bench: Any, tmp_path: Path) -> None:
    given = ["--models", "local-spy", "--set", f"local-spy.log={tmp_path / 'log'}", "--run-id", "r"]
    bench.run(*given)
    assert bench.run(*given, "--resume").returncode == 0
    assert len((tmp_path / "log").read_text().splitlines()) == 6


@pytest.mark.slow
def test_a_half_tried_clip_goes_on_where_it_was(bench: Any) -> None:
    given = ["--models", "remote-spy", "--set", "remote-spy.retry_after_s=0", "--run-id", "r"]
    bench.run(*given)
    attempts = bench.folder / "results" / "r" / "attempts.jsonl"
    lines = bench.lines("r", "attempts.jsonl")
    lines[0] |= {"outcome": "rate_limited", "error": {"type": "RateLimited", "message": "busy"}, "raw": None}
    attempts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    as_a_kill_leaves_it(bench, "r")
    assert bench.run(*given, "--resume").returncode == 0
    tried = [a for a in bench.lines("r", "attempts.jsonl") if a["clip"] == lines[0]["clip"]]
    assert [(a["attempt"], a["outcome"]) for a in tried] == [(1, "rate_limited"), (2, "answered")]


def test_a_folder_left_by_a_kill_before_its_manifest_is_taken_over(bench: Any) -> None:
    left = bench.folder / "results" / "r"
    left.mkdir(parents=True)
    (left / ".lock").touch()
    (left / ".manifest.json.abc").touch()
    assert bench.run("--models", "always", "--run-id", "r").returncode == 0


def test_a_folder_of_something_else_is_never_written_to(bench: Any) -> None:
    other = bench.folder / "results" / "r"
    other.mkdir(parents=True)
    (other / "thesis.tex").touch()
    done = bench.run("--models", "always", "--run-id", "r")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert [p.name for p in other.iterdir()] == ["thesis.tex"]


def test_two_processes_never_write_one_run(bench: Any, tmp_path: Path) -> None:
    given = [*words(tmp_path / "log", "r"), "--set", "local-spy.sleep_s=30"]
    process = bench.start(*given)
    manifest = bench.folder / "results" / "r" / "manifest.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not manifest.exists():
        time.sleep(0.02)
    second = bench.run(*given, "--resume")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert second.returncode == 2
    assert "another process" in second.stderr


@pytest.mark.slow
def test_media_that_changed_since_is_noticed(bench: Any, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(bench.dataset.parent / "clips", clips)
    given = ["--models", "local-spy", "--data-root", str(clips), "--run-id", "r"]
    bench.run(*given)
    lines = bench.lines("r", "attempts.jsonl")
    (bench.folder / "results" / "r" / "attempts.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines[1:]))
    as_a_kill_leaves_it(bench, "r")
    names = sorted(p.name for p in clips.iterdir())
    target = lines[0]["clip"] + ".avi"
    other = next(name for name in names if name != target)
    shutil.copy(clips / other, clips / target)
    done = bench.run(*given, "--resume")
    assert done.returncode == 2
    assert lines[0]["clip"] in done.stderr


@pytest.mark.slow
def test_settings_of_every_kind_can_be_resumed_with(bench: Any) -> None:
    given = ["--models", "wise", "--set", "wise.words=a,c", "--set", "wise.home=there", "--run-id", "r"]
    assert bench.run(*given).returncode == 0
    assert bench.run(*given, "--resume").returncode == 0
    assert bench.manifest("r")["models"]["wise"]["settings"] == {
        "home": "there",
        "words": ["a", "c"],
        "share": 0.5,
        "api_key": None,
    }


@pytest.fixture(scope="module")
def yardstick(module_bench: Any) -> Path:
    """A finished run of `always` alone, to copy."""
    assert module_bench.run("--models", "always", "--run-id", "r").returncode == 0
    return Path(module_bench.folder / "results" / "r")


@pytest.fixture
def folder(yardstick: Path, bench: Any) -> Path:
    """Its copy, as the run `r` of `bench`."""
    return Path(shutil.copytree(yardstick, bench.folder / "results" / "r"))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [('"model":"always"', '"model":"other"'), ('"clip":"', '"clip":"\\u001b[31m'), ('"repeat":0', '"repeat":7')],
)
def test_a_line_of_what_the_run_does_not_have_is_bad_input(bench: Any, folder: Path, was: str, becomes: str) -> None:
    as_a_kill_leaves_it(bench, "r")
    ledger = folder / "attempts.jsonl"
    ledger.write_text(ledger.read_text(encoding="utf-8").replace(was, becomes, 1), encoding="utf-8")
    before = ledger.read_bytes()
    done = bench.run("--models", "always", "--run-id", "r", "--resume")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "attempts.jsonl line 1 is of model" in done.stderr
    assert "\x1b" not in done.stderr
    assert ledger.read_bytes() == before


@pytest.mark.parametrize("status", ["complete", "running"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [('"outcome":"answered"', '"outcome":"fine"'), ('"model":', '"mdl":'), ('"error":null', '"error":"none"')],
)
def test_a_changed_ledger_is_bad_input_and_never_sealed_again(
    bench: Any, folder: Path, was: str, becomes: str, status: str
) -> None:
    if status == "running":
        as_a_kill_leaves_it(bench, "r")
    ledger = folder / "attempts.jsonl"
    ledger.write_text(ledger.read_text(encoding="utf-8").replace(was, becomes, 1), encoding="utf-8")
    done = bench.run("--models", "always", "--run-id", "r", "--resume")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "attempts.jsonl" in done.stderr
