"""Servers that take other parts of a request than OpenAI's: what is asked for in the end, and how often."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from loopback_openai import Fault, Server

ONE_AT_A_TIME = ("--set", "m.concurrency=1")


def run(bench: Any, *words: str, model: str = "openai:x=m", **env: str) -> Any:
    return bench.run("--models", model, *words, env=env, model="m")


def levels(bench: Any) -> list[tuple[int, str]]:
    return [(line["fallback_level"], line["outcome"]) for line in bench.lines("attempts.jsonl")]


def test_geminis_own_endpoint_answers_with_the_schema(bench: Any, server: Server) -> None:
    bench.url = f"http://127.0.0.1:{server.port}/v1beta/openai"
    assert run(bench, *ONE_AT_A_TIME).returncode == 0
    assert Counter(line["fallback_level"] for line in bench.lines("predictions.jsonl")) == {1: 6}
    last = server.natives.asked("compatible")[-1]
    assert last["response_format"]["type"] == "json_schema"
    assert not {"seed", "logprobs", "top_logprobs"} & last.keys()
    assert last["temperature"] == 0, "what was not refused stays"
    notes = [note for line in bench.lines("attempts.jsonl") for note in line["notes"]]
    assert not any("not enforced" in note for note in notes)


def test_what_three_clips_were_refused_is_not_asked_first_again(bench: Any, server: Server) -> None:
    server.chat.rejects = ("seed",)
    assert run(bench, *ONE_AT_A_TIME, "--limit", "5").returncode == 0
    assert Counter(levels(bench)) == {(0, "request_rejected"): 3, (1, "answered"): 5}
    row = json.loads((bench.folder / "results/r/metrics.json").read_text())["models"]["m"]
    assert (row["attempts"], row["retries"], row["fallbacks"]) == (8, 0, {"1": 5})


@pytest.mark.slow
def test_it_is_remembered_when_a_run_is_gone_on_with(bench: Any, server: Server) -> None:
    server.chat.rejects = ("seed",)
    server.chat.script = [None] * 5 + [Fault("status", 401, {}, "{}")]
    assert run(bench, *ONE_AT_A_TIME).returncode == 0
    assert Counter(outcome for _, outcome in levels(bench)) == {"request_rejected": 3, "answered": 2, "auth_failed": 1}
    before = len(server.log.chats)
    assert run(bench, *ONE_AT_A_TIME, "--resume").returncode == 0
    assert len(server.log.chats) - before == 4, "the four clips that are left, asked once each"
    assert Counter(line["outcome"] for line in bench.lines("predictions.jsonl")) == {"answered": 6}


def test_a_reasoning_model_loses_what_it_refuses_and_nothing_else(bench: Any, server: Server) -> None:
    server.chat.keep_bodies = True
    said = {"message": "You are not allowed to request logprobs from this model", "type": "invalid_request_error"}
    server.chat.script = [Fault("status", 403, {}, json.dumps({"error": said}))]
    server.chat.rejects = ("temperature", "max_tokens")
    assert run(bench, "--limit", "1").returncode == 0
    assert levels(bench) == [(0, "request_rejected"), *[(1, "request_rejected")] * 2, (1, "answered")]
    last = server.chat.bodies[-1]
    assert not {"logprobs", "top_logprobs", "temperature", "max_tokens"} & last.keys()
    assert last["max_completion_tokens"]
    assert last["seed"] == 0
    assert last["response_format"]["type"] == "json_schema"
    (line,) = bench.lines("predictions.jsonl")
    assert line["fallback_level"] == 1
    final = bench.lines("attempts.jsonl")[-1]
    assert "in force: level 1, without logprobs, max_tokens, temperature" in final["notes"]
    again = run(bench, "--limit", "1", "--resume")
    assert again.returncode == 0, again.stderr


def test_a_refusal_that_names_nothing_leaves_the_schema_for_last(bench: Any, server: Server) -> None:
    server.chat.keep_bodies = True
    server.chat.script = [Fault("status", 400, {}, json.dumps({"error": {"message": "no"}}))]
    assert run(bench, "--limit", "1").returncode == 0
    assert levels(bench) == [(0, "request_rejected"), (2, "answered")]
    last = server.chat.bodies[-1]
    assert last["response_format"]["type"] == "json_schema"
    assert not {"logprobs", "seed"} & last.keys()


def test_fewer_frames_go_without_what_was_refused_before(bench: Any, server: Server) -> None:
    server.chat.keep_bodies, server.chat.rejects, server.chat.most_images = True, ("json_schema",), 5
    assert run(bench, "--limit", "1", "--sampling", "uniform:10").returncode == 0
    assert levels(bench) == [(0, "request_rejected"), *[(n, "request_rejected") for n in (3, 5)], (6, "answered")]
    assert server.chat.bodies[-1]["response_format"] == {"type": "json_object"}
    assert "in force: levels 3, 5, 6" in bench.lines("attempts.jsonl")[-1]["notes"]


@pytest.mark.parametrize(
    ("status", "message", "outcome"),
    [
        (404, "The model `x` does not exist or you do not have access to it.", "auth_failed"),
        (400, "/chat/completions: Invalid model name passed in model=x", "auth_failed"),
        (400, "API key not valid. Please pass a valid API key.", "auth_failed"),
        (400, "Your credit balance is too low to access the Anthropic API.", "quota_exhausted"),
    ],
)
def test_what_no_clip_can_get_past_is_asked_once(
    bench: Any, server: Server, status: int, message: str, outcome: str
) -> None:
    server.chat.script = [Fault("status", status, {}, json.dumps({"error": {"message": message}})) for _ in range(9)]
    done = run(bench, *ONE_AT_A_TIME)
    assert done.returncode == 1
    assert len(server.log.chats) == 1
    assert {line["outcome"] for line in bench.lines("predictions.jsonl")} == {outcome}
    assert message[:40].split("`", maxsplit=1)[0] in " ".join(done.stderr.split())
