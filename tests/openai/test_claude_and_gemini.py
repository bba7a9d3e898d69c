"""Claude and Gemini over their own APIs: what is sent, what comes back, and each way in which they can fail."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from loopback_openai import NATIVE_KEY, Fault, Server, running

from ghostbench import BadInput, ModelError, RemoteModel, Reply, Request, errors
from ghostbench.outcomes import Outcome
from ghostbench.tasks.ghost_probing import GhostProbing

pytest.importorskip("anthropic")
pytest.importorskip("google.genai")

from ghostbench_anthropic.messages import ClaudeModel
from ghostbench_anthropic.settings import ClaudeSettings
from ghostbench_google.generate import GeminiModel
from ghostbench_google.settings import GeminiSettings
from ghostbench_remote.address import key_for

Build = Callable[..., Request]
pytestmark = pytest.mark.usefixtures("native_keys")
KEY = NATIVE_KEY
CLAUDE, GEMINI = "claude-sonnet-4-5-20250929", "gemini-2.5-flash"
OTHERS = {"ANTHROPIC_AUTH_TOKEN": "auth-token-of-another", "ANTHROPIC_PROFILE": "another"}
OTHERS |= {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"}
OTHERS |= {"GOOGLE_GENAI_API_VERSION": "v9", "OPENAI_API_KEY": "sk-of-openai-0123456789abcdef"}


def claude(server: Server, **settings: Any) -> ClaudeModel:
    return ClaudeModel(ClaudeSettings(base_url=f"http://127.0.0.1:{server.port}", **settings), CLAUDE)


def gemini(server: Server, **settings: Any) -> GeminiModel:
    return GeminiModel(GeminiSettings(base_url=f"http://127.0.0.1:{server.port}", **settings), GEMINI)


Made = Callable[..., RemoteModel]
BOTH = pytest.mark.parametrize("make", [claude, gemini])


def of_anthropic(status: int, kind: str, words: str, **headers: str) -> Fault:
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_x"}
    return Fault("status", status, headers, json.dumps(body))


def of_google(status: int, state: str, words: str, *details: dict[str, Any]) -> Fault:
    error = {"code": status, "message": words, "status": state, "details": details}
    return Fault("status", status, {}, json.dumps({"error": error}))


def candidate(reason: str, text: Any = None) -> dict[str, Any]:
    content = {"role": "model", **({"parts": [{"text": text}]} if text is not None else {})}
    return {"candidates": [{"finishReason": reason, "index": 0, "content": content}]}


def going_on(text: str) -> dict[str, Any]:
    said = candidate("CONTINUATION", text)
    said["candidates"][0]["continuationToken"] = "AAAA"
    return said


ANTHROPIC: list[tuple[str, Fault, type[ModelError]]] = [
    ("refusal", Fault("say", message={"stop_reason": "refusal", "content": []}), errors.Refused),
    ("cut off", Fault("say", message={"stop_reason": "max_tokens"}), errors.Truncated),
    ("window full", Fault("say", message={"stop_reason": "model_context_window_exceeded"}), errors.Truncated),
    ("429", of_anthropic(429, "rate_limit_error", "slow down", **{"retry-after": "7"}), errors.RateLimited),
    ("529", of_anthropic(529, "overloaded_error", "Overloaded"), errors.ServerError),
    ("500", of_anthropic(500, "api_error", "Internal server error"), errors.ServerError),
    ("504", of_anthropic(504, "timeout_error", "Request timed out"), errors.ServerError),
    (
        "too long",
        of_anthropic(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        errors.RequestTooLarge,
    ),
    ("413", of_anthropic(413, "request_too_large", "Request exceeds the maximum size"), errors.RequestTooLarge),
    (
        "no credit",
        of_anthropic(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        errors.QuotaExhausted,
    ),
    ("402", of_anthropic(402, "billing_error", "There is an issue with billing"), errors.QuotaExhausted),
    ("401", of_anthropic(401, "authentication_error", "invalid x-api-key"), errors.AuthFailed),
    ("403", of_anthropic(403, "permission_error", "not for this key"), errors.AuthFailed),
    ("404", of_anthropic(404, "not_found_error", "model: claude-x"), errors.AuthFailed),
    ("400", of_anthropic(400, "invalid_request_error", "messages: odd"), errors.RequestRejected),
    ("error in 200", Fault("say", message={"error": {"type": "overloaded_error"}}), errors.ServerError),
    ("no content", Fault("say", message={"content": None}), errors.ServerError),
    ("empty content", Fault("say", message={"content": []}), errors.ServerError),
    ("odd content", Fault("say", message={"content": "words"}), errors.ServerError),
]
RETRY_IN_34_S = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
PER_DAY = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
GOOGLE: list[tuple[str, Fault, type[ModelError]]] = [
    (
        "prompt blocked",
        Fault("say", message={"candidates": None, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        errors.ContentFiltered,
    ),
    ("safety", Fault("say", message=candidate("SAFETY")), errors.ContentFiltered),
    ("recitation", Fault("say", message=candidate("RECITATION")), errors.ContentFiltered),
    ("image", Fault("say", message=candidate("IMAGE_PROHIBITED_CONTENT", "half")), errors.ContentFiltered),
    ("image of another's", Fault("say", message=candidate("IMAGE_RECITATION", "half")), errors.ContentFiltered),
    ("cut off", Fault("say", message=candidate("MAX_TOKENS", '{"gra')), errors.Truncated),
    ("to be gone on with", Fault("say", message=going_on('{"grade": "normal"}')), errors.Truncated),
    ("error in 200", Fault("say", message={"error": {"code": 429, "message": "slow"}}), errors.RateLimited),
    ("cut off in thought", Fault("say", message=candidate("MAX_TOKENS")), errors.Truncated),
    ("malformed", Fault("say", message=candidate("MALFORMED_RESPONSE")), errors.ServerError),
    ("a reason of tomorrow", Fault("say", message=candidate("NEVER_HEARD_OF")), errors.ServerError),
    ("no candidates", Fault("say", message={"candidates": None}), errors.ServerError),
    ("odd candidates", Fault("say", message={"candidates": "words"}), errors.ServerError),
    ("429", of_google(429, "RESOURCE_EXHAUSTED", "Quota exceeded", RETRY_IN_34_S), errors.RateLimited),
    ("503", of_google(503, "UNAVAILABLE", "The model is overloaded."), errors.ServerError),
    ("500", of_google(500, "INTERNAL", "Internal error"), errors.ServerError),
    (
        "too long",
        of_google(400, "INVALID_ARGUMENT", "The input token count (12) exceeds the maximum number of tokens allowed"),
        errors.RequestTooLarge,
    ),
    ("key", of_google(400, "INVALID_ARGUMENT", "API key not valid. Please pass another.", BAD_KEY), errors.AuthFailed),
    ("403", of_google(403, "PERMISSION_DENIED", "no"), errors.AuthFailed),
    ("404", of_google(404, "NOT_FOUND", "models/gemini-x is not found for API version v1beta"), errors.AuthFailed),
    (
        "no billing",
        of_google(400, "FAILED_PRECONDITION", "Please enable billing on your project"),
        errors.QuotaExhausted,
    ),
    ("400", of_google(400, "INVALID_ARGUMENT", "Request contains an odd argument."), errors.RequestRejected),
]
TRANSPORT: list[tuple[str, Fault, type[ModelError]]] = [
    ("page", Fault("garbage"), errors.ServerError),
    ("list", Fault("status", 200, {}, "[1, 2]"), errors.ServerError),
    ("nested without end", Fault("status", 200, {}, "[" * 200_000), errors.ServerError),
    ("503 nested without end", Fault("status", 503, {}, "[" * 200_000), errors.ServerError),
    ("too large", Fault("status", 200, {}, b" " * (33 << 20)), errors.ServerError),
    ("redirect", Fault("status", 307, {"location": "http://127.0.0.1:9/"}), errors.RequestRejected),
    ("502 page", Fault("status", 502, {}, "<html>bad gateway</html>"), errors.ServerError),
    ("reset", Fault("reset"), errors.ConnectionFailed),
    ("cut", Fault("cut"), errors.ConnectionFailed),
    ("hang", Fault("hang"), errors.TimedOut),
]
CASES = [pytest.param(claude, fault, kind, id=f"anthropic {name}") for name, fault, kind in [*ANTHROPIC, *TRANSPORT]]
CASES += [pytest.param(gemini, fault, kind, id=f"google {name}") for name, fault, kind in [*GOOGLE, *TRANSPORT]]


@pytest.mark.parametrize(("make", "fault", "kind"), CASES)
def test_each_failure_has_its_own_outcome_and_is_one_request(
    native: Server, ask_model: Any, make_request: Build, make: Made, fault: Fault, kind: type[ModelError]
) -> None:
    native.natives.script = [fault]
    (failure,) = ask_model(make(native, timeout_s=0.5 if fault.kind == "hang" else 20.0), make_request())
    assert type(failure) is kind, repr(failure)
    assert len(native.natives.bodies) == 1, "nobody retries but the harness"
    assert failure.__cause__ is failure.__context__ is None


@pytest.mark.parametrize(
    ("make", "message", "noted"),
    [
        (claude, {"stop_reason": "alien"}, "'alien'"),
        (claude, {"stop_reason": "end_turn"}, None),
        (gemini, candidate("ALIEN", '{"grade": "normal"}'), "'ALIEN'"),
        (gemini, candidate("STOP", '{"grade": "normal"}'), None),
    ],
)
def test_an_answer_that_ended_in_a_way_not_known_is_one_with_a_note(
    native: Server, ask_model: Any, make_request: Build, make: Made, message: dict[str, Any], noted: str | None
) -> None:
    native.natives.script = [Fault("say", message=message)]
    (reply,) = ask_model(make(native), make_request())
    assert isinstance(reply, Reply), reply
    said = [note for note in reply.notes if note.startswith("the answer ended as")]
    assert said == ([f"the answer ended as {noted}, which is no ending known"] if noted else [])


@BOTH
def test_a_model_that_is_closed_leaves_no_connection_open(
    native: Server, ask_model: Any, make_request: Build, make: Made
) -> None:
    # Kept until the end: what is thrown away closes by itself.
    model = make(native)
    [said] = ask_model(model, make_request())
    assert isinstance(said, Reply)
    until = time.monotonic() + 60
    while native.connections and time.monotonic() < until:
        time.sleep(0.01)
    assert native.connections == 0
    del model


def test_every_outcome_that_a_server_can_cause_is_among_them() -> None:
    causes = {Outcome.REFUSED, Outcome.TRUNCATED, Outcome.CONTENT_FILTERED, Outcome.RATE_LIMITED, Outcome.TIMED_OUT}
    causes |= {Outcome.CONNECTION_FAILED, Outcome.SERVER_ERROR, Outcome.REQUEST_REJECTED, Outcome.AUTH_FAILED}
    causes |= {Outcome.QUOTA_EXHAUSTED}
    for faults, none in ((ANTHROPIC, {Outcome.CONTENT_FILTERED}), (GOOGLE, {Outcome.REFUSED})):
        assert {kind.outcome for _, _, kind in [*faults, *TRANSPORT]} == causes - none


def test_the_waits_that_they_ask_for_are_kept(native: Server, ask_model: Any, make_request: Build) -> None:
    native.natives.script = [next(f for name, f, _ in ANTHROPIC if name == "429")]
    (limited,) = ask_model(claude(native), make_request())
    assert limited.retry_after_s == 7
    native.natives.script = [next(f for name, f, _ in GOOGLE if name == "429")]
    (limited,) = ask_model(gemini(native), make_request())
    assert limited.retry_after_s == 34


def test_claude_gets_what_its_api_takes(native: Server, ask_model: Any, make_request: Build) -> None:
    (reply,) = ask_model(claude(native), make_request(count=2))
    assert isinstance(reply, Reply), reply
    (body,) = native.natives.asked("anthropic")
    assert set(body) == {"model", "max_tokens", "temperature", "system", "output_config", "messages"}
    assert (body["model"], body["temperature"], body["max_tokens"]) == (CLAUDE, 0.0, 256)
    schema = body["output_config"]["format"]["schema"]
    assert next(iter(schema["properties"])) == "grade"
    assert schema["additionalProperties"] is False
    images = [part for part in body["messages"][0]["content"] if part["type"] == "image"]
    assert [base64.b64decode(image["source"]["data"])[:2] for image in images] == [b"\xff\xd8"] * 2


def test_gemini_gets_what_its_api_takes(native: Server, ask_model: Any, make_request: Build) -> None:
    (reply,) = ask_model(gemini(native, thinking_budget=128), make_request(count=2))
    assert isinstance(reply, Reply), reply
    (body,) = native.natives.asked("gemini")
    config = body["generationConfig"]
    assert (config["temperature"], config["seed"], config["maxOutputTokens"]) == (0.0, 7, 256 + 8192)
    assert config["responseMimeType"] == "application/json"
    assert next(iter(config["responseJsonSchema"]["properties"])) == "grade"
    assert config["responseLogprobs"] is True
    assert list(config["thinkingConfig"].values()) == [128]
    parts = [list(part["inlineData"].values()) for part in body["contents"][0]["parts"] if "inlineData" in part]
    assert [len(part) for part in parts] == [2, 2]
    for part in parts:
        assert "image/jpeg" in part
        assert any(base64.urlsafe_b64decode(value + "==")[:2] == b"\xff\xd8" for value in part if value != "image/jpeg")


@BOTH
def test_an_answer_comes_with_all_that_the_server_said_of_it(
    native: Server, ask_model: Any, make_request: Build, make: Made
) -> None:
    said = {"model": "served-1"} if make is claude else {"modelVersion": "served-1"}
    native.natives.script = [Fault("say", message=said)]
    (reply,) = ask_model(make(native), make_request())
    assert isinstance(reply, Reply), reply
    assert GhostProbing().parse(reply.text).grade == "normal"
    assert reply.served_model == "served-1"
    assert reply.server_request_id == ("req_1" if make is claude else "resp_1")
    assert reply.finish_reason == ("end_turn" if make is claude else "STOP")
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (1200, 200, 40)
    assert reply.stages.preprocess_s is not None


def test_costs_count_what_came_from_the_cache_and_what_went_into_it(
    native: Server, ask_model: Any, make_request: Build, tmp_path: Any
) -> None:
    (reply,) = ask_model(claude(native), make_request())
    # Claude Sonnet 4.5: $3 a million in, 0.30 from the cache, 3.75 into it, 15 out.
    assert reply.usage.cost_usd == pytest.approx((900 * 3 + 200 * 0.3 + 100 * 3.75 + 40 * 15) / 1e6)
    (reply,) = ask_model(gemini(native), make_request())
    # Gemini 2.5 Flash: $0.30 in, 0.03 from the cache, 2.50 out, thoughts among it.
    assert reply.usage.cost_usd == pytest.approx((1000 * 0.3 + 200 * 0.03 + 40 * 2.5) / 1e6)
    rates = {"input": 1, "cached_input": 0, "output": 2, "cache_write": 10}
    (tmp_path / "own.json").write_text(json.dumps({"date": "d", "source": "s", "models": {CLAUDE: rates}}))
    (reply,) = ask_model(claude(native, price_file=str(tmp_path / "own.json")), make_request())
    assert reply.usage.cost_usd == pytest.approx((900 + 100 * 10 + 40 * 2) / 1e6)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"usage": "none"}, (None, None, None)),
        ({"usage": {"output_tokens": 40}}, (None, 0, 40)),
        ({"usage": {"input_tokens": 900}}, (900, 0, None)),
        ({"usage": {"input_tokens": "900", "output_tokens": 40.0}}, (900, 0, 40)),
        ({"usage": {"input_tokens": -1, "output_tokens": True, "cache_read_input_tokens": None}}, (None, 0, None)),
        ({"usage": {"input_tokens": 900, "output_tokens": 40, "cache_read_input_tokens": "x"}}, (None, None, 40)),
        ({"usage": {"input_tokens": 9, "output_tokens": 4, "cache_creation_input_tokens": [1]}}, (None, 0, 4)),
        ({"model": ["odd"]}, (1200, 200, 40)),
    ],
)
def test_a_whole_message_with_odd_words_beside_it_is_an_answer(
    native: Server, ask_model: Any, make_request: Build, said: dict[str, Any], counts: tuple[int | None, ...]
) -> None:
    native.natives.script = [Fault("say", message=said)]
    (reply,) = ask_model(claude(native), make_request())
    assert isinstance(reply, Reply), reply
    assert GhostProbing().parse(reply.text).grade == "normal"
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == counts
    assert (reply.usage.cost_usd is None) == (None in (counts[0], counts[2]))


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"usageMetadata": "none"}, (None, None, None)),
        ({"usageMetadata": {"promptTokenCount": 1200}}, (1200, 0, None)),
        ({"usageMetadata": {"promptTokenCount": "1200", "thoughtsTokenCount": 10}}, (1200, 0, 10)),
        ({"usageMetadata": {"promptTokenCount": [], "candidatesTokenCount": 30}}, (None, 0, 30)),
        (
            {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": "many"}},
            (9, 0, None),
        ),
        ({"modelVersion": 5, "responseId": {}, "promptFeedback": "none"}, (1200, 200, 40)),
    ],
)
def test_a_whole_generated_content_with_odd_words_beside_it_is_an_answer(
    native: Server, ask_model: Any, make_request: Build, said: dict[str, Any], counts: tuple[int | None, ...]
) -> None:
    native.natives.script = [Fault("say", message=said)]
    (reply,) = ask_model(gemini(native), make_request())
    assert isinstance(reply, Reply), reply
    assert GhostProbing().parse(reply.text).grade == "normal"
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == counts
    assert (reply.usage.cost_usd is None) == (None in (counts[0], counts[2]))


NOT_UTF8 = b'{"error": {"message": "\xff\xfe"}}'


@BOTH
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.AuthFailed), (403, errors.AuthFailed), (429, errors.RateLimited), (503, errors.ServerError)],
)
def test_a_status_counts_whatever_the_bytes_of_its_body(
    native: Server, ask_model: Any, make_request: Build, make: Made, status: int, kind: type[ModelError]
) -> None:
    native.natives.script = [Fault("status", status, {"retry-after": "7"}, NOT_UTF8)]
    (failure,) = ask_model(make(native), make_request())
    assert type(failure) is kind, repr(failure)
    assert failure.__cause__ is failure.__context__ is None
    assert str(failure).startswith(f"HTTP {status}")
    if status in {429, 503}:
        assert failure.retry_after_s == 7


@BOTH
def test_no_piece_of_the_key_is_in_what_is_said_of_an_odd_body(
    native: Server, ask_model: Any, make_request: Build, make: Made
) -> None:
    for pad in (0, 40, 150, 180):
        odd = ["x" * pad + " " + KEY]
        said = {"content": [{"type": "text", "text": odd}]} if make is claude else candidate("STOP", odd)
        native.natives.script = [Fault("say", message=said)]
        (failure,) = ask_model(make(native), make_request())
        assert type(failure) is errors.ServerError
        assert not any(KEY[at : at + 6] in repr(failure) for at in range(len(KEY) - 5))


@pytest.mark.parametrize("name", ["../other", "gemini?x=1", "gemini&x", "gemini 2.5", "gemini#x", "gemini%2e"])
def test_a_name_that_no_address_can_hold_is_told_before_anything_is_asked(native: Server, name: str) -> None:
    gemini(native).check()
    settings = GeminiSettings(base_url=f"http://127.0.0.1:{native.port}")
    for sound in ("models/gemini-2.5-flash", "tunedModels/my-own_1"):
        GeminiModel(settings, sound).check()
    with pytest.raises(BadInput, match="names no model: write the name as Google does"):
        GeminiModel(settings, name).check()


@BOTH
def test_no_request_costs_more_than_was_set_aside_for_it(native: Server, make_request: Build, make: Made) -> None:
    model, request = make(native), make_request(count=10, size=(1024, 427))
    most = model.estimate(request)
    assert most.cost_usd is not None
    assert most.cost_usd > 0
    assert most.input_tokens is not None
    assert most.input_tokens > 10 * 1024 * 427 / 750


@BOTH
@pytest.mark.parametrize("part", ["temperature", "schema", "logprobs"])
def test_what_a_model_does_not_take_is_named_for_the_ladder(
    native: Server, ask_model: Any, make_request: Build, make: Made, part: str
) -> None:
    words = {
        (claude, "temperature"): "temperature: this parameter is deprecated for this model",
        (claude, "schema"): "output_config.format: Extra inputs are not permitted",
        (gemini, "temperature"): "Invalid value: temperature is not supported by this model",
        (gemini, "schema"): 'Invalid JSON payload received. Unknown name "responseJsonSchema": Cannot find field.',
        (gemini, "logprobs"): "Logprobs is not enabled for models/gemini-2.5-flash",
    }
    said = words.get((make, part))
    if said is None:
        pytest.skip("Claude has no token probabilities")
    fault = of_anthropic(400, "invalid_request_error", said) if make is claude else of_google(400, "INVALID", said)
    native.natives.script = [fault]
    (failure,) = ask_model(make(native), make_request())
    assert failure.refuses == ({"schema": "response_format"}.get(part, part),)
    without = {"without": (part,)} if part != "schema" else {"response_format": "text"}
    (reply,) = ask_model(make(native), make_request(level=1, level_settings=without))
    assert isinstance(reply, Reply)
    sent = json.dumps(native.natives.bodies[-1][1])
    assert {"temperature": '"temperature"', "schema": "additionalProperties", "logprobs": "responseLogprobs"}[
        part
    ] not in sent


def test_geminis_token_probabilities_give_the_score(native: Server, ask_model: Any, make_request: Build) -> None:
    text = json.dumps({"grade": "normal", "event_time_s": None, "actor": None, "occluder": None, "evidence": "road"})
    before, rest = '{"grade": "', text.removeprefix('{"grade": "').removeprefix("normal")
    tokens = [(before, [(before, 0.0)]), ("normal", [("normal", -0.3567), ("ghost", -1.204)]), (rest, [(rest, 0.0)])]
    result = {
        "chosenCandidates": [{"token": word, "logProbability": top[0][1]} for word, top in tokens],
        "topCandidates": [
            {"candidates": [{"token": word, "logProbability": p} for word, p in top]} for _, top in tokens
        ],
    }
    said = candidate("STOP", text)
    said["candidates"][0]["logprobsResult"] = result
    native.natives.script = [Fault("say", message=said)]
    (reply,) = ask_model(gemini(native), make_request())
    assert reply.grade_probabilities is not None
    assert reply.grade_probabilities["normal"] == pytest.approx(0.7, abs=1e-3)
    assert reply.grade_probabilities["ghost_probing"] == pytest.approx(0.3, abs=1e-3)


def test_geminis_thoughts_are_no_part_of_its_answer(native: Server, ask_model: Any, make_request: Build) -> None:
    said = candidate("STOP", '{"grade": "x"}')
    said["candidates"][0]["content"]["parts"].insert(0, {"text": "hm, ghost_probing?", "thought": True})
    native.natives.script = [Fault("say", message=said)]
    (reply,) = ask_model(gemini(native), make_request())
    assert reply.text == '{"grade": "x"}'


@BOTH
def test_no_other_variable_of_the_environment_is_sent_or_obeyed(
    native: Server, ask_model: Any, make_request: Build, make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)
    (reply,) = ask_model(make(native), make_request())
    assert isinstance(reply, Reply), reply
    assert native.natives.keys == {KEY}
    assert {sent.removeprefix("Bearer ") for sent in native.log.authorizations} == {KEY}


@BOTH
def test_the_key_is_in_nothing_that_comes_back(
    native: Server, ask_model: Any, make_request: Build, make: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    said = f"Odd key {KEY}; x-api-key: {KEY}"
    answer = {"content": [{"type": "text", "text": KEY}]} if make is claude else candidate(KEY, KEY)
    for fault in (of_anthropic(400, KEY, said), of_google(500, KEY, said), Fault("say", message=answer)):
        native.natives.script = [fault]
        (result,) = ask_model(make(native), make_request())
        assert KEY not in repr(result) + str(vars(result) if isinstance(result, ModelError) else "") + caplog.text


@BOTH
def test_a_key_is_asked_for_before_anything_runs(make: Made, native: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("GEMINI_API_KEY")
    make(native).check()
    own = ClaudeModel(ClaudeSettings(), CLAUDE) if make is claude else GeminiModel(GeminiSettings(), GEMINI)
    with pytest.raises(BadInput, match=r"_API_KEY is not set; export it"):
        own.check()


@pytest.mark.parametrize(
    ("url", "environ", "key"),
    [
        ("https://api.example.com/v1", {"A_KEY": "a", "B_KEY": "b"}, "a"),
        ("https://api.example.com/v1", {"A_KEY": "", "B_KEY": "b"}, "b"),
        ("https://eu.api.example.com", {"A_KEY": "a"}, "a"),
        ("https://api.example.com", {"A_KEY": ""}, BadInput),
        ("https://eu.api.example.com", {}, BadInput),
        ("https://notapi.example.com", {}, None),
        ("http://127.0.0.1:8000", {}, None),
    ],
)
def test_a_services_own_hosts_need_a_key_and_no_others(url: str, environ: dict[str, str], key: Any) -> None:
    def found() -> str | None:
        return key_for(url, "https://api.example.com", environ, "A_KEY", "B_KEY")

    if key is BadInput:
        with pytest.raises(BadInput, match="A_KEY is not set; export it"):
            found()
    else:
        assert found() == key


@BOTH
def test_a_server_without_keys_gets_none(
    ask_model: Any, make_request: Build, make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("GEMINI_API_KEY")
    with running(Server()) as server:
        (reply,) = ask_model(make(server), make_request())
        assert isinstance(reply, Reply), reply
        assert server.natives.keys == set()


def test_anthropics_budgets_hold_requests_back(native: Server, make_request: Build) -> None:
    native.natives.headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z",
    }

    async def twice(model: ClaudeModel) -> None:
        await model.load()
        try:
            await model.answer(make_request())
            await model.answer(make_request())
        finally:
            await model.aclose()
            model.close()

    with pytest.raises(errors.RateLimited, match="not sent"):
        asyncio.run(twice(claude(native)))
    assert len(native.natives.bodies) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("model", "api"), [(f"anthropic:{CLAUDE}", "anthropic"), (f"google:{GEMINI}", "gemini")])
def test_a_run_asks_them_and_writes_no_key(bench: Any, native: Server, model: str, api: str) -> None:
    bench.url = f"http://127.0.0.1:{native.port}"
    native.natives.script = [None, of_anthropic(529, "overloaded_error", f"Overloaded {KEY}"), Fault("reset")]
    env = {"ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY}
    done = bench.run("--models", f"{model}=m", "--max-attempts", "3", env=env, model="m")
    assert done.returncode == 0, done.stderr
    lines = bench.lines("predictions.jsonl")
    assert [(line["outcome"], line["grade"]) for line in lines] == [("answered", "normal")] * 6
    attempts = bench.lines("attempts.jsonl")
    assert sorted(line["outcome"] for line in attempts if line["outcome"] != "answered") == [
        "connection_failed",
        "server_error",
    ]
    assert len(native.natives.asked(api)) == 8
    everything = done.stdout + done.stderr
    for path in (bench.folder / "results").rglob("*"):
        everything += path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    assert KEY not in everything
    facts = bench.manifest()["models"]["m"]
    assert f"127.0.0.1:{native.port}" in json.dumps(facts)


def test_planning_imports_neither_sdk() -> None:
    code = (
        "import sys, ghostbench_anthropic, ghostbench_google;"
        "ghostbench_anthropic.register_models(lambda spec: None); ghostbench_google.register_models(lambda spec: None);"
        "print(sorted({'anthropic', 'google.genai', 'httpx2', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
