"""Whatever the weights say, an answer under the grammar is one compact object of its schema, within its limit."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

pytest.importorskip("llguidance")
pytest.importorskip("tokenizers")

from llguidance.numpy import fill_next_token_bitmask

from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.summary import GhostProbingSummary
from ghostbench_drivemm.network.synthetic import synthetic_tokenizer
from ghostbench_local.answer.grammar import Answers, Grammar, Vocabulary
from ghostbench_local.answer.schema_text import UnsupportedSchema, fields_of, shortest_end

SIZE = 1024
TOKENIZER = synthetic_tokenizer(SIZE)
VOCABULARY = Vocabulary(TOKENIZER, SIZE, (769,))
TASKS = (GhostProbing(), GhostProbingSummary())
GRAMMARS = {task.name: Grammar(task.schema, VOCABULARY) for task in TASKS}


def write(grammar: Grammar, seed: int, spread: float, limit: int) -> list[int]:
    """An answer of a model whose logits are noise with a fixed taste for some tokens."""
    random = np.random.default_rng(seed)
    taste = random.normal(size=SIZE) * spread
    answers = Answers(grammar, 1, [], limit)
    masks = np.full((1, SIZE // 32), -1, dtype=np.int32)
    tokens: list[int] = []
    while len(tokens) < limit:
        alone = answers.fill(masks, [0])
        allowed = np.unpackbits(masks.view(np.uint8), bitorder="little")[:SIZE].astype(bool)
        assert list(alone.values()) == (np.flatnonzero(allowed).tolist() if allowed.sum() == 1 else [])
        tokens.append(int(np.where(allowed, random.normal(size=SIZE) + taste, -np.inf).argmax()))
        if answers.add(0, tokens[-1]):
            return tokens
    raise AssertionError(f"not closed within {limit} tokens: {TOKENIZER.decode(tokens)}")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.0, 1.0, 5.0]), limit=st.integers(200, 400))
@settings(max_examples=60, deadline=None)
def test_any_logits_close_an_object_that_the_task_reads(task: Any, seed: int, spread: float, limit: int) -> None:
    text = TOKENIZER.decode(write(GRAMMARS[task.name], seed, spread, limit))
    answer = json.loads(text)
    Draft202012Validator(task.schema).validate(answer)
    assert list(answer) == list(task.schema["properties"])
    outside_strings = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    assert not re.search(r"\s", outside_strings)
    task.parse(text)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.0, 2.0, 5.0]))
@settings(max_examples=30, deadline=None)
def test_what_is_remembered_of_a_spot_is_what_the_answer_itself_may_go_on_with(
    task: Any, seed: int, spread: float
) -> None:
    random = np.random.default_rng(seed)
    taste = random.normal(size=SIZE) * spread
    answers = Answers(GRAMMARS[task.name], 1, [], 300)
    masks, own = (np.full((1, SIZE // 32), -1, dtype=np.int32) for _ in range(2))
    closed = False
    while not closed:
        answers.fill(masks, [0])
        row = answers._rows[0]
        if row.forced_token() is None:
            fill_next_token_bitmask(row.matcher.deep_copy(), own, 0)
            assert np.array_equal(masks, own), row.spot
        allowed = np.unpackbits(masks.view(np.uint8), bitorder="little")[:SIZE].astype(bool)
        closed = answers.add(0, int(np.where(allowed, random.normal(size=SIZE) + taste, -np.inf).argmax()))


def test_a_limit_that_leaves_room_cuts_no_string_short() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 9}}, "required": ["a"]}
    grammar = Grammar(schema, VOCABULARY)
    written = {len(json.loads(TOKENIZER.decode(write(grammar, seed, 0.0, 60)))["a"]) for seed in range(60)}
    assert max(written) == 9


@given(least=st.integers(0, 400), more=st.integers(0, 4000), tried=st.integers(0, 10_000), cents=st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_numbers_are_those_between_the_bounds(least: int, more: int, tried: int, cents: int) -> None:
    most = least + more
    schema = {
        "type": "object",
        "properties": {"n": {"type": "number", "minimum": least, "maximum": most}},
        "required": ["n"],
    }
    rule = fields_of(schema)[0].rule
    patterns = [part.strip()[1:-1] for part in rule.split(" | ")]
    text = f"{tried}.{cents:02d}" if cents else str(tried)
    matches = any(re.fullmatch(pattern, text) for pattern in patterns)
    assert matches == (least <= float(text) <= most)
    assert not any(re.fullmatch(pattern, "0" + text) for pattern in patterns)


def test_the_shortest_rest_of_an_object_fits_its_schema() -> None:
    for task in TASKS:
        answer = json.loads(shortest_end(fields_of(task.schema)))
        Draft202012Validator(task.schema).validate(answer)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": []},
        {"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "number", "minimum": -1}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 5}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "minProperties": 2},
    ],
)
def test_a_schema_that_cannot_be_bounded_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSchema):
        Grammar(schema, VOCABULARY)


def test_a_token_outside_the_grammar_closes_its_row_and_is_its_fault() -> None:
    answers = Answers(GRAMMARS["ghost-probing"], 2, [], 100)
    good = VOCABULARY.encode("{")[0]
    assert [answers.add(0, VOCABULARY.encode("x")[0]), answers.add(1, good)] == [True, False]
    assert answers.faults[0] is not None
    assert answers.faults[1] is None
