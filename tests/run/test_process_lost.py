"""A local model that lives in the run's own process and ends it: nothing looks finished, nothing is paid twice."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ghostbench.folder.begun import Begun, note_end
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.place import RunFolder
from ghostbench.folder.reading import read_records
from ghostbench.running.resume.line_check import LineCheck
from ghostbench.running.resume.losses import write_down_losses
from ghostbench.running.rules.predictions import last_lines
from ghostbench.running.rules.standing import Standing

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="runs go on by themselves here")


def outcomes(bench: Any) -> Counter[tuple[str, str]]:
    return Counter((p["model"], p["outcome"]) for p in bench.lines("r", "predictions.jsonl"))


def paid(log: Path) -> int:
    return len(log.read_text().splitlines())


@pytest.mark.slow
def test_a_model_that_ends_the_process_at_every_clip_is_given_up_and_the_rest_is_scored(
    bench: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    given = [
        "--on",
        "thread",
        "--models",
        "deadly:exit,blind-remote,local-spy",
        "--set",
        f"blind-remote.log={log}",
        "--run-id",
        "r",
    ]
    first = bench.run(*given)
    assert first.returncode == 70, "an exit status of 0 from inside is none of the run's"
    assert first.stdout == ""
    assert first.stderr.count("\n") == 1
    assert "left with exit status 0 before the run was done, while it computed deadly:exit" in first.stderr
    assert "(without a model: --give-up " in first.stderr
    command = shlex.split(first.stderr.partition("go on with: ")[2].partition(" (")[0])
    assert command[:2] == ["bench", "run"]
    second = bench.run(*command[2:], dataset=False)
    assert second.returncode == 70
    assert paid(log) <= 6 + 6
    before = paid(log)
    answered = {line["clip"] for line in bench.lines("r", "attempts.jsonl") if line["model"] == "blind-remote"}
    assert len(answered) == 6, "what costs money is settled before a suspect is asked again"
    for _ in range(2):
        assert bench.run(*given, "--resume").returncode == 70
    assert paid(log) == before
    done = bench.run(*given, "--resume", "--give-up", "deadly:exit")
    assert done.returncode == 1, done.stderr
    assert paid(log) == before
    counts = outcomes(bench)
    assert counts["blind-remote", "answered"] == counts["local-spy", "answered"] == 6
    dead = {outcome: count for (row, outcome), count in counts.items() if row == "deadly:exit"}
    assert sum(dead.values()) == 6
    assert set(dead) <= {"worker_lost", "unavailable"}
    lines = [line for line in bench.lines("r", "attempts.jsonl") if line["model"] == "deadly:exit"]
    assert {line["outcome"] for line in lines} == {"worker_lost"}
    assert max(Counter(line["clip"] for line in lines).values()) <= 2
    assert lines[0]["error"] == {
        "type": "WorkerLost",
        "message": "the process left with exit status 0 while this was computed",
    }
    assert "given up by the user" in bench.manifest("r")["models"]["deadly:exit"]["stopped"]["message"]
    assert not (bench.folder / "results" / "r" / "begun.jsonl").exists()


def test_the_clip_that_ends_the_process_is_found_and_costs_itself_alone(bench: Any) -> None:
    given = ["--on", "thread", "--models", "deadly:SIGSEGV-once,local-spy", "--run-id", "r"]
    first = bench.run(*given)
    assert first.returncode == 128 + signal.SIGSEGV
    assert "was ended by signal 11 (SIGSEGV)" in first.stderr
    starts = 1
    while (done := bench.run(*given, "--resume")).returncode == 128 + signal.SIGSEGV:
        starts += 1
        assert starts < 4
    assert done.returncode == 0, done.stderr
    assert outcomes(bench) == {
        ("deadly:SIGSEGV-once", "answered"): 5,
        ("deadly:SIGSEGV-once", "worker_lost"): 1,
        ("local-spy", "answered"): 6,
    }


def test_a_load_that_ends_the_process_twice_is_not_tried_again(bench: Any) -> None:
    given = ["--on", "thread", "--models", "deadly:load,local-spy", "--run-id", "r"]
    assert [bench.run(*given).returncode, bench.run(*given, "--resume").returncode] == [70, 70]
    answered = [line["model"] for line in bench.lines("r", "attempts.jsonl")]
    assert answered == ["local-spy"] * 6
    done = bench.run(*given, "--resume")
    assert done.returncode == 1
    assert outcomes(bench) == {("deadly:load", "unavailable"): 6, ("local-spy", "answered"): 6}


@pytest.mark.parametrize("rest", [["--give-up", "always"], ["--resume", "--run-id", "r", "--give-up", "alwys"]])
def test_giving_up_names_a_model_of_a_run_that_is_gone_on_with(bench: Any, rest: list[str]) -> None:
    done = bench.run("--models", "always", *rest)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --give-up")
    assert done.stderr.count("\n") == 1


def test_a_second_ctrl_c_ends_a_run_that_cannot_react(bench: Any) -> None:
    running = bench.start("--on", "thread", "--models", "deadly:block,local-spy", "--run-id", "r")
    begun = bench.folder / "results" / "r" / "begun.jsonl"
    until = time.monotonic() + 120
    while not (begun.exists() and "request_id" in begun.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.8)
    running.send_signal(signal.SIGINT)
    # Two that arrive together are one, and a busy machine brings them nearer to each other.
    time.sleep(3)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    assert said.startswith("interrupted; go on with: bench run")
    assert said.count("\n") == 1


def test_a_run_that_no_longer_reacts_is_ended_and_can_be_gone_on_with(bench: Any) -> None:
    (bench.folder / "site" / "sitecustomize.py").write_text(
        "import ghostbench.running.watch.guard as guard, ghostbench.running.runner as runner\n"
        "guard.BEAT_S = 0.5\nrunner._BLOCKED_S = 5.0\n",
        encoding="utf-8",
    )
    done = bench.run("--on", "thread", "--models", "deadly:block,local-spy", "--run-id", "r", "--deadline", "3")
    assert done.returncode == 128 + signal.SIGKILL
    assert done.stderr.startswith("error: the process of the run did not react for ")
    assert done.stderr.count("\n") == 1
    rest = bench.run(
        "--on", "thread", "--models", "deadly:block,local-spy", "--run-id", "r", "--resume", "--give-up", "deadly:block"
    )
    assert rest.returncode == 1, rest.stderr
    assert outcomes(bench)["local-spy", "answered"] == 6


@pytest.mark.slow
def test_a_run_killed_from_outside_blames_nobody_and_leaves_nobody_behind(bench: Any) -> None:
    given = ["--on", "thread", "--models", "local-spy", "--set", "local-spy.sleep_s=0.5", "--run-id", "r"]
    folder = bench.folder / "results" / "r"
    running = bench.start(*given)
    for _ in range(3):
        until = time.monotonic() + 120
        while not ((folder / "begun.jsonl").exists() and "request_id" in (folder / "begun.jsonl").read_text()):
            assert time.monotonic() < until
            time.sleep(0.02)
        running.kill()
        running.communicate()
        running = bench.start(*given, "--resume")
    _, said = running.communicate(timeout=240)
    assert running.returncode == 0, said
    assert {line["outcome"] for line in bench.lines("r", "attempts.jsonl")} == {"answered"}


def test_what_was_lost_is_asked_again_from_all_the_rungs_that_it_stood_on(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path, "r")
    folder.create()
    standing = Standing(frozenset({1, 3}), frozenset({"seed"}))
    known = {"model": "m", "clip": "c", "started_at": "2026-01-01T00:00:00.000Z", "frames_sha256": None}
    known |= {"prompt_sha256": "0" * 64, "fallback_level": standing.level}
    begun = Begun(folder.begun)
    begun.request(**known, repeat=0, request_id="one", notes=list(standing.notes()))
    begun.request(**known, repeat=1, request_id="two")
    begun.close(remove=False)
    note_end(folder.begun, "was ended by signal 9")
    write_down_losses(folder, LineCheck("r", {"m": 3}, {"c"}, 2))
    folder.close()
    units = last_lines(read_records(folder.attempts, AttemptLine))
    stood = {repeat: Standing.noted(last.fallback_level, last.notes) for (_, _, repeat, _), last in units.items()}
    assert stood == {0: standing, 1: Standing.at(3)}


LAST = """
import atexit, os, signal, sys, time
from ghostbench import own_process
from ghostbench.errors import BadInput
from ghostbench.running.watch import guard

own_process.claim()

def work():
    atexit.register(lambda: {end})
    print("said")
    if {raises}:
        raise BadInput("said")
    return 1

guard.LAST_S = 1.0
try:
    sys.exit(guard.guarded(work))
except BadInput:
    sys.exit(2)
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "os._exit(3)", "os.kill(os.getpid(), 11)", "time.sleep(100)"])
@pytest.mark.parametrize(("raises", "status"), [(False, 1), (True, 2)])
def test_nothing_that_happens_at_the_end_of_the_process_changes_what_a_run_has_said(
    end: str, raises: bool, status: int
) -> None:
    words = [sys.executable, "-c", LAST.format(end=end, raises=raises)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    if not raises:
        assert done.stdout == "said\n"


def test_a_command_that_is_called_from_python_forks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork would go on with the caller's work too: here, with the rest of the tests."""
    from click.testing import CliRunner

    from ghostbench.cli.main import bench

    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    words = ["run", "--models", "always", "--out", str(tmp_path), "--run-id", "r", "--quiet"]
    CliRunner().invoke(bench, words, catch_exceptions=False)
    assert (tmp_path / "r" / "metrics.json").is_file()


INTERRUPTED_WHILE_PLANNING = """
import signal, sys
from ghostbench.cli.main import main
from ghostbench.running import execute
def make_plan(*given, **more):
    signal.raise_signal(signal.SIGINT)
execute.make_plan = make_plan
main(["run", "--models", "always", "--quiet"])
"""


def test_ctrl_c_while_a_run_is_planned_is_its_exit_status_too(tmp_path: Path) -> None:
    words = [sys.executable, "-c", INTERRUPTED_WHILE_PLANNING]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "interrupted")
    assert not list(tmp_path.iterdir()), "nothing was begun"
