"""A local model in a process of its own that misbehaves: it costs the clip that it was at, and nothing else."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from typing import Any

import psutil
import pytest

pytestmark = [
    pytest.mark.first,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what happens there is told elsewhere"),
]

LOST = {
    "segfault": "was ended by signal 11 (SIGSEGV)",
    "killed": "was ended by signal 9 (SIGKILL)",
    "os-exit": "left with exit status 0",
    "abort-elsewhere": "was ended by signal 6 (SIGABRT)",
    "die-early": "left with exit status 7",
    "children": "left with exit status 5",
}
EITHER = ("close-all", "garbage")
"""What they do is noticed at once or at the deadline, as it comes."""
HUNG = ("hang", "hang-early", "hang-whole", "freeze")
CRASHED = {"sys-exit": "SystemExit: 0", "leak": "MemoryError", "unmovable": "it cannot leave the worker"}
HARMLESS = ("flood", "load-dies-once")
ROWS = (*LOST, *EITHER, *HUNG, *CRASHED, *HARMLESS, "load-dies")
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def ran(module_bench: Any) -> Any:
    """One run of a model for each way to misbehave, and of one that does nothing of the kind."""
    rows = ",".join(["local-spy", *(f"rogue:{how}={how}" for how in ROWS)])
    started = time.monotonic()
    running = module_bench.start("--models", rows, "--deadline", f"{DEADLINE_S:g}", "--run-id", "r")
    _, said = running.communicate(timeout=500)
    assert running.returncode == 1, said
    assert time.monotonic() - started < 400
    return module_bench


def outcomes(bench: Any, row: str) -> Counter[str]:
    return Counter(p["outcome"] for p in bench.lines("r", "predictions.jsonl") if p["model"] == row)


def attempts(bench: Any, row: str) -> list[dict[str, Any]]:
    return [line for line in bench.lines("r", "attempts.jsonl") if line["model"] == row]


@pytest.mark.slow
@pytest.mark.parametrize("how", [*LOST, *HUNG])
def test_the_clip_that_loses_two_workers_is_final_and_costs_itself_alone(ran: Any, how: str) -> None:
    lost = "worker_lost" if how in LOST else "timed_out"
    assert outcomes(ran, how) == {"answered": 5, lost: 1}
    lines = attempts(ran, how)
    (guilty,) = (p["clip"] for p in ran.lines("r", "predictions.jsonl") if p["model"] == how and not p["grade"])
    assert [line["outcome"] for line in lines if line["clip"] == guilty] == [lost, lost]
    others = Counter(line["clip"] for line in lines if line["clip"] != guilty)
    assert set(others.values()) <= {1, 2}, "who was beside it is asked once more"
    told = {line["error"]["message"] for line in lines if line["outcome"] == lost}
    words = f"the worker {LOST[how]}" if how in LOST else f"no answer within the deadline of {DEADLINE_S:g} s"
    assert all(message.startswith(words) for message in told), told


@pytest.mark.slow
@pytest.mark.parametrize("how", EITHER)
def test_a_clip_that_takes_the_way_to_its_worker_away_costs_itself_alone(ran: Any, how: str) -> None:
    counts = outcomes(ran, how)
    assert counts.pop("answered") == 5
    assert list(counts) in (["worker_lost"], ["timed_out"])
    assert max(Counter(line["clip"] for line in attempts(ran, how)).values()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("how", CRASHED)
def test_what_only_fails_costs_no_worker_and_no_other_clip(ran: Any, how: str) -> None:
    assert outcomes(ran, how) == {"answered": 5, "crashed": 1}
    (line,) = (line for line in attempts(ran, how) if line["outcome"] == "crashed")
    assert CRASHED[how] in line["error"]["message"]
    assert len(attempts(ran, how)) == 6


@pytest.mark.slow
def test_the_rest_of_the_run_is_complete(ran: Any) -> None:
    for how in (*HARMLESS, "local-spy"):
        assert outcomes(ran, how) == {"answered": 6}
    assert outcomes(ran, "load-dies") == {"unavailable": 6}
    message = ran.manifest("r")["models"]["load-dies"]["stopped"]["message"]
    assert message == "its worker was ended by signal 11 (SIGSEGV) while it was loaded, after 3 tries at most"
    assert (ran.folder / "results" / "r" / "printed.txt").stat().st_size <= 1 << 20
    answered = [line for line in ran.lines("r", "attempts.jsonl") if line["outcome"] == "answered"]
    assert {line["worker"] for line in answered} == {*ROWS, "local-spy"} - {"load-dies"}


@pytest.mark.slow
def test_nobody_is_left_behind(ran: Any) -> None:
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(ran.folder):
                left.append(process.cmdline())
    assert left == []


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_killed_and_it_is_gone_on_with(bench: Any) -> None:
    given = ["--models", "local-spy", "--set", "local-spy.sleep_s=0.5", "--run-id", "r"]
    ledger = bench.folder / "results" / "r" / "attempts.jsonl"
    running = bench.start(*given)
    until = time.monotonic() + 60
    while not (ledger.exists() and ledger.read_bytes()):
        assert time.monotonic() < until
        time.sleep(0.02)
    family = psutil.Process(running.pid).children(recursive=True)
    assert len(family) == 2, "the process of the run, and the model's"
    running.kill()
    running.communicate()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    done = bench.run(*given, "--resume")
    assert done.returncode == 0, done.stderr
    answered = Counter((line["clip"], line["outcome"]) for line in bench.lines("r", "attempts.jsonl"))
    assert len(answered) == 6
    assert set(answered.values()) == {1}
