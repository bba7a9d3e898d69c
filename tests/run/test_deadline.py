"""A model that never comes back is left to itself, and its row alone bears it."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections import Counter
from typing import Any

import pytest
from rich.console import Console

from ghostbench.folder.names import PRINTED
from ghostbench.outcomes import Outcome
from ghostbench.running.watch.progress import Progress
from ghostbench.running.watch.silence import tell_of_silence

pytestmark = pytest.mark.first

HANGING = ["hanging:load", "hanging:answer", "hanging-early", "hanging-remote:load", "hanging-remote:deaf"]


@pytest.mark.slow
def test_models_that_hang_stop_nobody_else(bench: Any) -> None:
    rows = [*HANGING, "hanging-remote:answer", "hanging:thread", "local-spy", "remote-spy", "always"]
    given = ["--on", "thread", "--deadline", "2", "--max-attempts", "2", "--run-id", "r"]
    started = time.monotonic()
    done = bench.run("--models", ",".join(rows), *given)
    assert done.returncode == 1, done.stderr
    assert time.monotonic() - started < 200, "one that hangs does so for ever"
    outcomes = Counter((p["model"], p["outcome"]) for p in bench.lines("r", "predictions.jsonl"))
    assert outcomes == {
        ("hanging:load", "unavailable"): 6,
        ("hanging-remote:load", "unavailable"): 6,
        **{(row, "timed_out"): 6 for row in ("hanging:answer", "hanging-early")},
        **{(f"hanging-remote:{how}", "timed_out"): 6 for how in ("answer", "deaf")},
        **{(row, "answered"): 6 for row in ("hanging:thread", "local-spy", "remote-spy", "always")},
    }
    models = bench.manifest("r")["models"]
    assert models["hanging:load"]["stopped"]["message"] == (
        "not loaded within the deadline of 2 s; give it more with --deadline"
    )
    for row in ("hanging:answer", "hanging-early"):
        assert "no answer within the deadline of 2 s" in models[row]["stopped"]["message"]
    assert models["hanging-remote:deaf"]["stopped"] is None
    attempts = Counter(line["model"] for line in bench.lines("r", "attempts.jsonl"))
    assert attempts["hanging:answer"] == 2, "the batch that hung; nothing is sent after it"
    assert attempts["hanging-remote:answer"] == 12


@pytest.mark.slow
def test_a_batch_that_nothing_is_heard_of_is_given_up_and_gone_on_with(bench: Any) -> None:
    rows = [f"hanging-batch:{where}={where}" for where in ("encode", "answer", "deaf", "patient")]
    done = bench.run("--models", ",".join(rows), "--deadline", "2", "--run-id", "r")
    assert done.returncode == 1, done.stderr
    outcomes = Counter((p["model"], p["outcome"]) for p in bench.lines("r", "predictions.jsonl"))
    assert outcomes == {
        ("encode", "timed_out"): 6,
        ("answer", "answered"): 1,
        ("answer", "timed_out"): 5,
        ("deaf", "answered"): 1,
        ("deaf", "timed_out"): 5,
        ("patient", "answered"): 6,
    }
    models = bench.manifest("r")["models"]
    assert "no answer within the deadline of 2 s" in models["encode"]["stopped"]["message"]
    for row in ("answer", "deaf"):
        assert models[row]["stopped"]["message"] == (
            "nothing was heard of the batch within the deadline of 2 s; "
            "the round of requests is kept, and --resume goes on with it"
        )
    again = bench.run("--models", ",".join(rows), "--deadline", "2", "--run-id", "r", "--resume")
    assert again.returncode == 1, again.stderr
    answered = [p["model"] for p in bench.lines("r", "predictions.jsonl") if p["outcome"] == "answered"]
    assert Counter(answered) == {"answer": 1, "deaf": 1, "patient": 6}, "the round of before was asked for again"


def test_a_model_that_never_closes_keeps_nobody(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = bench.folder / "site"
    (site / "sitecustomize.py").write_text(
        "import ghostbench.running.settle.loading as loading\nloading.CLOSING_S = 1.0\n", encoding="utf-8"
    )
    done = bench.run("--models", "hanging:close,always", "--run-id", "r")
    assert done.returncode == 0, done.stderr
    assert bench.manifest("r")["status"] == "complete"


def test_a_model_closes_while_the_run_is_scored_and_what_it_says_then_is_kept(bench: Any) -> None:
    (bench.folder / "site" / "sitecustomize.py").write_text(
        "import ghostbench.running.ask.places.in_worker as worker\n"
        "import ghostbench.running.settle.loading as loading\n"
        "worker._CLOSING_S = loading.CLOSING_S = 600.0\n",
        encoding="utf-8",
    )
    folder = bench.folder / "results" / "r"
    done = bench.run("--models", "hanging:reading,always", "--run-id", "r", CLOSES_AFTER=str(folder / "report.html"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / PRINTED).read_text() == "closed after the report\n"
    said = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["message"] for line in said if line["logger"] == "closing"] == ["was closed"]


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf"])
def test_a_deadline_that_is_no_time_is_bad_input(bench: Any, given: str) -> None:
    done = bench.run("--models", "always", "--deadline", given)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --deadline")
    assert done.stderr.count("\n") == 1


def test_silence_is_told_of_and_again() -> None:
    said: list[str] = []

    async def wait() -> None:
        progress = Progress(Console(file=io.StringIO()), ["slow"], 1, quiet=True)
        telling = asyncio.create_task(tell_of_silence(progress, lambda: "slow", said.append, after_s=0.6))
        for _ in range(5):
            await asyncio.sleep(0.06)
            progress.settled("slow", Outcome.ANSWERED)
        assert said == []
        await asyncio.sleep(2.1)
        telling.cancel()

    asyncio.run(wait())
    assert 2 <= len(said) <= 3
    assert re.fullmatch(r"nothing has come for \d s; waiting for slow; Ctrl-C ends the run", said[0])
