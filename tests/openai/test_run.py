"""The adapter under the harness: `bench run` as a process, the ledger held against the server's own account."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loopback_openai import Fault, Server, Storm
from warm_process import run_bench


def status(code: int, **headers: str) -> Fault:
    return Fault("status", code, headers, json.dumps({"error": {"message": "no", "code": None}}))


def outcomes(bench: Any) -> Counter[str]:
    return Counter(line["outcome"] for line in bench.lines("predictions.jsonl"))


def test_a_run_answers_every_clip_and_accounts_for_it(bench: Any, server: Server) -> None:
    done = bench.run()
    assert done.returncode == 0, done.stderr
    attempts = bench.lines("attempts.jsonl")
    assert outcomes(bench) == {"answered": 6}
    assert {line["request_id"] for line in attempts} == {entry.client_id for entry in server.log.chats}
    for line in attempts:
        assert line["served_model"] == "gpt-4.1-2025-04-14"
        assert line["system_fingerprint"] == "fp_loopback"
        assert line["server_request_id"].startswith("req_")
        assert line["usage"] == {
            "input_tokens": 1200,
            "cached_tokens": 200,
            "output_tokens": 40,
            "cost_usd": pytest.approx(0.00242),
        }
    assert all(0 <= line["score"] <= 1 for line in bench.lines("predictions.jsonl"))
    entry = bench.manifest()["models"]["gpt-4.1"]
    assert entry["settings"]["temperature"] == 0
    assert bench.manifest()["seed"] == 0


def test_each_rung_of_the_ladder_is_a_ledger_level(bench: Any, server: Server) -> None:
    server.chat.rejects = ("json_schema", "json_object")
    assert bench.run("--limit", "1").returncode == 0
    levels = [(line["fallback_level"], line["outcome"]) for line in bench.lines("attempts.jsonl")]
    assert levels == [(0, "request_rejected"), (3, "request_rejected"), (4, "answered")]
    assert bench.lines("predictions.jsonl")[0]["score"] is None


def test_fewer_frames_are_sent_only_after_a_request_too_large(bench: Any, server: Server) -> None:
    server.chat.most_images = 5
    assert bench.run("--limit", "1", "--sampling", "uniform:10").returncode == 0
    lines = bench.lines("attempts.jsonl")
    assert [(line["fallback_level"], line["outcome"]) for line in lines] == [
        (0, "request_rejected"),
        (5, "request_rejected"),
        (6, "answered"),
    ]
    assert len({line["frames_sha256"] for line in lines}) == 3


def test_a_cut_answer_is_asked_again_with_more_room(bench: Any, server: Server) -> None:
    server.chat.keep_bodies = True
    server.chat.script = [Fault("say", message={"content": "{"}, finish="length")]
    assert bench.run("--limit", "1").returncode == 0
    assert [line["outcome"] for line in bench.lines("attempts.jsonl")] == ["truncated", "answered"]
    first, second = (body["max_tokens"] for body in server.chat.bodies)
    assert second == 4 * first


def test_retry_after_is_obeyed_to_the_second(bench: Any, server: Server) -> None:
    server.chat.script = [status(429, **{"retry-after": "1.5"})]
    assert bench.run("--limit", "1").returncode == 0
    first, second = server.log.chats
    assert 1.5 <= second.began - first.ended < 1.9


@pytest.mark.slow
def test_a_pause_longer_than_a_run_waits_is_the_clips_outcome_until_it_is_resumed(bench: Any, server: Server) -> None:
    server.chat.script = [status(429, **{"retry-after": "86400"})]
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert outcomes(bench) == {"rate_limited": 1, "answered": 5}
    told = next(line["error"]["message"] for line in bench.lines("attempts.jsonl") if line["error"])
    assert "86400 s (until 20" in told
    assert "--resume" in told
    assert "up to 86400 s" in done.stderr
    command = shlex.split(done.stderr.partition("ask again then with: ")[2])
    assert command[2:4] == ["--resume", "--run-id"]
    assert command[-2:] == ["--set", f"gpt-4.1.base_url={server.url}"], "the server, which must be said again"
    again = bench.run("--resume")
    assert again.returncode == 0, again.stderr
    until = re.findall(r"until (20[\d: -]+) UTC", told)[0]
    assert again.stderr.splitlines() == [
        f"gpt-4.1: the server asked to be left alone until {until} UTC; asking again already"
    ]
    assert outcomes(bench) == {"answered": 6}
    assert len(server.log.chats) == 7
    assert bench.run("--resume").stderr == ""


@pytest.mark.slow
def test_what_a_used_up_budget_holds_back_for_a_day_is_not_waited_for(bench: Any, server: Server) -> None:
    used_up = {"limit-requests": "6", "remaining-requests": "0", "reset-requests": "24h"}
    headers = {f"x-ratelimit-{name}": value for name, value in used_up.items()}
    server.chat.script = [None, status(429, **{"retry-after": "86400"}, **headers)]
    done = bench.run("--set", "gpt-4.1.concurrency=1")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench) == {"answered": 1, "rate_limited": 5}
    assert len(server.log.chats) == 2
    assert account(bench, server)[0] == account(bench, server)[1], "what was not sent is no attempt"
    assert Counter(line["attempts"] for line in bench.lines("predictions.jsonl")) == {0: 4, 1: 2}
    stopped = bench.manifest()["models"]["gpt-4.1"]["stopped"]
    assert stopped["outcome"] == "rate_limited"
    assert stopped["message"].startswith("not sent: ")
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    named = (stopped["until"], bench.manifest()["models"]["gpt-4.1"]["put_off_until"])
    assert all(abs(datetime.fromisoformat(until) - in_a_day) < timedelta(minutes=2) for until in named)
    assert "ask again then with: " in done.stderr
    again = bench.run("--set", "gpt-4.1.concurrency=1", "--resume")
    assert again.returncode == 0, again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert outcomes(bench) == {"answered": 6}
    assert Counter(line["attempts"] for line in bench.lines("predictions.jsonl")) == {1: 5, 2: 1}
    assert bench.manifest()["models"]["gpt-4.1"]["stopped"] is None


def test_what_is_wrong_for_good_is_never_sent_again_as_it_was(bench: Any, server: Server) -> None:
    server.chat.keep_bodies = True
    server.chat.script = [status(code) for code in (400, 422, 400, 422, 400)]
    bench.run("--limit", "1")
    assert [entry.status for entry in server.log.entries] == [400, 422, 400, 422]
    sent = [json.dumps({k: v for k, v in body.items() if k != "messages"}) for body in server.chat.bodies]
    assert len(sent) == len(set(sent))


def test_after_a_refused_key_that_model_sends_nothing_more_and_the_others_go_on(bench: Any, server: Server) -> None:
    server.key = "another-key"
    done = bench.run("--models", "gpt-4.1,always", "--set", "gpt-4.1.concurrency=2")
    assert done.returncode == 1
    assert len(server.log.entries) <= 2, "only what was in flight when the first 401 was read"
    by_model: dict[str, Counter[str]] = {"gpt-4.1": Counter(), "always": Counter()}
    for line in bench.lines("predictions.jsonl"):
        by_model[line["model"]][line["outcome"]] += 1
    assert by_model == {"gpt-4.1": {"auth_failed": 6}, "always": {"answered": 6}}
    assert sum(line["attempts"] for line in bench.lines("predictions.jsonl") if line["model"] == "gpt-4.1") <= 2


def test_requests_held_back_by_pacing_are_not_sent_after_a_refusal(bench: Any, server: Server) -> None:
    exhausted = {"limit-requests": "60", "remaining-requests": "0", "reset-requests": "2s"}
    headers = {f"x-ratelimit-{name}": value for name, value in exhausted.items()}
    server.chat.script = [status(429, **{"retry-after": "2"}, **headers), status(401)]
    bench.run("--set", "gpt-4.1.concurrency=2")
    assert [entry.status for entry in server.log.entries] == [429, 401]
    ledger, seen = account(bench, server)
    assert ledger == seen


def test_quota_spent_stops_the_model(bench: Any, server: Server) -> None:
    body = json.dumps({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    server.chat.script = [None, Fault("status", 429, {}, body)]
    assert bench.run("--set", "gpt-4.1.concurrency=1").returncode == 0
    assert len(server.log.entries) == 2
    assert outcomes(bench) == {"answered": 1, "quota_exhausted": 5}


def test_max_cost_is_kept_with_requests_in_flight(bench: Any, server: Server) -> None:
    server.chat.latency_s = 0.2
    assert bench.run("--dry-run").returncode == 0
    assert not server.log.entries
    done = bench.run("--max-cost", "0.01", "--set", "gpt-4.1.concurrency=6")
    assert done.returncode in {0, 1}, done.stderr
    spent = sum(line["usage"]["cost_usd"] for line in bench.lines("attempts.jsonl"))
    assert 0 < spent <= 0.01
    assert outcomes(bench)["over_budget"] > 0


def test_requests_that_were_turned_away_do_not_eat_the_budget(bench: Any, server: Server) -> None:
    server.chat.script = [status(429, **{"retry-after": "0"}) for _ in range(12)]
    assert bench.run("--max-cost", "0.09", "--max-attempts", "20").returncode == 0
    assert outcomes(bench) == {"answered": 6}


def price_at_most(bench: Any) -> float:
    """What one request about one clip can cost, US dollars, as the dry run says."""
    said = bench.run("--dry-run", "--limit", "1", "--max-attempts", "1", env={"COLUMNS": "200"})
    return float(re.findall(r"\$(\d+\.\d+)", said.stdout)[0])


def killed_in_flight(bench: Any, server: Server, count: int, *words: str) -> None:
    """Start a run and kill it when so many requests are with the server, which never answers them."""
    server.chat.script = [Fault("hang") for _ in range(count)]
    process = bench.start(*words)
    until = time.monotonic() + 60
    while len(server.log.chats) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(server.log.chats) == count


@pytest.mark.slow
def test_what_a_kill_left_unanswered_counts_against_the_limit_at_its_most(bench: Any, server: Server) -> None:
    limit = 2.5 * price_at_most(bench)
    killed_in_flight(bench, server, 2, "--max-cost", f"{limit}")
    assert bench.run("--resume", "--max-cost", f"{limit}").returncode == 1
    assert len(server.log.chats) == 2, "those two may have been billed: nothing more fits"
    assert outcomes(bench) == {"over_budget": 6}
    assert bench.run("--resume", "--max-cost", f"{20 * limit}").returncode == 0
    assert outcomes(bench) == {"answered": 6}


def test_what_was_only_waiting_when_a_run_was_killed_counts_nothing(bench: Any, server: Server) -> None:
    limit = 2.5 * price_at_most(bench)
    given = ["--set", "gpt-4.1.concurrency=1"]
    killed_in_flight(bench, server, 1, *given)
    done = bench.run(*given, "--resume", "--max-cost", f"{limit}")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench)["answered"] >= 1


def test_a_dry_run_names_requests_tokens_and_cost(bench: Any, server: Server) -> None:
    done = bench.run("--dry-run", env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert "$" in done.stdout or "USD" in done.stdout
    assert not server.log.entries


def account(bench: Any, server: Server) -> tuple[Counter[str], Counter[str]]:
    ledger = Counter(line["request_id"] for line in bench.lines("attempts.jsonl"))
    return ledger, Counter(entry.client_id for entry in server.log.chats)


STORM = Storm(rate_limited=0.3, resets=0.05, hangs=0.05, garbage=0.02, retry_after_s=0.5)


@pytest.mark.slow
def test_a_storm_is_weathered_with_every_attempt_accounted_for(bench: Any, server: Server, draw_dataset: Any) -> None:
    bench.dataset = draw_dataset(60)
    server.chat.storm, server.chat.latency_s = STORM, 0.02
    done = bench.run("--set", "gpt-4.1.concurrency=16", "--set", "gpt-4.1.timeout_s=3")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench) == {"answered": 60}
    assert Counter(line["clip"] for line in bench.lines("predictions.jsonl")).most_common(1)[0][1] == 1
    ledger, seen = account(bench, server)
    assert ledger == seen
    kinds = {"status": "rate_limited", "reset": "connection_failed", "hang": "timed_out", "garbage": "server_error"}
    told = {line["request_id"]: line["outcome"] for line in bench.lines("attempts.jsonl")}
    for entry in server.log.chats:
        assert told[entry.client_id] == kinds.get(entry.kind, "answered")


@pytest.mark.slow
def test_killed_in_the_storm_and_resumed_nothing_answered_is_sent_again(
    bench: Any, server: Server, draw_dataset: Callable[[int], Path]
) -> None:
    bench.dataset = draw_dataset(60)
    server.chat.storm, server.chat.latency_s = STORM, 0.05
    given = ["--set", "gpt-4.1.concurrency=8", "--set", "gpt-4.1.timeout_s=3"]
    process = bench.start(*given)
    while sum(entry.ended > 0 for entry in server.log.chats) < 25:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    torn = bench.lines("attempts.jsonl") if (bench.folder / "results/r/attempts.jsonl").exists() else []
    answered = {line["request_id"] for line in torn if line["outcome"] == "answered"}
    keys = {entry.key for entry in server.log.chats if entry.client_id in answered}
    before = len(server.log.entries)
    done = bench.run(*given, "--resume")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench) == {"answered": 60}
    assert keys
    assert not keys & {entry.key for entry in server.log.chats[before:]}


def test_a_run_that_meets_only_401_says_why_in_fifteen_lines(bench: Any, server: Server) -> None:
    server.key = "another-key"
    done = bench.run(env={"COLUMNS": "80"})
    assert done.returncode == 1
    assert len((done.stdout + done.stderr).splitlines()) <= 15
    assert re.search(r"gpt-4.1 gave no answer at all: \d auth_failed \(.*key.*\)", " ".join(done.stderr.split()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_VERSION"])
def test_a_run_is_not_gone_on_with_at_another_server(bench: Any, server: Server, name: str) -> None:
    key = {"AZURE_OPENAI_API_KEY": server.key, "OPENAI_API_VERSION": "2024-10-21"}
    azure = {**key, "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{server.port}"}
    model, env = ("gpt-4.1", {name: server.url}) if name == "OPENAI_BASE_URL" else ("azure:d", azure)
    words = ["--models", model, "--limit", "1", "--dataset", str(bench.dataset), "--sampling", "uniform:2"]

    def run(*more: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return run_bench(
            ["run", *words, "--run-id", "r", *more], cwd=bench.folder, env={**os.environ, **env, **changed}
        )

    assert run().returncode == 0
    before = len(server.log.entries)
    other = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_VERSION": "2025-01-01-preview"}[name]
    refused = run("--resume", **{name: other})
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.count("\n") == 1
    assert other in refused.stderr
    assert "identity" in refused.stderr
    assert len(server.log.entries) == before
    assert run("--resume").returncode == 0
