"""JSON answers in text: the one object in a reply that may wrap it in prose or a code fence, and the same written."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NoReturn, TypeVar

from jsonschema import Draft202012Validator

from ghostbench.errors import Unparseable

T = TypeVar("T")

_OPENING: Final = re.compile(r"[{\[]")
_OF_FLAT_OBJECTS: Final = {"type", "properties", "required", "additionalProperties", "title", "description"}
_COMPILED: Final[dict[int, tuple[Draft202012Validator, Callable[[object], bool]]]] = {}
_OBJECT_BEGUN: Final = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:')
_STEP: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[{\[]|[}\]]', re.DOTALL)
_DEEPEST: Final = 100
"""Objects and arrays within each other, at most. What Python bears by itself is for any plugin to raise until the
process dies of it."""
_MOST_STEPS: Final = 20_000
"""Texts and brackets of one JSON value, at most, where there are brackets enough for it to be too deep."""
_MOST_OPENINGS: Final = 1000
"""More than any answer needs. A failed attempt counts the lines before it, so that attempts must be bounded."""


def read_answer(text: str, key: str, validator: Draft202012Validator, read: Callable[[dict[str, Any]], T]) -> T:
    """What `read` makes of the JSON object in `text` that answers the question.

    Parameters
    ----------
    text : a reply: JSON, fenced JSON, or JSON inside prose. Prose itself is never read.
    key : the property that holds the verdict. JSON values in which it occurs nowhere, at any depth, are no answers
        and are passed over; all others must be objects that fit the schema.
    validator : of the answer's schema.
    read : turns an object that fits into an answer; answers are compared with `==`.

    Raises
    ------
    Unparseable : no such object; one that does not fit; several that say different things; one that is broken off
        or malformed; a key twice with different values; NaN or infinity; nesting too deep to read.
    """
    try:
        answers = [read(_checked(value, validator)) for value in _values(text, key) if _mentions(value, key)]
    except RecursionError:
        raise Unparseable("the reply's JSON is nested too deeply") from None
    if not answers:
        raise Unparseable(f'the reply holds no JSON object with "{key}"')
    if any(answer != answers[0] for answer in answers):
        raise Unparseable("the reply holds JSON objects that disagree")
    return answers[0]


def write_answer(answer: dict[str, Any], validator: Draft202012Validator) -> str:
    """The answer as one line of JSON. Raises `ValueError` if it does not fit the schema or is not writable text."""
    try:
        return json.dumps(_checked(answer, validator), ensure_ascii=False, allow_nan=False)
    except Unparseable as error:
        raise ValueError(f"this verdict cannot be written: {error}") from None


def _values(text: str, key: str) -> Iterator[Any]:
    """The outermost JSON objects and arrays in the text, in order.

    A brace or bracket in prose is passed over. One that begins an object, or encloses the key, and then breaks off,
    raises `Unparseable`: what is left of a broken answer is none.
    """
    opening = _OPENING.search(text)
    many = text.count("{") + text.count("[") > _DEEPEST
    for _ in range(_MOST_OPENINGS):
        if opening is None:
            return
        if many and _is_too_deep(text, opening.start()):
            raise Unparseable("the reply's JSON is nested too deeply, or holds too much")
        try:
            value, end = _DECODER.raw_decode(text, opening.start())
            yield value
        except json.JSONDecodeError as error:
            end = max(error.pos, opening.end())
            if _OBJECT_BEGUN.match(text, opening.start()) or text.find(f'"{key}"', opening.start(), end) >= 0:
                raise Unparseable(f"the reply's JSON is malformed or cut off: {error.msg}") from None
        opening = _OPENING.search(text, end)
    raise Unparseable(f"the reply holds more than {_MOST_OPENINGS} brackets that may open JSON")


def _is_too_deep(text: str, start: int) -> bool:
    """Whether the JSON value that begins here is nested deeper than `_DEEPEST`, or holds more than is looked at."""
    depth = 0
    for number, step in enumerate(_STEP.finditer(text, start)):
        depth += (step[0] in {"{", "["}) - (step[0] in {"}", "]"})
        if depth > _DEEPEST or number > _MOST_STEPS:
            return True
        if depth == 0:
            return False
    return False


def _mentions(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value or any(_mentions(inner, key) for inner in value.values())
    return isinstance(value, list) and any(_mentions(inner, key) for inner in value)


def fits(validator: Draft202012Validator) -> Callable[[object], bool]:
    """A quick check that says yes to values which fit the validator's schema, made once for each validator.

    It may say no to one that fits, where the schema is no flat object of the usual kind: the validator has the last
    word. The validator itself makes a new one of its kind for every property of every value.
    """
    known = _COMPILED.get(id(validator))
    if known is None or known[0] is not validator:
        # The validator is kept, so that no other can come to have its id.
        known = _COMPILED[id(validator)] = (validator, _compiled(validator.schema))
    return known[1]


def _compiled(schema: Any) -> Callable[[object], bool]:
    if (
        not isinstance(schema, dict)
        or schema.get("type") != "object"
        or schema.get("additionalProperties") is not False
        or set(schema) - _OF_FLAT_OBJECTS
        or '$ref"' in json.dumps(schema)
        or not all(isinstance(part, dict) for part in schema.get("properties", {}).values())
    ):
        return lambda value: False
    required = set(schema.get("required", ()))
    checks = {name: _checks(part) for name, part in schema.get("properties", {}).items()}

    def check(value: object) -> bool:
        return (
            type(value) is dict
            and required <= value.keys() <= checks.keys()
            and not any(error for name, part in value.items() for check in checks[name] for error in check(part))
        )

    return check


def _checks(schema: dict[str, Any]) -> list[Callable[[Any], Iterable[object]]]:
    """Each keyword of a property's schema as a function from a value to its errors."""
    validator = Draft202012Validator(schema)
    return [
        functools.partial(_errors, keyword, validator, wanted, schema)
        for name, wanted in schema.items()
        if (keyword := Draft202012Validator.VALIDATORS.get(name)) is not None
    ]


def _errors(
    keyword: Callable[..., Iterable[object] | None],
    validator: Draft202012Validator,
    wanted: Any,
    schema: dict[str, Any],
    value: Any,
) -> Iterable[object]:
    return keyword(validator, wanted, value, schema) or ()


def _checked(value: Any, validator: Draft202012Validator) -> dict[str, Any]:
    error = None if fits(validator)(value) else next(iter(validator.iter_errors(value)), None)
    if error is not None:
        # The schema's own words only: the error's message quotes the value, which is untrusted and may be huge.
        path = list(error.absolute_schema_path)
        where = f'"{path[1]}"' if path[0] == "properties" else "the object"
        raise Unparseable(f"the JSON does not fit the schema: {where} ({error.validator})")
    _check_text(value)
    checked: dict[str, Any] = value
    return checked


def _check_text(value: dict[str, Any]) -> None:
    """Half of a surrogate pair, which JSON can spell, is no text: it could not be written to any file."""
    for item in value.values():
        if isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise Unparseable("the JSON holds half of a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result and not _same(result[key], value):
            raise Unparseable("the reply's JSON holds a key twice with different values")
        result[key] = value
    return result


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _no_constant(name: str) -> NoReturn:
    raise Unparseable(f"the reply's JSON holds {name}, which is not JSON")


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise Unparseable("the reply's JSON holds a number of thousands of digits") from None


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer)
