"""Answers held to their schema while they are decoded, by llguidance's token masks.

The masks of a step are computed on the CPU while the device computes the step's logits. Whatever the weights, an answer
closes: when the tokens left are only just enough, a string that is still being written is ended and the shortest rest
of the object follows. Only a limit with too little room for an object at all cuts an answer off.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llguidance import LLExecutor, LLMatcher, LLTokenizer
from llguidance.numpy import fill_next_token_bitmask_par
from tokenizers import Tokenizer

from ghostbench_drivemm.answer.schema_text import (
    PLAIN_CHARACTER,
    Field,
    UnsupportedSchema,
    fields_of,
    lark,
    longest_end,
    shortest_end,
)

Masks = npt.NDArray[np.int32]

_MARGIN = 6
"""Tokens kept in hand for a character or an escape that is half written when a string has to end."""

_SLICES = [rf"{PLAIN_CHARACTER}{{1,{most}}}" for most in (10, 30)] + [rf"{PLAIN_CHARACTER}+"]
"""Tokens that fit into any string with so much room are allowed together, instead of one by one in every step."""


class Vocabulary:
    """A checkpoint's tokens as the grammar sees them. Making one takes about a second for 128,000 tokens.

    size : columns of the model's head, at least the tokenizer's own count.
    spelled : the bytes that each token writes, [size]; b"" for special tokens and for columns without a token.
    """

    def __init__(self, tokenizer: Tokenizer, size: int, eos_ids: Sequence[int]) -> None:
        self.size = size
        self.tokens = LLTokenizer(tokenizer.to_str(), n_vocab=size, eos_token=list(eos_ids), slices=_SLICES)
        known = tokenizer.get_vocab_size(with_added_tokens=True)
        self.spelled: tuple[bytes, ...] = tuple(
            b"" if place >= known or self.tokens.is_special_token(place) else self.tokens.decode_bytes([place])
            for place in range(size)
        )
        self._beginning: dict[int, list[int]] = {}
        for token, written in enumerate(self.spelled):
            if written:
                self._beginning.setdefault(written[0], []).append(token)

    def beginning_with(self, byte: int) -> Sequence[int]:
        """The tokens whose first byte this is."""
        return self._beginning.get(byte, ())

    def encode(self, text: str) -> list[int]:
        """The tokens of a text that stands in an answer."""
        return list(self.tokens.tokenize_str(text))


class Grammar:
    """What an answer must look like, compiled once for a schema.

    Raises `UnsupportedSchema` for a schema whose answers cannot be bounded.
    """

    def __init__(self, schema: Mapping[str, Any], vocabulary: Vocabulary) -> None:
        self.fields: tuple[Field, ...] = fields_of(schema)
        self.vocabulary = vocabulary
        source = LLMatcher.grammar_from_lark(lark(self.fields))
        fault = LLMatcher.validate_grammar(source, vocabulary.tokens)
        if fault:
            raise UnsupportedSchema(f"the grammar was refused: {fault}")
        self._template = LLMatcher(vocabulary.tokens, source)
        self._ends = [('"' + shortest_end(self.fields[place + 1 :])) for place in range(len(self.fields))]
        self.needed = [1 + longest_end(self.fields[place + 1 :]) + _MARGIN for place in range(len(self.fields))]

    def matcher(self) -> LLMatcher:
        """A fresh matcher at the beginning of an answer."""
        return self._template.deep_copy()

    def end_from(self, place: int) -> list[int]:
        """Tokens that end the string being written in field `place`, and the object."""
        return self.vocabulary.encode(self._ends[place])


class Answers:
    """The state of a batch of answers under one grammar.

    Parameters
    ----------
    begun : tokens that every answer begins with.
    limit : most tokens of an answer, those included.
    """

    def __init__(self, grammar: Grammar, rows: int, begun: Sequence[int], limit: int) -> None:
        self._rows = [_Answer(grammar, begun, limit) for _ in range(rows)]
        self._threads = LLExecutor(max(1, min(rows, (os.cpu_count() or 2) - 1)))

    def fill(self, masks: Masks) -> None:
        """Write each row's allowed tokens as bits, lowest first; rows whose answer is closed keep what they have."""
        running = [(answer.matcher, place) for place, answer in enumerate(self._rows) if not answer.closed]
        if running:
            fill_next_token_bitmask_par(self._threads, running, masks)
        for place, answer in enumerate(self._rows):
            forced = answer.forced_token()
            if forced is not None:
                masks[place] = 0
                masks[place, forced // 32] = np.uint32(1 << (forced % 32)).astype(np.int32)

    def add(self, tokens: Sequence[int]) -> list[bool]:
        """Take each row's next token; whether each row's answer is closed now. Closed rows ignore theirs.

        A token that the mask did not allow closes its row too and is its fault: it can only have been chosen from
        logits that are not finite.
        """
        for answer, token in zip(self._rows, tokens, strict=True):
            answer.add(token)
        return [answer.closed for answer in self._rows]

    @property
    def faults(self) -> list[str | None]:
        """Of each row, what was chosen against the grammar; None where nothing was."""
        return [answer.fault for answer in self._rows]


class _Answer:
    """One answer: what it may go on with, and in which field's string it is."""

    def __init__(self, grammar: Grammar, begun: Sequence[int], limit: int) -> None:
        self.matcher = grammar.matcher()
        self.closed = False
        self.fault: str | None = None
        self._grammar = grammar
        self._left = limit
        self._forced: list[int] = []
        self._place = 0
        self._in_string = self._in_value = self._escaped = False
        for token in begun:
            self.add(token)

    def forced_token(self) -> int | None:
        """The one token that keeps the answer within its limit; None while it may go on freely."""
        if self.closed or (not self._forced and not self._must_end()):
            return None
        if not self._forced:
            end = self._grammar.end_from(self._place)
            if self.matcher.validate_tokens(end) < len(end):
                return None
            self._forced = end
        return self._forced[0]

    def add(self, token: int) -> None:
        if self.closed:
            return
        if not self.matcher.consume_token(token):
            self.closed = True
            self.fault = f"token {token} was chosen against the grammar"
            return
        self._left -= 1
        if self._forced:
            self._forced.pop(0)
        for byte in self._grammar.vocabulary.tokens.decode_bytes([token]):
            self._read(byte)
        self.closed = self.matcher.is_stopped()

    def _must_end(self) -> bool:
        return self._in_string and self._in_value and self._left <= self._grammar.needed[self._place]

    def _read(self, byte: int) -> None:
        character = chr(byte)
        if self._in_string:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = True
            else:
                self._in_string = character != '"'
        elif character == '"':
            self._in_string = True
        elif character == ":":
            self._in_value = True
        elif character == ",":
            self._in_value = False
            self._place += 1
