"""The Batch API, step by step, across kills, and what each line of a batch comes to."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from loopback_openai import Fault, Server

from ghostbench import AuthFailed, ModelError, Reply, Request, errors
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.reading import read_records
from ghostbench.folder.round_files import FileJournal
from ghostbench.folder.spending import spent_before
from ghostbench_openai import batch as batch_module
from ghostbench_openai.chat import ChatModel
from ghostbench_openai.results import NO_VERDICT, object_of, read_line
from ghostbench_openai.settings import OpenAISettings
from ghostbench_remote.redaction import Secrets

Build = Callable[..., Request]
Results = dict[str, Reply | ModelError]


@pytest.fixture
def answer(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Results]:
    """Has requests answered by the batch interface, from encoding to results."""

    def run(*requests: Request, **settings: Any) -> Results:
        model = ChatModel(OpenAISettings(base_url=server.url, batch=True, **settings), "gpt-4.1")
        lines = tmp_path / "requests.jsonl"
        lines.write_bytes(b"".join(model.encode(request) + b"\n" for request in requests))
        return asyncio.run(collect(model, lines, FileJournal(tmp_path)))

    return run


async def collect(model: ChatModel, lines: Path, journal: FileJournal) -> Results:
    await model.load()
    results: Results = {}
    try:
        async for request_id, result in model.answer_batch(lines, journal):
            assert request_id not in results, "each line once"
            results[request_id] = result
    finally:
        await model.aclose()
        model.close()
    return results


def test_a_batch_answers_each_line_at_half_the_price(
    server: Server, answer: Callable[..., Results], make_request: Build
) -> None:
    requests = [make_request(seed=n) for n in range(5)]
    server.batches.polls = 2
    results = answer(*requests)
    assert set(results) == {request.id for request in requests}
    for reply in results.values():
        assert isinstance(reply, Reply), reply
        assert reply.usage.cost_usd == pytest.approx((1000 * 1 + 200 * 0.5 + 40 * 4) / 1e6)
        assert reply.grade_probabilities is not None
        assert reply.server_request_id is not None
    (batch,) = server.batches.batches.values()
    assert batch["endpoint"] == "/v1/chat/completions"
    assert server.batches.deleted == [batch["input_file_id"]], "the frames do not stay on the server"


def test_a_result_that_is_nested_without_end_is_none_and_ends_nothing() -> None:
    assert object_of("[" * 200_000) == {}
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    service: Any = SimpleNamespace(secrets=Secrets([]))
    line = {"response": {"status_code": 200, "body": {"error": deep}}}
    assert type(read_line(line, service, NO_VERDICT)) is errors.ServerError


def test_a_line_is_the_body_that_would_have_been_sent(make_request: Build, server: Server, ask: Any) -> None:
    request = make_request()
    model = ChatModel(OpenAISettings(base_url=server.url, batch=True, stream=True), "gpt-4.1")
    line = json.loads(model.encode(request))
    server.chat.keep_bodies = True
    ask(request)
    assert line["custom_id"] == request.id
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    assert line["body"] == server.chat.bodies[0]


def test_faults_of_single_lines_are_their_own_outcomes(
    server: Server, answer: Callable[..., Results], make_request: Build
) -> None:
    said = json.dumps({"error": {"message": "too long", "code": "context_length_exceeded"}})
    server.batches.script = [
        None,
        Fault("say", message={"content": None, "refusal": "no"}),
        Fault("say", message={"content": "{"}, finish="length"),
        Fault("status", 400, {}, said),
        Fault("status", 500, {}, '{"error": {"message": "oops"}}'),
    ]
    requests = [make_request(seed=n) for n in range(5)]
    results = answer(*requests)
    kinds = [type(results[request.id]) for request in requests]
    assert kinds == [Reply, errors.Refused, errors.Truncated, errors.RequestTooLarge, errors.ServerError]


@pytest.mark.parametrize(
    ("ends", "error"), [("expired", errors.TimedOut), ("cancelled", errors.ServerError)], ids=["expired", "cancelled"]
)
def test_a_batch_that_ends_early_is_settled_line_by_line(
    server: Server, answer: Callable[..., Results], make_request: Build, ends: str, error: type[ModelError]
) -> None:
    server.batches.ends, server.batches.answered = ends, 2
    requests = [make_request(seed=n) for n in range(5)]
    results = answer(*requests)
    assert [type(results[request.id]) for request in requests] == [Reply, Reply, error, error, error]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid_json_line", errors.RequestRejected),
        ("token_limit_exceeded", errors.RateLimited),
        ("billing_hard_limit_reached", errors.QuotaExhausted),
    ],
)
def test_a_batch_that_was_not_accepted_says_why_for_each_line(
    server: Server, answer: Callable[..., Results], make_request: Build, code: str, error: type[ModelError]
) -> None:
    server.batches.ends, server.batches.errors = "failed", [{"code": code, "message": "because"}]
    results = answer(make_request(), make_request(seed=1))
    assert {type(result) for result in results.values()} == {error}
    assert all("because" in str(result) for result in results.values())


def test_a_large_file_goes_in_parts(
    server: Server, answer: Callable[..., Results], make_request: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(batch_module, "MOST_REQUESTS", 2)
    requests = [make_request(seed=n) for n in range(5)]
    results = answer(*requests)
    assert {type(result) for result in results.values()} == {Reply}
    assert len(server.batches.batches) == 3
    sent = [name for batch in server.batches.batches.values() for name in ids_of(server, batch["input_file_id"])]
    assert sent == [request.id for request in requests]
    assert not list(tmp_path.glob("ghostbench-*"))


def ids_of(server: Server, file_id: str) -> list[str]:
    return [json.loads(line)["custom_id"] for line in server.batches.contents[file_id].splitlines()]


def test_without_a_key_that_works_nothing_is_settled(
    server: Server, answer: Callable[..., Results], make_request: Build
) -> None:
    server.key = "another"
    with pytest.raises(AuthFailed):
        answer(make_request())


def outcomes(bench: Any) -> Counter[str]:
    return Counter(line["outcome"] for line in bench.lines("predictions.jsonl"))


@pytest.mark.slow
def test_a_run_by_batch_retries_in_further_rounds(bench: Any, server: Server) -> None:
    said = json.dumps({"error": {"message": "oops"}})
    server.batches.script = [None, Fault("status", 500, {}, said), Fault("say", message={"content": "no json"})]
    done = bench.run("--set", "gpt-4.1.batch=true", "--models", "gpt-4.1,always")
    assert done.returncode == 0, done.stderr
    lines = [line for line in bench.lines("attempts.jsonl") if line["model"] == "gpt-4.1"]
    assert outcomes(bench) == {"answered": 12}
    told = Counter((line["attempt"], line["fallback_level"], line["outcome"]) for line in lines)
    assert told == {
        (1, 0, "answered"): 4,
        (1, 0, "server_error"): 1,
        (1, 0, "unparseable"): 1,
        (2, 0, "answered"): 1,
        (2, 3, "answered"): 1,
    }
    assert Counter(line["request_id"] for line in lines) == Counter(server.batches.done)
    assert len(server.batches.batches) == 2
    assert not server.log.chats
    assert not (bench.folder / "results/r/journals").exists(), "no frames are left in the run folder"
    assert all(line["frames_sha256"] for line in bench.lines("clips.jsonl"))


def test_what_stands_in_for_a_batched_model_waits_for_it(bench: Any, server: Server) -> None:
    server.batches.script = [Fault("say", message={"content": "no json"})]
    given = ["--set", "gpt-4.1.batch=true", "--max-attempts", "1", "--models", "gpt-4.1>never"]
    assert bench.run(*given).returncode == 0
    by_row: dict[str, Counter[str]] = {"gpt-4.1": Counter(), "gpt-4.1>never": Counter()}
    for line in bench.lines("attempts.jsonl"):
        by_row[line["model"]][line["outcome"]] += 1
    assert by_row == {"gpt-4.1": {"answered": 5, "unparseable": 1}, "gpt-4.1>never": {"answered": 1}}


def test_a_batch_keeps_to_the_budget(bench: Any, server: Server) -> None:
    done = bench.run("--set", "gpt-4.1.batch=true", "--max-cost", "0.012")
    assert done.returncode == 0, done.stderr
    spent = sum(line["usage"]["cost_usd"] for line in bench.lines("attempts.jsonl"))
    assert 0 < spent <= 0.012
    assert len(server.batches.batches) > 1, "what did not fit at first was sent when the first round had cost less"


STEPS = [
    pytest.param("POST files before", marks=pytest.mark.slow),
    "POST files after",
    pytest.param("POST batches before", marks=pytest.mark.slow),
    "POST batches after",
    pytest.param("GET batches after", marks=pytest.mark.slow),
    "GET files before",
]


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_any_two_steps_the_same_batch_is_resumed(bench: Any, server: Server, step: str) -> None:
    import threading

    server.gates[step] = threading.Event()
    given = ["--set", "gpt-4.1.batch=true"]
    process = bench.start(*given)
    until = time.monotonic() + 60
    while step not in server.reached:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.gates[step].set()
    time.sleep(0.1)
    done = bench.run(*given, "--resume")
    assert done.returncode == 0, done.stderr
    assert outcomes(bench) == {"answered": 6}
    assert len(server.batches.batches) == 1, "one batch, submitted once"
    uploads = [file for file in server.batches.files.values() if file["purpose"] == "batch"]
    assert len(uploads) == 1
    assert Counter(server.batches.done).most_common(1)[0][1] == 1
    assert Counter(line["request_id"] for line in bench.lines("attempts.jsonl")) == Counter(server.batches.done)


def test_what_stands_in_for_a_batched_model_is_asked_when_that_was_refused(bench: Any, server: Server) -> None:
    server.key = "another-key"
    done = bench.run("--set", "gpt-4.1.batch=true", "--models", "gpt-4.1>never,always")
    assert done.returncode == 1, done.stderr
    rows = Counter((line["model"], line["outcome"]) for line in bench.lines("predictions.jsonl"))
    assert rows == {("gpt-4.1", "auth_failed"): 6, ("gpt-4.1>never", "answered"): 6, ("always", "answered"): 6}


@pytest.mark.slow
def test_a_batch_that_the_server_puts_off_for_a_day_is_not_waited_for(bench: Any, server: Server) -> None:
    said = json.dumps({"error": {"message": "come back tomorrow"}})
    server.busy["POST batches"] = [Fault("status", 429, {"retry-after": "86400"}, said)]
    given = ["--set", "gpt-4.1.batch=true"]
    assert bench.run(*given).returncode == 1
    assert outcomes(bench) == {"rate_limited": 6}
    assert all("86400 s" in line["error"]["message"] for line in bench.lines("attempts.jsonl"))
    assert not server.batches.batches
    assert bench.run(*given, "--resume").returncode == 0
    assert outcomes(bench) == {"answered": 6}
    assert len(server.batches.batches) == 1
    assert len(server.batches.done) == 6, "nothing is asked, and paid for, a second time"


def test_lines_that_a_batch_leaves_without_a_result_count_at_their_most_on_resume(bench: Any, server: Server) -> None:
    server.batches.ends, server.batches.answered = "expired", 4
    given = ["--set", "gpt-4.1.batch=true", "--max-attempts", "1"]
    assert bench.run(*given).returncode == 0
    lost = [line["request_id"] for line in bench.lines("attempts.jsonl") if line["outcome"] == "timed_out"]
    noted = bench.lines("sent.jsonl")
    assert [line["request_id"] for line in noted] == lost
    assert all(line["most_usd"] > 0.001 for line in noted)
    folder = bench.folder / "results" / "r"
    stated = sum(line["usage"]["cost_usd"] or 0 for line in bench.lines("attempts.jsonl"))
    spent = spent_before(read_records(folder / "attempts.jsonl", AttemptLine), folder / "sent.jsonl")
    assert spent == pytest.approx(stated + sum(line["most_usd"] for line in noted))
