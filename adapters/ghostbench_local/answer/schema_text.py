"""A JSON schema of a flat object as a grammar for compact JSON in which every value is bounded.

Ordinary schema compilers leave white space, digits and escapes open, so that a model can go on for ever inside the
schema. Here the text has one form: keys in the schema's order, no white space, numbers of at most two decimals, strings
of at most `maxLength` characters whose only escapes are \\" and \\\\.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_LENGTH = 240
"""`maxLength` of a string whose schema states none, characters."""
PLAIN_CHARACTER = r"[^\"\\\x00-\x1f\x7f-\x9f]"
"""A character that stands for itself in a string, as a regular expression."""
_CHARACTER = rf"({PLAIN_CHARACTER}|\\[\"\\])"
_LARGEST = 1_000_000
_FRACTION = r"(\.[0-9]{1,2})?"
_NOTES = {"title", "description", "default", "examples", "$comment"}
_OF_OBJECT = {"type", "properties", "required", "additionalProperties", "$schema", "$id", *_NOTES}
_OF_VALUE = {"type", "enum", "const", "minLength", "maxLength", "minimum", "maximum", *_NOTES}


class UnsupportedSchema(ValueError):
    """The schema says something that this form of text cannot keep. The message names it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One property of the object.

    lead : what stands before its value. rule : the value in Lark syntax. shortest : a shortest value.
    free : whether the value can be a string without a fixed content. longest : most bytes of a value that is no such
    string.
    """

    lead: str
    rule: str
    shortest: str
    free: bool
    longest: int


def fields_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of a flat object whose properties are all required, in the schema's order.

    Raises
    ------
    UnsupportedSchema
        Another kind of schema, or a keyword that the text would not be held to.
    """
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    if schema.get("type") != "object" or not properties or set(schema.get("required", ())) != set(properties):
        raise UnsupportedSchema("a grammar needs an object whose properties are all required")
    _refuse_others(schema, _OF_OBJECT, "the object")
    return tuple(
        _field(("{" if place == 0 else ",") + json.dumps(name) + ":", name, value)
        for place, (name, value) in enumerate(properties.items())
    )


def lark(fields: Sequence[Field]) -> str:
    """The whole object as a Lark grammar."""
    parts = " ".join(f"{json.dumps(field.lead)} VALUE_{place}" for place, field in enumerate(fields))
    rules = "\n".join(f"VALUE_{place}: {field.rule}" for place, field in enumerate(fields))
    return f'start: {parts} "}}"\n{rules}\n'


def shortest_end(fields: Sequence[Field]) -> str:
    """The shortest text of these fields and the closing brace."""
    return "".join(field.lead + field.shortest for field in fields) + "}"


def longest_end(fields: Sequence[Field]) -> int:
    """Most bytes of these fields and the closing brace when every free string is left empty."""
    if not fields:
        return 1
    rest = longest_end(fields[1:])
    return len(fields[0].lead.encode()) + max(fields[0].longest, 2 if fields[0].free else 0) + rest


def _refuse_others(schema: Mapping[str, Any], known: set[str], of: str) -> None:
    others = sorted(set(schema) - known)
    if others:
        raise UnsupportedSchema(f"a grammar cannot keep {others[0]!r} of {of}")


def _field(lead: str, name: str, schema: Mapping[str, Any]) -> Field:
    _refuse_others(schema, _OF_VALUE, f'"{name}"')
    rules, shortest, longest, free = [], [], [0], False
    for kind in _kinds(schema, name):
        if "enum" in schema or "const" in schema:
            values = [json.dumps(v, ensure_ascii=False) for v in schema.get("enum", [schema.get("const")])]
            rules.append(" | ".join(json.dumps(value) for value in values))
            shortest.append(min(values, key=len))
            longest += [len(value.encode()) for value in values]
            break
        if kind == "string":
            least, most = schema.get("minLength", 0), schema.get("maxLength", DEFAULT_LENGTH)
            rules.append(f'/"{_CHARACTER}{{{least},{most}}}"/')
            shortest.append('"' + "x" * least + '"')
            free = True
        elif kind in ("number", "integer"):
            rule, most_bytes = _number(schema, kind, name)
            rules.append(rule)
            shortest.append(str(max(0, int(schema.get("minimum", 0)))))
            longest.append(most_bytes)
        else:
            words = {"null": ["null"], "boolean": ["true", "false"]}.get(kind)
            if words is None:
                raise UnsupportedSchema(f'a grammar cannot bound "{name}" of type {kind}')
            rules.append(" | ".join(json.dumps(word) for word in words))
            shortest.append(words[0])
            longest += map(len, words)
    return Field(lead, " | ".join(rules), min(shortest, key=_plainest), free, max(longest))


def _plainest(value: str) -> tuple[bool, int]:
    """Null says honestly that nothing is said; otherwise the shorter value."""
    return (value != "null", len(value))


def _kinds(schema: Mapping[str, Any], name: str) -> Sequence[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return (kind,)
    if isinstance(kind, Sequence):
        return tuple(kind)
    if "enum" in schema or "const" in schema:
        return ("enum",)
    raise UnsupportedSchema(f'a grammar needs the type of "{name}"')


def _number(schema: Mapping[str, Any], kind: str, name: str) -> tuple[str, int]:
    """A rule for numbers from `minimum` (0 by default, and never less) to `maximum`; most bytes of one."""
    least, most = schema.get("minimum", 0), schema.get("maximum", _LARGEST)
    if least < 0 or most < least or least != int(least) or most != int(most):
        raise UnsupportedSchema(f'a grammar needs whole bounds of "{name}" with 0 <= minimum <= maximum')
    most = int(most)
    if kind == "integer" or int(least) == most:
        return f"/{'|'.join(_whole(int(least), most))}/", len(str(most))
    below = "|".join(_whole(int(least), most - 1))
    return rf"/({below}){_FRACTION}/ | /{most}(\.0{{1,2}})?/", len(str(most)) + 3


def _whole(least: int, most: int) -> list[str]:
    """Regular expressions that together match the integers from `least` to `most`, written without leading zeros."""
    found = []
    while least <= most:
        digits = len(str(least))
        end = min(most, 10**digits - 1)
        found += _same_length(str(least), str(end))
        least = end + 1
    return found


def _same_length(low: str, high: str) -> list[str]:
    if not low:
        return [""]
    if low[0] == high[0]:
        return [low[0] + rest for rest in _same_length(low[1:], high[1:])]
    rest = len(low) - 1
    found, first, last = [], int(low[0]), int(high[0])
    if low[1:] != "0" * rest:
        found += [low[0] + tail for tail in _same_length(low[1:], "9" * rest)]
        first += 1
    if high[1:] != "9" * rest:
        found += [high[0] + tail for tail in _same_length("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        found.append((f"[{first}-{last}]" if first < last else str(first)) + "[0-9]" * rest)
    return found
