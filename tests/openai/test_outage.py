"""A server that is away for a while loses no clip, and is not stormed: real sockets, scaled times."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from loopback_openai import Fault, Server, running
from loopback_openai.chat import Chat, _key
from rich.console import Console

from ghostbench.datasets.query import SplitQuery
from ghostbench.folder.begun import Lost
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.place import RunFolder
from ghostbench.folder.reading import read_records
from ghostbench.redact import Redactor
from ghostbench.running import manifest as manifests
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import make_plan
from ghostbench.running.resume.resume import what_was_done
from ghostbench.running.rules.ledger_rules import LedgerRules
from ghostbench.running.rules.patience import Patience
from ghostbench.running.runner import RunContext, Runner
from ghostbench.running.watch.progress import Progress

QUICK = Patience(outage_s=30.0, first_s=0.05, longest_s=0.4)
OUTAGE_S = 1.5


@dataclass
class Away(Chat):
    """Answers everything with `fault` for a while from the first request on."""

    fault: Callable[[float], Fault] = field(default=lambda left_s: Fault("status", 503))
    away_s: float = OUTAGE_S
    back_at: float | None = None

    def _limited(self, request: Any) -> Fault | None:
        now = time.monotonic()
        self.back_at = self.back_at if self.back_at is not None else now + self.away_s
        return self.fault(self.back_at - now) if now < self.back_at else None


class Run:
    """A run in this process, without scores and reports, under quick times."""

    def __init__(self, folder: Path, dataset: Path) -> None:
        self.folder, self.dataset = folder, dataset
        self.said = io.StringIO()

    def __call__(self, url: str, *settings: str, resume: bool = False, **options: Any) -> Counter[str]:
        given = {"models": "gpt-4.1", "sampling": "uniform:2", "patience": QUICK, **options}
        words = tuple(f"gpt-4.1.{pair}" for pair in (f"base_url={url}", *settings))
        query = SplitQuery(dataset=str(self.dataset))
        plan = make_plan(Options(query=query, settings=words, out=self.folder, run_id="r", resume=resume, **given))
        folder = RunFolder.at(self.folder, "r")
        done = {}
        if resume:
            folder.reopen()
            done = what_was_done(folder.attempts, plan)
        else:
            folder.create()
        console = Console(file=self.said, width=300)
        progress = Progress(console, [row.name for row in plan.rows], len(plan.split.clips))
        manifest = manifests.start(plan, ["bench", "run"], 0.0, Redactor())
        context = RunContext(
            folder=folder, manifest=manifest, redactor=Redactor(), progress=progress, say=console.print
        )

        async def run() -> None:
            async with asyncio.timeout(60):
                await Runner(plan, context, done, Lost()).run()

        try:
            asyncio.run(run())
        finally:
            folder.close()
        rules = LedgerRules({row.name: None for row in plan.rows}, plan.options.repeats)
        assert list(rules.breaches(read_records(folder.attempts, AttemptLine))) == []
        return Counter(line["outcome"] for line in self.lines("predictions.jsonl") if line["model"] == "gpt-4.1")

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "r" / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def run(tmp_path: Path, draw_dataset: Callable[[int], Path]) -> Run:
    return Run(tmp_path, draw_dataset(6))


LIMITED = json.dumps({"error": {"message": "Rate limited, please slow down", "type": "rate_limit", "code": None}})
FAULTS: dict[str, Callable[[float], Fault]] = {
    "503": lambda _: Fault("status", 503),
    "503 that says when": lambda left_s: Fault("status", 503, {"retry-after": f"{left_s:.3f}"}),
    "429 without a time": lambda _: Fault("status", 429, {}, LIMITED),
    "429 that says when": lambda left_s: Fault("status", 429, {"retry-after": f"{left_s:.3f}"}, LIMITED),
    "429 that always says at once": lambda _: Fault("status", 429, {"retry-after": "0"}, LIMITED),
    "a web page": lambda _: Fault("garbage"),
    "broken connections": lambda _: Fault("reset"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_server_that_is_away_for_a_while_answers_every_clip_in_the_end(
    run: Run, server: Server, fault: Callable[[float], Fault], concurrency: int
) -> None:
    server.chat = Away(fault=fault)
    assert run(server.url, f"concurrency={concurrency}") == {"answered": 6}
    sent = Counter(entry.client_id for entry in server.log.chats)
    assert sent == Counter(line["request_id"] for line in run.lines("attempts.jsonl"))
    assert len(run.lines("attempts.jsonl")) <= 6 + concurrency + 25, "one at a time looks whether it is back"


def test_while_a_server_is_away_only_one_request_at_a_time_looks(run: Run, server: Server) -> None:
    server.chat = Away()
    assert run(server.url) == {"answered": 6}
    away = [entry for entry in server.log.chats if entry.kind == "budget"]
    looks = away[6:]
    assert looks, "the six that found it away are followed by others that look"
    assert all(b.began >= a.ended for a, b in itertools.pairwise(looks))


def test_refused_connections_are_waited_for(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    finished = threading.Event()

    def come_back() -> None:
        ledger = run.folder / "r/attempts.jsonl"
        while not ledger.exists() or len(ledger.read_text(encoding="utf-8").splitlines()) < 4:
            time.sleep(0.02)
        with running(Server(port=port)):
            finished.wait(60)

    thread = threading.Thread(target=come_back, daemon=True)
    thread.start()
    try:
        assert run(f"http://127.0.0.1:{port}/v1") == {"answered": 6}
    finally:
        finished.set()
        thread.join()
    outcomes = Counter(line["outcome"] for line in run.lines("attempts.jsonl"))
    assert outcomes["connection_failed"] >= 4


def test_the_console_says_that_a_model_is_paused_why_and_that_it_goes_on(run: Run, server: Server) -> None:
    server.chat = Away()
    run(server.url)
    first, last = run.said.getvalue().splitlines()
    assert first.startswith("gpt-4.1: paused until ")
    assert "server_error" in first
    assert last.startswith("gpt-4.1: goes on after ")


def test_an_outage_that_does_not_end_is_given_up_and_asked_again_when_resumed(run: Run, server: Server) -> None:
    impatient = Patience(outage_s=0.5, first_s=0.02, longest_s=0.1)
    server.chat = Away(away_s=1e9)
    assert run(server.url, "concurrency=1", patience=impatient) == {"server_error": 6}
    tried = Counter(line["attempts"] for line in run.lines("predictions.jsonl"))
    assert sum(tried.elements()) == len(run.lines("attempts.jsonl")) < 40
    manifest = json.loads((run.folder / "r/manifest.json").read_text())
    assert manifest["models"]["gpt-4.1"]["stopped"]["outcome"] == "server_error"
    assert "--resume asks again" in manifest["models"]["gpt-4.1"]["stopped"]["message"]
    server.chat = Chat()
    assert run(server.url, "concurrency=1", resume=True) == {"answered": 6}


def test_a_limit_of_attempts_that_the_user_gave_is_kept_in_an_outage_too(run: Run, server: Server) -> None:
    server.chat = Away(away_s=1e9)
    assert run(server.url, max_attempts=2) == {"server_error": 6}
    assert Counter(line["attempts"] for line in run.lines("predictions.jsonl")) == {2: 6}


def test_a_clip_that_fails_while_others_are_answered_uses_up_its_attempts(run: Run, server: Server) -> None:
    class Poisoned(Chat):
        poison: str | None = None

        async def answer(self, request: Any, log: Any) -> Any:

            self.poison = self.poison or _key(request.body)
            self.script = [Fault("status", 500)] if _key(request.body) == self.poison else []
            return await super().answer(request, log)

    server.chat = Poisoned(latency_s=0.05)
    outcomes = run(server.url, "concurrency=1", repeats=12, patience=Patience(outage_s=8.0, first_s=0.02))
    assert outcomes == {"answered": 60, "server_error": 12}


def test_a_model_that_is_paused_holds_up_no_other(run: Run, server: Server) -> None:
    class AwayUntilOthersAreDone(Chat):
        def _limited(self, request: Any) -> Fault | None:
            answered = [line for line in run.lines("attempts.jsonl") if line["outcome"] == "answered"]
            return Fault("status", 503) if len(answered) < 36 else None

    server.chat = AwayUntilOthersAreDone()
    run(server.url, models="gpt-4.1,motion,always", repeats=3)
    order = [line["model"] for line in run.lines("attempts.jsonl") if line["outcome"] == "answered"]
    assert Counter(order[:36]) == {"motion": 18, "always": 18}
    assert order[36:] == ["gpt-4.1"] * 18


def test_a_budget_is_kept_through_an_outage(run: Run, server: Server) -> None:
    server.chat = Away(fault=FAULTS["429 without a time"])
    assert run(server.url, max_cost=1.0) == {"answered": 6}


@pytest.mark.parametrize("step", ["POST files", "POST batches"])
def test_a_batch_interface_that_is_away_for_a_while_answers_every_clip_in_the_end(
    run: Run, server: Server, step: str
) -> None:
    server.busy[step] = [Fault("status", 503, {}, "{}") for _ in range(2)]
    assert run(server.url, "batch=true") == {"answered": 6}
    assert server.busy[step] == []
