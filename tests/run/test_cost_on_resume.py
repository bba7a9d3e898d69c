"""What a run has spent, and may have spent, counts when it is gone on with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from evidence_data import attempt

from ghostbench.errors import BadInput
from ghostbench.evidence.verify import verify
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.reading import read_records
from ghostbench.folder.spending import SpendingJournal, spent_before
from ghostbench.redact import Redactor


def spent(folder: Path) -> float:
    return spent_before(read_records(folder / "attempts.jsonl", AttemptLine), folder / "sent.jsonl")


def outcomes(bench: Any) -> Counter[str]:
    return Counter(p["outcome"] for p in bench.lines("r", "predictions.jsonl"))


def test_attempts_whose_cost_nobody_stated_count_at_their_most(bench: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    given = ["--set", "remote-spy.cost_usd=0.4", "--set", "remote-spy.outcome=TimedOut", "--set", "remote-spy.times=2"]
    given += ["--models", "remote-spy", "--set", f"remote-spy.log={log}", "--max-attempts", "1", "--run-id", "r"]
    assert bench.run(*given, "--max-cost", "1").returncode == 1
    assert outcomes(bench) == {"timed_out": 2, "over_budget": 4}
    assert {line["usage"]["cost_usd"] for line in bench.lines("r", "attempts.jsonl")} == {None}
    assert bench.run(*given, "--resume", "--max-cost", "1").returncode == 1
    assert len(log.read_text().splitlines()) == 2
    assert outcomes(bench) == {"timed_out": 2, "over_budget": 4}


@pytest.mark.slow
def test_the_account_is_sealed_and_holds_and_one_that_was_changed_is_not_gone_on_with(bench: Any) -> None:
    given = ["--set", "remote-spy.cost_usd=0.4", "--models", "remote-spy", "--run-id", "r"]
    assert bench.run(*given).returncode == 0
    verdict = verify(bench.folder / "results" / "r")
    assert verdict.findings == ()
    assert "sent.jsonl" in verdict.checked[1]
    account = bench.folder / "results" / "r" / "sent.jsonl"
    account.write_text(account.read_text().replace("0.4", "0.1", 1))
    done = bench.run(*given, "--resume")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "sent.jsonl was changed after the run ended" in done.stderr


def test_requests_that_were_turned_away_count_nothing_on_resume(bench: Any, tmp_path: Path) -> None:
    given = ["--set", "remote-spy.cost_usd=0.4", "--set", "remote-spy.outcome=RateLimited", "--max-attempts", "1"]
    given += ["--models", "remote-spy", "--run-id", "r"]
    assert bench.run(*given, "--max-cost", "1").returncode == 1
    assert outcomes(bench) == {"rate_limited": 6}
    folder = bench.folder / "results" / "r"
    assert spent(folder) == 0


def test_a_run_without_prices_keeps_no_account(bench: Any) -> None:
    assert bench.run("--models", "remote-spy,local-spy,always", "--run-id", "r").returncode == 0
    assert not (bench.folder / "results" / "r" / "sent.jsonl").exists()


async def test_what_is_known_replaces_what_could_have_been(tmp_path: Path) -> None:
    sent = SpendingJournal(tmp_path / "sent.jsonl", Redactor({}))
    for name in ("stated", "turned-away", "timed-out", "in-flight", "withdrawn"):
        await sent.note(name, 0.25)
    await sent.note("withdrawn", 0.0)
    sent.close()
    lines = [
        {"request_id": "stated", "outcome": "answered", "usage": {"cost_usd": 0.0625}, "raw": "x"},
        {"request_id": "turned-away", "outcome": "rate_limited", "usage": {"cost_usd": None}, "raw": None},
        {"request_id": "timed-out", "outcome": "timed_out", "usage": {"cost_usd": None}, "raw": None},
        {"request_id": None, "outcome": "decode_failed", "usage": {"cost_usd": None}, "raw": None},
        {"request_id": "of-a-local-model", "outcome": "crashed", "usage": {"cost_usd": None}, "raw": None},
    ]
    whole = [{**attempt("m", f"c{place}"), **line} for place, line in enumerate(lines)]
    (tmp_path / "attempts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in whole))
    with (tmp_path / "sent.jsonl").open("ab") as file:
        file.write(b'{"request_id":"torn","most')
    assert spent(tmp_path) == 0.0625 + 0.25 + 0.25


@pytest.mark.parametrize("usage", ['"free"', '{"cost_usd":"0.1"}'])
def test_a_ledger_whose_costs_are_no_numbers_is_bad_input(tmp_path: Path, usage: str) -> None:
    line = {**attempt("m", "c"), "usage": json.loads(usage)}
    (tmp_path / "attempts.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(BadInput, match=r"attempts\.jsonl"):
        spent(tmp_path)


def test_an_account_that_was_changed_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "sent.jsonl").write_text('{"request_id":"a","most_usd":"much"}\n')
    with pytest.raises(BadInput, match=r"sent\.jsonl"):
        spent(tmp_path)
