"""Each way in which a server can fail, and the one outcome that stands for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from loopback_openai import Fault, Server

from ghostbench import ModelError, Reply, Request, errors
from ghostbench.outcomes import Outcome

Ask = Callable[..., list[Any]]
Build = Callable[..., Request]


def refusal(status: int, code: str | None = None, message: str = "no", **headers: str) -> Fault:
    return Fault("status", status, headers, json.dumps({"error": {"message": message, "type": "x", "code": code}}))


AZURE_FILTER = {
    "error": {"message": "filtered", "code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
}
VLLM_TOO_LONG = {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}
FASTAPI = {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}

FAULTS: list[tuple[str, Fault, type[ModelError]]] = [
    ("400", refusal(400), errors.RequestRejected),
    ("404 model", refusal(404, "model_not_found"), errors.AuthFailed),
    ("400 model", refusal(400, "invalid_model"), errors.AuthFailed),
    ("422 of FastAPI", Fault("status", 422, {}, json.dumps(FASTAPI)), errors.RequestRejected),
    ("redirect", Fault("status", 307, {"location": "http://127.0.0.1:9/"}), errors.RequestRejected),
    ("400 context", refusal(400, "context_length_exceeded"), errors.RequestTooLarge),
    ("400 context of vLLM", Fault("status", 400, {}, json.dumps(VLLM_TOO_LONG)), errors.RequestTooLarge),
    ("413", Fault("status", 413, {}, "<html>Request Entity Too Large</html>"), errors.RequestTooLarge),
    ("401", refusal(401, "invalid_api_key"), errors.AuthFailed),
    ("403", refusal(403), errors.AuthFailed),
    ("402", refusal(402), errors.QuotaExhausted),
    ("429 quota", refusal(429, "insufficient_quota"), errors.QuotaExhausted),
    ("429 rate", refusal(429, "rate_limit_exceeded"), errors.RateLimited),
    ("400 filter of Azure", Fault("status", 400, {}, json.dumps(AZURE_FILTER)), errors.ContentFiltered),
    ("408", refusal(408), errors.TimedOut),
    ("409", refusal(409), errors.ServerError),
    ("425", Fault("status", 425, {}, "Too Early"), errors.ServerError),
    ("499", Fault("status", 499, {}, '{"error": {"message": "The operation was cancelled."}}'), errors.ServerError),
    ("500", refusal(500), errors.ServerError),
    ("503 page", Fault("status", 503, {}, "<html>bad gateway</html>"), errors.ServerError),
    ("200 page", Fault("garbage"), errors.ServerError),
    ("reset", Fault("reset"), errors.ConnectionFailed),
    ("cut", Fault("cut"), errors.ConnectionFailed),
    ("hang", Fault("hang"), errors.TimedOut),
    ("refused", Fault("say", message={"content": None, "refusal": "I cannot help"}), errors.Refused),
    ("filtered answer", Fault("say", message={"content": "half"}, finish="content_filter"), errors.ContentFiltered),
    ("truncated", Fault("say", message={"content": '{"grade": "nor'}, finish="length"), errors.Truncated),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("fault", "error"), [pytest.param(f, e, id=name) for name, f, e in FAULTS])
def test_each_failure_has_its_own_outcome(
    server: Server, ask: Ask, make_request: Build, fault: Fault, error: type[ModelError], stream: bool
) -> None:
    server.chat.script = [fault]
    (failure,) = ask(make_request(), timeout_s=0.5, stream=stream)
    assert type(failure) is error, repr(failure)
    assert len(server.log.entries) == 1, "an attempt is one request"
    assert failure.__cause__ is failure.__context__ is None


def test_every_outcome_of_the_api_is_among_them() -> None:
    covered = {error.outcome for _, _, error in FAULTS}
    elsewhere = {
        Outcome.ANSWERED,
        Outcome.UNPARSEABLE,
        Outcome.OVER_BUDGET,
        Outcome.DECODE_FAILED,
        Outcome.MISSING_MEDIA,
        Outcome.MEDIA_UNREACHABLE,
        Outcome.NONFINITE,
        Outcome.OUT_OF_MEMORY,
        Outcome.NOT_RECORDED,
        Outcome.UNAVAILABLE,
        Outcome.CRASHED,
        Outcome.WORKER_LOST,
    }
    assert covered == set(Outcome) - elsewhere


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["", "not json", '{"grade": "maybe"}'])
def test_words_that_are_no_answer_are_left_to_the_task(
    server: Server, ask: Ask, make_request: Build, text: str, stream: bool
) -> None:
    server.chat.script = [Fault("say", message={"content": text})]
    (reply,) = ask(make_request(), stream=stream)
    assert isinstance(reply, Reply)
    assert reply.text == text


@pytest.mark.parametrize("name", ["refused", "filtered answer", "truncated"])
def test_what_was_said_and_billed_stays_with_the_error(
    server: Server, ask: Ask, make_request: Build, name: str
) -> None:
    server.chat.script = [next(fault for known, fault, _ in FAULTS if known == name)]
    (failure,) = ask(make_request())
    assert failure.reply.text in {"I cannot help", "half", '{"grade": "nor'}
    assert failure.reply.usage.cost_usd > 0
    assert failure.reply.served_model == "gpt-4.1-2025-04-14"


def test_a_stalled_stream_is_noticed_before_the_deadline(server: Server, ask: Ask, make_request: Build) -> None:
    server.chat.script = [Fault("stall")]
    began = time.monotonic()
    (failure,) = ask(make_request(), stream=True, timeout_s=8)
    assert type(failure) is errors.TimedOut
    assert "stalled" in str(failure)
    assert 1.9 < time.monotonic() - began < 8
    assert failure.reply.text.startswith('{"grade": ')


def test_a_stream_that_ends_early_is_no_answer(server: Server, ask: Ask, make_request: Build) -> None:
    server.chat.script = [Fault("end")]
    (failure,) = ask(make_request(), stream=True)
    assert type(failure) is errors.ServerError
    assert failure.reply.text.startswith('{"grade": ')


def test_no_listener_is_a_failed_connection_and_says_where(ask: Ask, make_request: Build) -> None:
    (failure,) = ask(make_request(), base_url="http://127.0.0.1:9/v1")
    assert type(failure) is errors.ConnectionFailed
    assert str(failure).endswith("(to 127.0.0.1:9)")


def test_a_proxy_that_is_not_there_is_named_and_its_password_is_not(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, make_request: Build
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere.example")
    monkeypatch.setenv("http_proxy", "http://anna:so-secret-word@127.0.0.1:9")
    (failure,) = ask(make_request(), base_url="http://models.example:8000/v1")
    assert type(failure) is errors.ConnectionFailed
    assert str(failure).endswith("(to models.example:8000, by the proxy that http_proxy names)")
    assert "so-secret-word" not in str(failure)


@pytest.mark.parametrize("status", [404, 405])
def test_what_is_not_there_is_told_with_the_address_that_was_asked(
    server: Server, ask: Ask, make_request: Build, status: int
) -> None:
    """A base URL without its /v1 is found out by that."""
    server.chat.script = [Fault("status", status, {}, '{"detail": "Not Found"}')]
    (failure,) = ask(make_request())
    assert str(failure) == f"HTTP {status} (asked: {server.url}/chat/completions): Not Found"


def test_a_redirect_is_told_with_the_place_that_it_leads_to(server: Server, ask: Ask, make_request: Build) -> None:
    server.chat.script = [Fault("status", 308, {"location": "https://models.example/v1/chat/completions?key=s3cr3t"})]
    (failure,) = ask(make_request())
    assert str(failure).startswith("HTTP 308 (leads to https://models.example/v1/chat/completions) (it sends ")


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        "{}",
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"message": 3}]}',
        '{"choices": [{"message": {"content": 7}}]}',
        '{"choices": [{"finish_reason": "stop"}]}',
        '{"choices": [{"finish_reason": "error", "message": {"content": "half"}}]}',
        '{"choices": [{"error": {"code": 502, "message": "upstream"}, "message": {"content": "half"}}]}',
        '{"error": {"message": "upstream died", "code": 502}}',
    ],
)
def test_json_that_is_no_completion_is_a_server_error(server: Server, ask: Ask, make_request: Build, body: str) -> None:
    server.chat.script = [Fault("status", 200, {}, body)]
    (failure,) = ask(make_request())
    assert type(failure) is errors.ServerError, repr(failure)


def test_an_error_inside_a_200_counts_by_its_code(server: Server, ask: Ask, make_request: Build) -> None:
    server.chat.script = [Fault("status", 200, {}, '{"error": {"message": "slow down", "code": 429}}')]
    (failure,) = ask(make_request())
    assert type(failure) is errors.RateLimited


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, 0.0),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_servers_pause_is_passed_on(
    server: Server, ask: Ask, make_request: Build, headers: dict[str, str], seconds: float | None, status: int
) -> None:
    server.chat.script = [Fault("status", status, headers, "{}")]
    (failure,) = ask(make_request())
    assert failure.retry_after_s == seconds


def test_a_pause_until_a_date_is_passed_on_in_seconds(server: Server, ask: Ask, make_request: Build) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1000))
    server.chat.script = [Fault("status", 429, {"retry-after": date}, "{}")]
    (failure,) = ask(make_request())
    assert failure.retry_after_s == pytest.approx(1000, abs=30)


def test_a_long_complaint_is_cut(server: Server, ask: Ask, make_request: Build) -> None:
    server.chat.script = [Fault("status", 400, {}, "x" * 100_000)]
    (failure,) = ask(make_request())
    assert len(str(failure)) <= 500
