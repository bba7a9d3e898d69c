"""The quick check of answers against their schema says yes to nothing that the validator refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ghostbench.tasks.ghost_probing import SCHEMA
from ghostbench.tasks.json_text import fits

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 4000),
    st.floats(-5, 4000),
    st.text(max_size=300),
    st.sampled_from(["normal", "ghost_probing", "potential_ghost_probing", "Normal", 1, 0, -0.0, 3600, 3600.5]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
GOOD = {"grade": "normal", "event_time_s": 2, "actor": None, "occluder": "bus", "evidence": "a bus"}
ANSWERS = st.builds(
    lambda changed, dropped, more: {k: v for k, v in {**GOOD, **changed, **more}.items() if k not in dropped},
    st.dictionaries(st.sampled_from(sorted(GOOD)), VALUES, max_size=3),
    st.sets(st.sampled_from(sorted(GOOD)), max_size=1),
    st.dictionaries(st.sampled_from(["grade ", "extra"]), VALUES, max_size=1),
)


@given(st.one_of(ANSWERS, VALUES))
def test_on_the_tasks_own_schema_both_agree(value: Any) -> None:
    validator = Draft202012Validator(SCHEMA)
    assert fits(validator)(value) is validator.is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "minProperties": 2, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": False}, "additionalProperties": False},
        {"anyOf": [{"type": "string"}]},
    ],
)
def test_other_kinds_of_schema_are_left_to_the_validator(schema: dict[str, Any]) -> None:
    check = fits(Draft202012Validator(schema))
    assert not any(check(value) for value in ({"a": 1}, {"a": "x"}, {}, "x", json.loads('{"a": null}')))


def test_keywords_within_a_property_are_kept_to() -> None:
    part = {"type": "array", "items": {"anyOf": [{"const": 1}, {"type": "string", "pattern": "^a"}]}, "maxItems": 2}
    schema = {"type": "object", "properties": {"a": part}, "required": ["a"], "additionalProperties": False}
    check = fits(Draft202012Validator(schema))
    assert check({"a": [1, "ab"]})
    assert not any(check({"a": a}) for a in ([2], ["b"], [1, 1, 1], "a", None))
