"""A request as the JSON body of a chat completion, assembled from pieces that are encoded once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ghostbench import Prompt, Request
from ghostbench_remote.complaints import FORMAT, OPTIONAL
from ghostbench_remote.images import message
from ghostbench_remote.schema import can_be_strict, schema_sent

TOP_LOGPROBS = 10
"""Alternatives asked for at each token, of the API's 20: room for the spellings of three values in half the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyOptions:
    """What the body says beside the prompt.

    limit_field : the name under which the server takes the output limit. temperature, seed : None is not sent, nor is
    an empty detail. json_object : whether JSON is asked for, without a schema. usage : whether a stream is asked to end
    with the usage.
    """

    model: str
    limit_field: str
    temperature: float | None
    seed: int | None
    detail: str
    max_side: int
    max_output_tokens: int
    stream: bool
    logprobs: bool
    json_object: bool = False
    usage: bool = True


def build_body(request: Request, options: BodyOptions) -> bytes:
    """The JSON body, UTF-8. Encodes the frames that it shows when they have not been: call it in a thread.

    The megabytes in it are the frames' base64, which is copied here once and never passes through a JSON encoder.
    """
    fields = json.dumps(_fields(request, options), ensure_ascii=False).encode()
    user = b",".join(_parts(request, options))
    system = json.dumps({"role": "system", "content": request.prompt.system}, ensure_ascii=False).encode()
    return b"".join((fields[:-1], b',"messages":[', system, b',{"role":"user","content":[', user, b"]}]}"))


def parts_sent(request: Request, options: BodyOptions) -> frozenset[str]:
    """The parts of the body that a refusal may name: see `complaints`."""
    fields = _fields(request, options)
    sent = {"detail"} if request.frames is not None and options.detail else set()
    return frozenset(sent.union(fields).intersection({*OPTIONAL, FORMAT}))


def wants_logprobs(prompt: Prompt, asked: bool) -> bool:
    """Whether token probabilities are of use: where the verdict is one of fixed values."""
    return asked and prompt.verdict_field is not None and bool(prompt.verdict_values)


def _fields(request: Request, options: BodyOptions) -> dict[str, Any]:
    prompt, schema = request.prompt, schema_sent(request)
    fields: dict[str, Any] = {"model": options.model, options.limit_field: options.max_output_tokens}
    if options.temperature is not None:
        fields["temperature"] = options.temperature
    if options.seed is not None:
        fields["seed"] = options.seed
    if wants_logprobs(prompt, options.logprobs):
        fields |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if options.json_object:
        fields["response_format"] = {"type": "json_object"}
    elif schema is not None:
        named = {"name": prompt.schema_name, "strict": can_be_strict(prompt.schema), "schema": schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": named}
    if options.stream:
        fields["stream"] = True
        if options.usage:
            fields["stream_options"] = {"include_usage": True}
    return fields


def _parts(request: Request, options: BodyOptions) -> Iterator[bytes]:
    detail = f'"detail":"{options.detail}",'.encode() if options.detail else b""
    for piece in message(request, options.max_side):
        if isinstance(piece, str):
            yield json.dumps({"type": "text", "text": piece}, ensure_ascii=False).encode()
        else:
            head = b'{"type":"image_url","image_url":{' + detail + b'"url":"data:image/jpeg;base64,'
            yield b"".join((head, piece, b'"}}'))
