"""The answer's schema as services take it, and whether an answer keeps to it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from ghostbench import Request

NOT_ENFORCED = "schema asked, not enforced: the answer is no JSON of that schema"
"""The note of an answer that a server which holds answers to the schema could not have given."""

_STRUCTURE = frozenset({"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"})
"""What strict structured output takes from JSON schema on every service."""
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern")


def can_be_strict(schema: Mapping[str, Any]) -> bool:
    """Strict mode wants every property required; where one may be left out, the schema is sent as a wish only."""
    properties = schema.get("properties", {})
    nested = [*properties.values(), *schema.get("anyOf", ())]
    if isinstance(schema.get("items"), Mapping):
        nested.append(schema["items"])
    return set(properties) == set(schema.get("required", properties)) and all(
        can_be_strict(inner) for inner in nested if isinstance(inner, Mapping)
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


def keeps_to(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether the text is what a server that enforces the schema writes: JSON of it and nothing else."""
    try:
        return bool(_validator(json.dumps(schema)).is_valid(json.loads(text)))
    except (ValueError, RecursionError):
        return False


@functools.lru_cache(maxsize=16)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def schema_sent(request: Request) -> dict[str, Any] | None:
    """The schema that the answer is asked to be held to; None where the request's level asks for less."""
    if request.level_settings.get("response_format", "json_schema") != "json_schema":
        return None
    schema = request.prompt.schema
    return strict_schema(schema) if can_be_strict(schema) else dict(schema)
