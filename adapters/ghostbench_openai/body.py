"""A request as the JSON body of a chat completion, assembled from pieces that are encoded once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ghostbench import FramePart, Prompt, Request, TextPart
from ghostbench_openai.complaints import FORMAT, OPTIONAL
from ghostbench_openai.images import jpegs

TOP_LOGPROBS = 10
"""Alternatives asked for at each token, of the API's 20: room for the spellings of three values in half the reply."""

_STRUCTURE = frozenset({"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"})
"""What strict structured output takes from JSON schema on every service."""
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyOptions:
    """What the body says beside the prompt.

    limit_field : the name under which the server takes the output limit. temperature, seed : None is not sent, nor is
    an empty detail. usage : whether a stream is asked to end with the usage.
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
    response_format: str
    usage: bool = True


def build_body(request: Request, options: BodyOptions) -> bytes:
    """The JSON body, UTF-8. Encodes the request's frames when they have not been: call it in a thread.

    The megabytes in it are the frames' base64, which is copied here once and never passes through a JSON encoder.
    """
    fields = json.dumps(_fields(request.prompt, options), ensure_ascii=False).encode()
    user = b",".join(_parts(request, options))
    system = json.dumps({"role": "system", "content": request.prompt.system}, ensure_ascii=False).encode()
    return b"".join((fields[:-1], b',"messages":[', system, b',{"role":"user","content":[', user, b"]}]}"))


def parts_sent(request: Request, options: BodyOptions) -> frozenset[str]:
    """The parts of the body that a refusal may name: see `complaints`."""
    fields = _fields(request.prompt, options)
    sent = {"detail"} if request.frames is not None and options.detail else set()
    return frozenset(sent.union(fields).intersection({*OPTIONAL, FORMAT}))


def wants_logprobs(prompt: Prompt, asked: bool) -> bool:
    """Whether token probabilities are of use: where the verdict is one of fixed values."""
    return asked and prompt.verdict_field is not None and bool(prompt.verdict_values)


def _fields(prompt: Prompt, options: BodyOptions) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": options.model, options.limit_field: options.max_output_tokens}
    if options.temperature is not None:
        fields["temperature"] = options.temperature
    if options.seed is not None:
        fields["seed"] = options.seed
    if wants_logprobs(prompt, options.logprobs):
        fields |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if options.response_format == "json_object":
        fields["response_format"] = {"type": "json_object"}
    elif options.response_format == "json_schema":
        fields["response_format"] = {"type": "json_schema", "json_schema": _named_schema(prompt)}
    if options.stream:
        fields["stream"] = True
        if options.usage:
            fields["stream_options"] = {"include_usage": True}
    return fields


def _parts(request: Request, options: BodyOptions) -> Iterator[bytes]:
    frames = request.frames
    images = jpegs(frames, options.max_side) if frames is not None else ()
    for part in request.prompt.parts:
        if isinstance(part, TextPart):
            yield json.dumps({"type": "text", "text": part.text}, ensure_ascii=False).encode()
        elif isinstance(part, FramePart) and images:
            detail = f'"detail":"{options.detail}",'.encode() if options.detail else b""
            head = b'{"type":"image_url","image_url":{' + detail + b'"url":"data:image/jpeg;base64,'
            yield b"".join((head, images[part.position], b'"}}'))


def _named_schema(prompt: Prompt) -> dict[str, Any]:
    strict = _can_be_strict(prompt.schema)
    return {
        "name": prompt.schema_name,
        "strict": strict,
        "schema": strict_schema(prompt.schema) if strict else dict(prompt.schema),
    }


def _can_be_strict(schema: Mapping[str, Any]) -> bool:
    """Strict mode wants every property required; where one may be left out, the schema is sent as a wish only."""
    properties = schema.get("properties", {})
    nested = [*properties.values(), *schema.get("anyOf", ())]
    if isinstance(schema.get("items"), Mapping):
        nested.append(schema["items"])
    return set(properties) == set(schema.get("required", properties)) and all(
        _can_be_strict(inner) for inner in nested if isinstance(inner, Mapping)
    )


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with only what strict structured output takes, properties in their order, objects closed.

    Source: "Supported schemas" in OpenAI's guide to structured outputs, and Azure's shorter list, whose common part
    this is. Bounds that have to be left out are put in words, since the task still checks the answer against them.
    """
    kept: dict[str, Any] = {}
    bounds = ", ".join(f"{keyword} {schema[keyword]}" for keyword in _BOUNDS if keyword in schema)
    for keyword, value in schema.items():
        if keyword == "properties":
            kept[keyword] = {name: strict_schema(inner) for name, inner in value.items()}
        elif keyword == "items":
            kept[keyword] = strict_schema(value)
        elif keyword == "anyOf":
            kept[keyword] = [strict_schema(inner) for inner in value]
        elif keyword in _STRUCTURE:
            kept[keyword] = value
    described = "; ".join(filter(None, (schema.get("description"), bounds)))
    if described:
        kept["description"] = described
    if "properties" in kept:
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept
