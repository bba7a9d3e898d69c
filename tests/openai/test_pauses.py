"""Every way in which a server says how long to wait, read as the seconds that it means."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_openai import Fault, Server

from ghostbench import Request, errors
from ghostbench_remote.pauses import asked_pause_s, pause_in_body, pause_in_words, until

Ask = Callable[..., list[Any]]
Build = Callable[..., Request]

SENTENCES = [
    "Rate limit reached for gpt-4.1 on tokens per min (TPM): Limit 30000, Used 29500, Requested 900. Please try again in {}.",  # noqa: E501
    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate "  # noqa: E501
    "limit of your current OpenAI S0 pricing tier. Please retry after {}. Please go here: https://aka.ms/oai/quotaincrease",
    "You exceeded your current quota. * Quota exceeded for metric: generate_content, limit: 15\nPlease retry in {}.",
    "No deployments available for selected model, Try again in {}. Passed model=gpt-4.1. Cooldown list=['a1', 'b2']",
    "Request was throttled. Expected available in {}.",
    "Too many requests, please wait {} before sending another one.",
    "litellm.RateLimitError: 429 - the limit of 60 per minute is reached; retry after {}",
    "Quota will be replenished in {}",
    "Engine is busy, retrying in {} is fine",
]
UNITS = {
    "ms": 0.001, "milliseconds": 0.001, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minutes": 60, "h": 3600, "hours": 3600, "days": 86400,
}  # fmt: skip


def whole_or_not(value: float) -> str:
    return f"{value:g}"


@st.composite
def durations(draw: st.DrawFn) -> tuple[str, float]:
    """A duration as servers write them, and its seconds."""
    number = draw(st.integers(0, 600) | st.decimals(0, 600, places=3).map(float))
    form = draw(st.sampled_from(["one", "compact", "words", "clock"]))
    if form == "one":
        unit = draw(st.sampled_from(sorted(UNITS)))
        space = draw(st.sampled_from(["", " "]))
        return f"{whole_or_not(number)}{space}{unit}", float(whole_or_not(number)) * UNITS[unit]
    minutes, seconds = draw(st.integers(0, 59)), draw(st.integers(0, 59))
    if form == "compact":
        return f"{minutes}m{whole_or_not(number)}s", minutes * 60 + float(whole_or_not(number))
    if form == "words":
        return f"{minutes} minutes and {seconds} seconds", minutes * 60 + seconds
    hours = draw(st.integers(0, 23))
    return f"{hours:02}:{minutes:02}:{seconds:02}", hours * 3600 + minutes * 60 + seconds


@given(st.sampled_from(SENTENCES), durations())
def test_a_pause_in_words_is_read(sentence: str, duration: tuple[str, float]) -> None:
    text, seconds = duration
    assert pause_in_words(sentence.format(text)) == pytest.approx(seconds)
    wrapped = json.dumps(
        {"error": {"message": f"litellm: {json.dumps({'message': sentence.format(text)})}", "code": 429}}
    )
    assert pause_in_body(wrapped) == pytest.approx(seconds)


@given(durations())
def test_a_duration_alone_is_read(duration: tuple[str, float]) -> None:
    text, seconds = duration
    assert until(text) == pytest.approx(seconds)
    assert asked_pause_s({"retry-after": text}, "", limited=False) == pytest.approx(seconds)


@given(st.text(max_size=80))
def test_any_text_is_a_pause_of_no_less_than_nothing_or_none(text: str) -> None:
    for pause in (until(text), pause_in_words(text), pause_in_body(text)):
        assert pause is None or pause >= 0


@pytest.mark.parametrize(
    "text",
    [
        "Please slow down.",
        "Limit 30000, Used 29500, Requested 900.",
        "The engine is currently overloaded, please try again later",
        "Please wait and try again (request id 12345)",
        "try again with at most 4 images",
        "Error 503: no capacity available; see https://status.example.com/429",
        "retry-after is unknown",
        "Try again in a few seconds",
        "Limit 5 requests per 1 minute. Please try later",
    ],
)
def test_words_that_name_no_pause_are_none(text: str) -> None:
    assert pause_in_words(text) is None


BEGUN = time.time()
"""When the moments below were written down: these tests may be run much later."""


def ahead(seconds: float) -> datetime:
    return datetime.fromtimestamp(BEGUN + seconds, UTC)


def expected(seconds: float) -> Any:
    """The pause to be read: exactly what is said, or what is left until a moment that is said."""
    return pytest.approx(seconds) if seconds < 1000 else pytest.approx(seconds - (time.time() - BEGUN), abs=90)


FIELDS: list[tuple[Any, float]] = [
    (
        [
            {
                "error": {
                    "code": 429,
                    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}],
                }
            }
        ],
        34,
    ),
    ({"error": {"details": [{"retryDelay": {"seconds": 34, "nanos": 500_000_000}}]}}, 34.5),
    ({"error": {"message": "slow down", "retry_after": 58}}, 58),
    ({"retry_after_ms": 1500}, 1.5),
    ({"error": {"metadata": {"retry_after_seconds": 20.5}}}, 20.5),
    ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": str(int((BEGUN + 5000) * 1000))}}}}, 5000),
    (
        {"error": {"message": 'litellm.RateLimitError: vertex_ai - {"error": {"details": [{"retryDelay": "34.5s"}]}}'}},
        34.5,
    ),
    ({"error": {"message": "请求过于频繁, 请在 58 秒后重试"}}, 58),
    ({"error": {"message": "請於 20 秒後再試"}}, 20),
    ({"error": {"message": "30秒後に再試行してください"}}, 30),
    ({"error": {"message": "Réessayez dans 20 secondes"}}, 20),
    ({"error": {"message": "Intente de nuevo en 2 minutos"}}, 120),
    ({"error": {"message": "20 requests per 60 seconds allowed. Try again in about a minute."}}, 60),
    ({"error": {"message": "please retry in two minutes"}}, 120),
    ({"error": {"message": "Please retry after 1,200 ms"}}, 1.2),
    ({"error": {"message": "rate limited; backoff 10 seconds"}}, 10),
    ({"error": {"message": "quota will be refilled in 45 secs"}}, 45),
    ({"error": {"message": "Expected availability: 90 seconds"}}, 90),
    ({"error": "Model is currently loading", "estimated_time": 20.0}, 20),
    ({"detail": {"wait_seconds": 9}}, 9),
    ({"error": {"message": f"Limit resets at: {ahead(5000):%Y-%m-%d %H:%M:%S} UTC"}}, 5000),
]


@pytest.mark.parametrize(("body", "seconds"), FIELDS)
def test_a_pause_in_a_field_is_read(body: Any, seconds: float) -> None:
    assert pause_in_body(json.dumps(body, ensure_ascii=False)) == expected(seconds)


HEADERS: list[tuple[dict[str, str], float | None]] = [
    ({"retry-after": "58"}, 58),
    ({"retry-after": "58.25"}, 58.25),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"x-ms-retry-after-ms": "1500"}, 1.5),
    ({"retry-after": format_datetime(ahead(5000), usegmt=True)}, 5000),
    ({"x-ratelimit-reset-requests": "58s"}, 58),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
    (
        {"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "1h"}
        | {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"},
        0.02,
    ),
    ({"x-ratelimit-reset": "58"}, 58),
    ({"x-ratelimit-reset": str(int(BEGUN + 5000))}, 5000),
    ({"x-ratelimit-reset": str(int((BEGUN + 5000) * 1000))}, 5000),
    ({"ratelimit-limit": "60", "ratelimit-remaining": "0", "ratelimit-reset": "58"}, 58),
    ({"ratelimit": '"default";r=0;t=58'}, 58),
    ({"ratelimit": "limit=100, remaining=0, reset=58"}, 58),
    (
        {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": f"{ahead(5000):%FT%TZ}"},
        5000,
    ),
    ({"x-ratelimit-remaining-tokens": "100", "x-ratelimit-reset-tokens": "58s"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "-3"}, 0),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_a_pause_in_a_header_is_read(headers: dict[str, str], seconds: float | None) -> None:
    found = asked_pause_s(headers, "{}", limited=True)
    assert found == (None if seconds is None else expected(seconds))


def test_budgets_of_a_response_that_was_not_refused_for_them_are_no_wish() -> None:
    assert asked_pause_s({"x-ratelimit-reset-requests": "58s"}, "{}", limited=False) is None


@pytest.mark.parametrize(
    ("status", "headers", "message", "seconds"),
    [
        (429, {}, "Please retry after 58 seconds.", 58),
        (429, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "58s"}, "slow down", 58),
        (503, {}, "The model is loading, try again in 1m3.5s", 63.5),
        (503, {"retry-after": "58"}, "try again in 2s", 58),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_adapter_passes_the_wish_on(
    server: Server,
    ask: Ask,
    make_request: Build,
    status: int,
    headers: dict[str, str],
    message: str,
    seconds: float,
    stream: bool,
) -> None:
    server.chat.script = [Fault("status", status, headers, json.dumps({"error": {"message": message}}))]
    (failure,) = ask(make_request(), stream=stream)
    assert isinstance(failure, (errors.RateLimited, errors.ServerError))
    assert failure.retry_after_s == pytest.approx(seconds)
