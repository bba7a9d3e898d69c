"""A good answer is kept whatever is odd beside it; thoughts before it are none of it; filters and errors are told."""

from __future__ import annotations

import functools
import gzip
import json
import math
import resource
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_openai import Fault, Server

from ghostbench import GRADES, ModelError, Reply, Request, errors
from ghostbench_openai.completion import Answer, parse_completion, reply_or_error
from ghostbench_remote.bounded import MOST_BYTES
from ghostbench_remote.ending import Reading
from ghostbench_remote.prices import read_prices
from ghostbench_remote.redaction import Secrets
from ghostbench_remote.schema import NOT_ENFORCED, strict_schema
from ghostbench_remote.thoughts import without_thoughts

Ask = Callable[..., list[Any]]
Build = Callable[..., Request]
TEXT = '{"grade": "normal", "event_time_s": null, "actor": null, "occluder": null, "evidence": "a clear road"}'
PRICES = read_prices(None)


def read(body: Any, schema: Any = None) -> Reply | ModelError:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer()
    try:
        answer.add(parse_completion(text, Secrets([])))
    except ModelError as error:
        return error
    reading = Reading(
        verdict_field="grade",
        verdict_values=GRADES,
        names=("gpt-4.1",),
        prices=PRICES,
        batch=False,
        secrets=Secrets([]),
        schema=schema,
    )
    return reply_or_error(answer, reading)


def completion(text: Any = TEXT, finish: Any = "stop", **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}], "model": "gpt-4.1"}


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TOP = ("id", "object", "created", "model", "system_fingerprint", "usage", "service_tier", "prompt_filter_results")
OF_CHOICE = ("index", "logprobs", "content_filter_results", "delta_", "stop_reason")
OF_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")
OF_TOKEN = ("token", "logprob", "bytes", "top_logprobs")


@given(
    st.dictionaries(st.sampled_from(TOP), odd),
    st.dictionaries(st.sampled_from(OF_CHOICE), odd),
    st.none() | st.dictionaries(st.sampled_from(OF_USAGE), odd | st.dictionaries(st.just("cached_tokens"), odd)),
    st.none() | st.lists(odd | st.dictionaries(st.sampled_from(OF_TOKEN), odd), max_size=3),
    st.booleans(),
)
def test_a_good_answer_is_kept_whatever_is_odd_beside_it(
    top: dict[str, Any], choice: dict[str, Any], usage: Any, tokens: Any, mark: bool
) -> None:
    body = completion(**choice) | top
    if usage is not None:
        body["usage"] = usage
    if tokens is not None:
        body["choices"][0]["logprobs"] = {"content": tokens}
    result = read((b"\xef\xbb\xbf" if mark else b"") + json.dumps(body).encode())
    assert isinstance(result, Reply), repr(result)
    assert result.text == TEXT
    for count in (result.usage.input_tokens, result.usage.output_tokens, result.usage.cached_tokens):
        assert count is None or (type(count) is int and count >= 0)


@pytest.mark.parametrize(
    ("given_count", "count"),
    [
        (7, 7),
        (7.0, 7),
        ("7", 7),
        ("7.0", 7),
        (7.5, None),
        (-1, None),
        (None, None),
        ("many", None),
        (True, None),
        ([], None),
    ],
)
def test_a_count_is_read_where_it_is_one(given_count: Any, count: int | None) -> None:
    reply = read(completion() | {"usage": {"prompt_tokens": given_count, "completion_tokens": 3}})
    assert isinstance(reply, Reply)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (count, 3)
    assert (reply.usage.cost_usd is None) == (count is None), "what was not counted is not priced"


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_or_piece_that_is_nested_without_end_is_the_servers_error(
    server: Server, ask: Ask, make_request: Build, stream: bool
) -> None:
    deep = "[" * 200_000
    body = f"data: {deep}\n\n" if stream else deep
    headers = {"content-type": "text/event-stream"} if stream else {}
    server.chat.script = [Fault("status", 200, headers, body)]
    (failure,) = ask(make_request(), stream=stream)
    assert type(failure) is errors.ServerError, repr(failure)


def tokens(*known: tuple[str, float | None, dict[str, float | None]]) -> dict[str, Any]:
    return {
        "content": [
            {"token": text, "logprob": p, "top_logprobs": [{"token": t, "logprob": q} for t, q in others.items()]}
            for text, p, others in known
        ]
    }


def test_a_log_probability_that_is_missing_leaves_the_answer_without_a_score() -> None:
    lead = ('{"grade": "', 0.0, {})
    good = tokens(lead, ("normal", math.log(0.8), {"ghost": math.log(0.2)}), ('"}', 0.0, {}))
    null = tokens(lead, ("normal", None, {"ghost": math.log(0.2)}), ('"}', 0.0, {}))
    reply, bare = (
        read(completion('{"grade": "normal"}', logprobs=good)),
        read(completion('{"grade": "normal"}', logprobs=null)),
    )
    assert isinstance(reply, Reply)
    assert isinstance(bare, Reply)
    assert reply.grade_probabilities == pytest.approx(
        {"ghost_probing": 0.2, "potential_ghost_probing": 0, "normal": 0.8}
    )
    assert bare.grade_probabilities is None


MARKS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<Think>", "</THINK>"),
]
thoughts = st.text(st.characters(exclude_characters="<>[]◁▷", exclude_categories=("Cs",)), max_size=60)


@given(thoughts, st.sampled_from(MARKS), st.sampled_from(["", "\n", "  "]), st.booleans())
def test_thoughts_before_the_answer_are_taken_off(words: str, marks: tuple[str, str], gap: str, opened: bool) -> None:
    before = f"{gap}{marks[0] if opened else ''}{words}{TEXT}{marks[1]}"
    assert without_thoughts(before + TEXT) == (before, TEXT)
    reply = read(completion(before + gap + TEXT))
    assert isinstance(reply, Reply)
    assert reply.text.strip() == TEXT
    assert reply.notes == (f"{len(before)} characters of thoughts before the answer were taken off",)


@given(st.text(max_size=60))
def test_a_text_without_thoughts_is_left_as_it_is(text: str) -> None:
    if "think" not in text.lower() and "thought" not in text.lower() and "reasoning" not in text.lower():
        assert without_thoughts(text) == ("", text)
    assert "".join(without_thoughts(text)) == text


@pytest.mark.parametrize(
    "kind", ["reasoning", "thinking", "thought", "redacted_thinking", "reasoning_text", "summary_text"]
)
def test_a_part_of_thoughts_is_no_part_of_the_answer(kind: str) -> None:
    draft = {"type": kind, "text": TEXT.replace("normal", "ghost_probing")}
    told = read(completion([draft, {"type": "text", "text": TEXT[:40]}, {"text": TEXT[40:]}]))
    assert isinstance(told, Reply)
    assert told.text == TEXT
    assert read(completion([draft])).text == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("given_count", [2**64, 1e30, "99999999999999999999"])
def test_a_count_that_nobody_can_have_counted_costs_no_answer(given_count: Any) -> None:
    told = read({**completion(), "usage": {"prompt_tokens": given_count, "completion_tokens": 5}})
    assert isinstance(told, Reply)
    assert (told.usage.input_tokens, told.usage.output_tokens) == (None, 5)


def test_a_draft_in_thoughts_that_never_end_is_no_answer() -> None:
    reply = read(completion(f"<think>perhaps {TEXT}"))
    assert isinstance(reply, Reply)
    assert reply.text == ""


def test_the_score_is_that_of_the_answer_and_not_of_a_draft() -> None:
    draft = [
        ("<think>", 0.0, {}),
        ('{"grade": "', 0.0, {}),
        ("ghost_probing", 0.0, {}),
        ('"}', 0.0, {}),
        ("</think>", 0.0, {}),
    ]
    said = [('{"grade": "', 0.0, {}), ("normal", math.log(0.7), {"ghost": math.log(0.3)}), ('"}', 0.0, {})]
    text = "".join(token[0] for token in draft + said)
    reply = read(completion(text, logprobs=tokens(*draft, *said)))
    assert isinstance(reply, Reply)
    assert reply.text == '{"grade": "normal"}'
    assert reply.grade_probabilities is not None
    assert reply.grade_probabilities["ghost_probing"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (completion("half", "SAFETY"), errors.ContentFiltered),
        (completion(None, "content_filter: PROHIBITED_CONTENT"), errors.ContentFiltered),
        (completion(None, "RECITATION"), errors.ContentFiltered),
        (
            {"choices": [{"index": 0, "finish_reason": "content_filter", "content_filter_results": {}}]},
            errors.ContentFiltered,
        ),
        (
            {"choices": [], "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]},
            errors.ContentFiltered,
        ),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, errors.ContentFiltered),
        (completion("half", "MAX_TOKENS"), errors.Truncated),
        (completion("half", "model_length"), errors.Truncated),
        (completion("", "refusal"), errors.Refused),
        (completion("half", "error"), errors.ServerError),
        (completion("half", "error", error={"code": 429, "message": "slow down"}), errors.RateLimited),
        (completion("half", "error", error={"code": 502, "message": "upstream"}), errors.ServerError),
        ({"choices": [{"index": 0, "finish_reason": "stop"}]}, errors.ServerError),
    ],
)
def test_an_answer_that_is_none_is_told_by_how_it_ended(body: Any, error: type[ModelError]) -> None:
    result = read(body)
    assert type(result) is error, repr(result)


SCHEMA = {"type": "object", "properties": {"grade": {"enum": list(GRADES)}}, "required": ["grade"]}


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ('{"grade": "normal"}', False),
        (' {"grade": "normal"}\n', False),
        ('```json\n{"grade": "normal"}\n```', True),
        ('Here it is: {"grade": "normal"}', True),
        ('{"grade": "none"}', True),
        ('{"grade": "normal", "more": 1}', True),
        ("{}", True),
        ("", False),
    ],
)
def test_an_answer_that_no_schema_held_is_noted(text: str, noted: bool) -> None:
    reply = read(completion(text), strict_schema(SCHEMA))
    assert isinstance(reply, Reply)
    assert (NOT_ENFORCED in reply.notes) == noted
    free = read(completion(text))
    assert isinstance(free, Reply)
    assert not free.notes


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_ignores_the_schema_is_found_out(
    server: Server, ask: Ask, make_request: Build, stream: bool
) -> None:
    server.chat.script = [Fault("say", message={"content": f"```json\n{TEXT}\n```"}), None]
    (fenced,), (held,) = ask(make_request(), stream=stream), ask(make_request(), stream=stream)
    assert NOT_ENFORCED in fenced.notes
    assert NOT_ENFORCED not in held.notes
    server.chat.script = [Fault("say", message={"content": "free words"})]
    (plain,) = ask(make_request(level=4, level_settings={"response_format": "text"}), stream=stream)
    assert NOT_ENFORCED not in plain.notes


@functools.cache
def big(encoding: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    block = b" " * (1 << 20)
    return b"".join([packer.compress(b"{"), *(packer.compress(block) for _ in range(400)), packer.flush()])


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_read_no_further_than_an_answer_goes(
    server: Server, ask: Ask, make_request: Build, encoding: str, stream: bool, status: int
) -> None:
    body = b"data: " + b" " * (MOST_BYTES + 1) if encoding == "identity" else big(encoding)
    kind = "text/event-stream" if stream and status == 200 else "application/json"
    server.chat.script = [Fault("status", status, {"content-encoding": encoding, "content-type": kind}, body)]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    (failure,) = ask(make_request(), stream=stream)
    assert type(failure) in {errors.ServerError, errors.RequestRejected}, repr(failure)
    if status == 200:
        assert "larger than 32 MiB" in str(failure)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 250, f"{grown:.0f} MiB for a body of 400"
    assert time.monotonic() - began < 20
    assert failure.__cause__ is failure.__context__ is None


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_answer_is_an_answer(server: Server, ask: Ask, make_request: Build, encoding: str) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(completion()).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    server.chat.script = [Fault("status", 200, {"content-encoding": encoding}, packed)]
    (reply,) = ask(make_request())
    assert isinstance(reply, Reply), repr(reply)
    assert reply.text == TEXT


def test_a_stream_that_begins_with_a_mark_loses_nothing(server: Server, ask: Ask, make_request: Build) -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": "stop"}]}
    body = b"\xef\xbb\xbfdata: " + json.dumps(piece).encode() + b"\n\ndata: [DONE]\n\n"
    server.chat.script = [Fault("status", 200, {"content-type": "text/event-stream"}, body)]
    (reply,) = ask(make_request(), stream=True)
    assert isinstance(reply, Reply), repr(reply)
    assert reply.text == TEXT


def stream_of(server: Server, *events: str) -> None:
    body = "".join(f"{event}\n\n" for event in (*events, "data: [DONE]"))
    server.chat.script = [Fault("status", 200, {"content-type": "text/event-stream"}, body)]


@pytest.mark.parametrize(
    "idle",
    ["event: ping", "id: 1", "retry: 3000", ": waiting", "event: heartbeat\nid: 7", "data:", "event: ping\ndata:"],
)
def test_an_event_without_data_costs_a_stream_nothing(server: Server, ask: Ask, make_request: Build, idle: str) -> None:
    half = len(TEXT) // 2
    first, last = ({"index": 0, "delta": {"content": text}} for text in (TEXT[:half], TEXT[half:]))
    pieces = [f"data: {json.dumps({'choices': [choice]})}" for choice in (first, last | {"finish_reason": "stop"})]
    stream_of(server, idle, pieces[0], idle, idle, pieces[1], idle)
    (reply,) = ask(make_request(), stream=True)
    assert isinstance(reply, Reply), repr(reply)
    assert reply.text == TEXT


def test_a_stream_without_a_piece_of_an_answer_is_told_as_that(server: Server, ask: Ask, make_request: Build) -> None:
    stream_of(server, "event: ping", "event: ping")
    (failure,) = ask(make_request(), stream=True)
    assert type(failure) is errors.ServerError
    assert str(failure) == "the stream ended without a piece of an answer"


def test_of_several_choices_one_is_the_answer_and_none_is_mixed_into_it() -> None:
    other = TEXT.replace("normal", "ghost_probing")
    whole = completion()
    whole["choices"].insert(0, {"index": 1, "message": {"content": other}, "finish_reason": "stop"})
    reply = read(whole)
    assert isinstance(reply, Reply)
    assert reply.text == TEXT
    answer = Answer()
    for begin in range(0, len(TEXT), 7):
        for index, text in ((0, TEXT), (1, other)):
            piece = {"choices": [{"index": index, "delta": {"content": text[begin : begin + 7]}}]}
            answer.add(parse_completion(piece, Secrets([])))
    assert answer.text == TEXT


def test_a_refusal_in_parts_is_a_refusal() -> None:
    assert isinstance(read(completion([{"type": "refusal", "refusal": "I cannot help"}])), errors.Refused)
