"""What is sent: messages, frames, schema, settings, keys."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback_openai import Fault, Server
from PIL import Image

from ghostbench import BadInput, FramePart, Reply, Request, TextPart
from ghostbench_openai.chat import AzureChatModel, ChatModel
from ghostbench_openai.settings import OpenAISettings
from ghostbench_remote.images import fitted, jpegs
from ghostbench_remote.schema import NOT_ENFORCED, strict_schema

Ask = Callable[..., list[Any]]
Build = Callable[..., Request]


def sent(server: Server, ask: Ask, request: Request, **settings: Any) -> dict[str, Any]:
    server.chat.keep_bodies = True
    (reply,) = ask(request, **settings)
    assert isinstance(reply, Reply), reply
    return server.chat.bodies[-1]


def test_the_users_parts_are_sent_in_order_each_frame_after_its_time(
    server: Server, ask: Ask, make_request: Build
) -> None:
    request = make_request(3)
    body = sent(server, ask, request)
    system, user = body["messages"]
    assert system == {"role": "system", "content": request.prompt.system}
    assert user["role"] == "user"
    for part, asked in zip(user["content"], request.prompt.parts, strict=True):
        if isinstance(asked, TextPart):
            assert part == {"type": "text", "text": asked.text}
        else:
            assert part["type"] == "image_url"
    kinds = [part["type"] for part in user["content"]]
    for place in (index for index, kind in enumerate(kinds) if kind == "image_url"):
        assert user["content"][place - 1]["text"].startswith("Frame at ")


def test_each_frame_arrives_as_the_jpeg_of_its_pixels(server: Server, ask: Ask, make_request: Build) -> None:
    smooth = np.zeros((2, 48, 64, 3), dtype=np.uint8)
    smooth[0, :, :32], smooth[1, :, 32:] = (200, 40, 40), (40, 40, 200)
    request = make_request(2)
    request.frames.pixels.flags.writeable = True
    request.frames.pixels[:] = smooth
    body = sent(server, ask, request, detail="low")
    images = [part["image_url"] for part in body["messages"][1]["content"] if part["type"] == "image_url"]
    assert [image["detail"] for image in images] == ["low", "low"]
    for image, expected in zip(images, smooth, strict=True):
        head, _, data = image["url"].partition(",")
        assert head == "data:image/jpeg;base64"
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert decoded.shape == (48, 64, 3)
        assert np.abs(decoded.astype(int) - expected).mean() < 4


def test_frames_are_shrunk_to_max_side_and_never_enlarged(make_request: Build) -> None:
    assert fitted(1584, 660, 1024) == (1024, 427)
    assert fitted(660, 1584, 1024) == (427, 1024)
    assert fitted(640, 360, 1024) == (640, 360)
    frames = make_request(2, size=(200, 100)).frames
    sizes = [Image.open(io.BytesIO(base64.b64decode(jpeg))).size for jpeg in jpegs(frames, 80)]
    assert sizes == [(80, 40), (80, 40)]


def test_frames_are_encoded_once_for_retries_and_models(make_request: Build) -> None:
    request = make_request(2)
    first = jpegs(request.frames, 1024)
    assert all(a is b for a, b in zip(first, jpegs(request.frames, 1024), strict=True))
    assert jpegs(request.frames, 32)[0] != first[0]


def test_settings_reach_the_body(server: Server, ask: Ask, make_request: Build) -> None:
    body = sent(server, ask, make_request())
    assert body["model"] == "gpt-4.1"
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.0, 7, make_request().prompt.max_output_tokens)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 10)
    given = {"temperature": None, "seed": 3, "max_output_tokens": 11, "logprobs": False}
    body = sent(server, ask, make_request(), **given)
    assert "temperature" not in body
    assert "logprobs" not in body
    assert (body["seed"], body["max_tokens"]) == (3, 11)


def test_what_was_refused_is_left_out_and_the_limit_goes_by_its_other_name(
    server: Server, ask: Ask, make_request: Build
) -> None:
    def asked(*without: str) -> dict[str, Any]:
        return sent(server, ask, make_request(level=1, level_settings={"without": without}), stream=True)

    whole = asked()
    parts = {"seed", "temperature", "logprobs", "max_tokens", "stream_options"}
    assert parts <= whole.keys()
    for part in sorted(parts):
        assert whole.keys() - asked(part).keys() == ({part, "top_logprobs"} if part == "logprobs" else {part})
    assert asked("max_tokens")["max_completion_tokens"] == whole["max_tokens"]
    assert "max_tokens" in asked("max_tokens", "max_completion_tokens"), "a limit is always sent"
    assert "detail" not in json.dumps(asked("detail")["messages"])


def test_seed_and_the_limits_name_are_settings(server: Server, ask: Ask, make_request: Build) -> None:
    body = sent(server, ask, make_request(), send_seed=False, limit_field="max_completion_tokens")
    assert "seed" not in body
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == make_request().prompt.max_output_tokens


@pytest.mark.parametrize(
    ("url", "version", "field"),
    [
        ("https://api.openai.com/v1", None, "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", None, "max_completion_tokens"),
        ("https://us.api.openai.com/v1", None, "max_completion_tokens"),
        ("https://notapi.openai.com.example.com/v1", None, "max_tokens"),
        ("http://127.0.0.1:8000/v1", None, "max_tokens"),
        ("https://x.openai.azure.com", None, "max_completion_tokens"),
        ("https://x.openai.azure.com", "2024-10-21", "max_completion_tokens"),
        ("https://x.openai.azure.com", "2024-09-01-preview", "max_completion_tokens"),
        ("https://x.openai.azure.com", "2024-08-01-preview", "max_tokens"),
        ("https://x.openai.azure.com", "2024-06-01", "max_tokens"),
    ],
)
def test_the_limit_goes_by_the_name_that_the_server_takes(
    monkeypatch: pytest.MonkeyPatch, url: str, version: str | None, field: str
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-0123456789")
    kind = AzureChatModel if "azure" in url else ChatModel
    assert kind(OpenAISettings(base_url=url, api_version=version), "m").endpoint.limit_field == field


def test_levels_change_format_and_length(server: Server, ask: Ask, make_request: Build) -> None:
    formats = []
    for number, level in enumerate(ChatModel.ladder, start=1):
        body = sent(server, ask, make_request(level=number, level_settings=level.settings))
        formats.append((level.name, (body.get("response_format") or {}).get("type"), "logprobs" in body))
    assert formats == [
        ("without what was refused", "json_schema", True),
        ("schema alone", "json_schema", False),
        ("json_object", "json_object", True),
        ("plain text", None, False),
        ("8 frames", "json_schema", True),
        ("4 frames", "json_schema", True),
        ("longer answer", "json_schema", True),
    ]
    assert body["max_tokens"] == 4 * make_request().prompt.max_output_tokens


def test_the_schema_is_strict_and_keeps_the_verdict_first(server: Server, ask: Ask, make_request: Build) -> None:
    asked = sent(server, ask, make_request())["response_format"]["json_schema"]
    assert asked["strict"] is True
    assert asked["name"] == make_request().prompt.schema_name
    assert next(iter(asked["schema"]["properties"])) == "grade"
    assert "$ref" not in json.dumps(asked)
    assert asked["schema"]["properties"]["event_time_s"] == {
        "type": ["number", "null"],
        "description": "minimum 0, maximum 3600",
    }


def test_a_schema_with_an_optional_property_is_a_wish(server: Server, ask: Ask, make_request: Build) -> None:
    request = make_request()
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}, "required": []}
    asked = sent(server, ask, replace(request, prompt=replace(request.prompt, schema=schema)))
    assert asked["response_format"]["json_schema"] == {"name": "ghost_probing", "strict": False, "schema": schema}


@pytest.mark.parametrize(("text", "noted"), [("{}", False), ('{"a": "x"}', False), ('{"a": 1}', True), ("so", True)])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_held_to_the_schema_that_was_sent(
    server: Server, ask: Ask, make_request: Build, text: str, noted: bool, stream: bool
) -> None:
    request = make_request()
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}
    server.chat.script = [Fault("say", message={"content": text})]
    (reply,) = ask(replace(request, prompt=replace(request.prompt, schema=schema)), stream=stream)
    assert isinstance(reply, Reply), reply
    assert (NOT_ENFORCED in reply.notes) == noted


def test_strict_schema_reaches_nested_objects() -> None:
    schema = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"type": "object", "properties": {"x": {"const": 1}}}]},
    }
    closed = {"type": "object", "properties": {"x": {"const": 1}}, "required": ["x"], "additionalProperties": False}
    assert strict_schema(schema) == {"type": "array", "items": {"anyOf": [closed]}}


def test_without_frames_no_image_is_sent(server: Server, ask: Ask, make_request: Build) -> None:
    request = make_request()
    parts = tuple(part for part in request.prompt.parts if not isinstance(part, FramePart))
    body = sent(server, ask, replace(request, frames=None, prompt=replace(request.prompt, parts=parts)))
    assert {part["type"] for part in body["messages"][1]["content"]} == {"text"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_tells_what_the_server_told(server: Server, ask: Ask, make_request: Build, stream: bool) -> None:
    request = make_request()
    (reply,) = ask(request, stream=stream)
    assert json.loads(reply.text)["grade"] in request.prompt.verdict_values
    assert (reply.served_model, reply.system_fingerprint) == ("gpt-4.1-2025-04-14", "fp_loopback")
    assert (reply.finish_reason, reply.server_request_id) == ("stop", "req_1")
    usage = reply.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (1200, 200, 40)
    assert usage.cost_usd == pytest.approx((1000 * 2 + 200 * 0.5 + 40 * 8) / 1e6)
    assert (reply.stages.first_token_s is not None, reply.stages.generate_s is not None) == (stream, stream)
    assert server.log.entries[0].client_id == request.id
    assert reply.grade_probabilities is not None
    assert max(reply.grade_probabilities.values()) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("settings", "environ", "path", "header"),
    [
        ({"api_version": "2024-10-21"}, {}, "/openai/deployments/my%20gpt/chat/completions", "bare"),
        ({}, {"OPENAI_API_VERSION": "2024-10-21"}, "/openai/deployments/my%20gpt/chat/completions", "bare"),
        ({}, {}, "/openai/v1/chat/completions", "Bearer"),
    ],
)
def test_azure_is_reached_by_dated_and_by_v1_api(
    server: Server,
    ask_model: Ask,
    make_request: Build,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    environ: dict[str, str],
    path: str,
    header: str,
) -> None:
    server.key = "azure-key-0123456789"
    for name, value in {"AZURE_OPENAI_API_KEY": server.key, **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{server.port}/")
    (reply,) = ask_model(AzureChatModel(OpenAISettings(**settings), "my gpt"), make_request())
    assert isinstance(reply, Reply), reply
    assert server.log.entries[0].path == path
    assert server.log.authorizations == {server.key if header == "bare" else f"Bearer {server.key}"}


def test_a_server_of_ones_own_needs_no_key(
    server: Server, ask: Ask, make_request: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = None
    monkeypatch.delenv("OPENAI_API_KEY")
    (reply,) = ask(make_request(), model="my-model")
    assert isinstance(reply, Reply), reply
    assert server.log.authorizations == {""}
    assert reply.usage.cost_usd is None
    assert reply.notes == ("no price is known for my-model: cost is null; price_file can name one",)


def test_an_unknown_price_is_said_once(server: Server, ask: Ask, make_request: Build) -> None:
    replies = ask(*(make_request(seed=n) for n in range(4)), model="my-model")
    assert sum(bool(reply.notes) for reply in replies) == 1


SETTINGS = [
    *("base_url", "api_version", "concurrency", "timeout_s", "temperature", "seed", "send_seed", "detail", "max_side"),
    *("max_output_tokens", "limit_field", "stream", "logprobs", "batch", "price_file"),
]


def test_the_settings_are_those_that_are_documented() -> None:
    assert [field.name for field in fields(OpenAISettings)] == SETTINGS
    page = (Path(__file__).parents[2] / "docs" / "gpt-4.1.md").read_text(encoding="utf-8")
    for field in fields(OpenAISettings):
        default = str(field.default).lower().removesuffix(".0")
        assert f"| `{field.name}` | {default} |" in page


@pytest.mark.parametrize(
    ("model", "settings", "environ", "words"),
    [
        (ChatModel, {}, {"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is not set"),
        (ChatModel, {}, {"OPENAI_API_KEY": "sk-with\nline-end-and-more"}, "characters that no key has"),
        (ChatModel, {"base_url": "http://me:secret@host/v1"}, {}, "user name or password"),
        (ChatModel, {"base_url": "http://host/v1?api-key=x"}, {}, "query"),
        (ChatModel, {"base_url": "ftp://host"}, {}, "not a web address"),
        (ChatModel, {"base_url": "http://host:port"}, {}, "not a URL"),
        (ChatModel, {"api_version": "2024-10-21"}, {}, "azure"),
        (
            ChatModel,
            {"base_url": "http://h/v1/chat/completions"},
            {},
            "base_url ends in /chat/completions, .* http://h/v1$",
        ),
        (ChatModel, {}, {"OPENAI_BASE_URL": "http://h/v1/chat/completions/"}, "OPENAI_BASE_URL ends in /chat/compl"),
        (
            ChatModel,
            {},
            {"ALL_PROXY": "socks://me:secret@127.0.0.1:1080"},
            "ALL_PROXY names a proxy of the kind socks://",
        ),
        (ChatModel, {}, {"https_proxy": "socks4://127.0.0.1:1080"}, "https_proxy .* socks4://; write http://"),
        (ChatModel, {}, {"HTTPS_PROXY": "http://me:secret@h:port"}, "HTTPS_PROXY is not the address of a proxy"),
        (
            ChatModel,
            {},
            {"SSL_CERT_FILE": "/nowhere/ca.pem"},
            "SSL_CERT_FILE names /nowhere/ca.pem, which is not there",
        ),
        (ChatModel, {}, {"SSL_CERT_FILE": __file__}, "holds no certificates"),
        (ChatModel, {}, {"SSL_CERT_DIR": "/nowhere"}, "SSL_CERT_DIR names /nowhere, which is not there"),
        (
            ChatModel,
            {},
            {"SSLKEYLOGFILE": "/nowhere/keys.log"},
            "SSLKEYLOGFILE names /nowhere/keys.log, which cannot be",
        ),
        (ChatModel, {}, {"OPENAI_ORG_ID": "org-ü"}, "OPENAI_ORG_ID holds characters that no header can carry"),
        (ChatModel, {}, {"OPENAI_PROJECT_ID": "proj\n"}, "OPENAI_PROJECT_ID holds characters that no header"),
        (ChatModel, {"price_file": "/nowhere.json"}, {}, "cannot be read"),
        (AzureChatModel, {}, {}, "AZURE_OPENAI_ENDPOINT is not set"),
        (AzureChatModel, {"base_url": "https://x.openai.azure.com"}, {}, "AZURE_OPENAI_API_KEY is not set"),
    ],
)
def test_what_is_missing_or_wrong_is_found_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, model: type[ChatModel], settings: Any, environ: dict[str, str], words: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=words) as caught:
        model(OpenAISettings(**settings), "gpt-4.1").check()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
