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

from ghostbench_local.answer.schema_text import (
    PLAIN_CHARACTER,
    Field,
    UnsupportedSchema,
    fields_of,
    lark,
    longest_end,
    shortest_end,
)
from ghostbench_local.answer.spot import Spot

Masks = npt.NDArray[np.int32]

_MARGIN = 6
"""Tokens kept in hand for a character or an escape that is half written when a string has to end."""

_MOST_MASKS = 2048
"""Spots whose masks are remembered: 32 MiB for 128,000 tokens, and more than the answers of a task come to."""
_MOST_STEPS = 200_000

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
        self._free = tuple(field.free for field in self.fields)
        self._masks: dict[Spot, tuple[Masks, int | None]] = {}
        self._spots: dict[tuple[Spot, int], Spot] = {}

    def matcher(self) -> LLMatcher:
        """A fresh matcher at the beginning of an answer."""
        return self._template.deep_copy()

    def spot_after(self, spot: Spot, token: int) -> Spot:
        """The spot behind one more token."""
        found = self._spots.get((spot, token))
        if found is None:
            if len(self._spots) >= _MOST_STEPS:
                self._spots.clear()
            found = self._spots[spot, token] = spot.after(self.vocabulary.tokens.decode_bytes([token]), self._free)
        return found

    def mask_at(self, spot: Spot) -> tuple[Masks, int | None] | None:
        """The tokens that are allowed at a spot, as bits, and the only one if there is one; None if not known yet."""
        return self._masks.get(spot)

    def know(self, spot: Spot, mask: Masks) -> tuple[Masks, int | None]:
        """Remember which tokens are allowed at a spot."""
        if len(self._masks) >= _MOST_MASKS:
            self._masks.clear()
        words = np.flatnonzero(mask)
        alone = None
        if len(words) == 1 and int(mask[words[0]].view(np.uint32)).bit_count() == 1:
            alone = 32 * int(words[0]) + int(mask[words[0]].view(np.uint32)).bit_length() - 1
        self._masks[spot] = mask.copy(), alone
        return self._masks[spot]

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
        self._grammar = grammar
        self._rows = [_Answer(grammar, begun, limit) for _ in range(rows)]
        self._threads = LLExecutor(max(1, min(rows, (os.cpu_count() or 2) - 1)))

    def fill(self, masks: Masks, places: Sequence[int]) -> dict[int, int]:
        """Write the allowed tokens of these rows as bits, lowest first; a closed row keeps what it has.

        Returns, of the rows that have no choice, the one token that they may go on with.
        """
        alone = {}
        asked: dict[Spot, list[int]] = {}
        for place in places:
            row = self._rows[place]
            if row.closed:
                continue
            forced = row.forced_token()
            if forced is not None:
                masks[place] = 0
                masks[place, forced // 32] = np.uint32(1 << (forced % 32)).astype(np.int32)
                alone[place] = forced
            else:
                asked.setdefault(row.spot, []).append(place)
        unknown = [there[0] for spot, there in asked.items() if self._grammar.mask_at(spot) is None]
        if unknown:
            fill_next_token_bitmask_par(self._threads, [(self._rows[place].matcher, place) for place in unknown], masks)
        for spot, there in asked.items():
            mask, token = self._grammar.mask_at(spot) or self._grammar.know(spot, masks[there[0]])
            masks[there] = mask
            if token is not None:
                alone |= dict.fromkeys(there, token)
        return alone

    def add(self, place: int, token: int) -> bool:
        """Take a row's next token; whether its answer is closed now. A closed row ignores it.

        A token that the mask did not allow closes its row too and is its fault: it can only have been chosen from
        logits that are not finite.
        """
        self._rows[place].add(token)
        return self._rows[place].closed

    @property
    def faults(self) -> list[str | None]:
        """Of each row, what was chosen against the grammar; None where nothing was."""
        return [answer.fault for answer in self._rows]


class _Answer:
    """One answer: what it may go on with, and where in its text it is."""

    def __init__(self, grammar: Grammar, begun: Sequence[int], limit: int) -> None:
        self.matcher = grammar.matcher()
        self.closed = False
        self.fault: str | None = None
        self._grammar = grammar
        self._left = limit
        self._forced: list[int] = []
        self.spot = Spot()
        for token in begun:
            self.add(token)

    def forced_token(self) -> int | None:
        """The one token that keeps the answer within its limit; None while it may go on freely."""
        if self.closed or (not self._forced and not self._must_end()):
            return None
        if not self._forced:
            end = self._grammar.end_from(self.spot.place)
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
        self.spot = self._grammar.spot_after(self.spot, token)
        self.closed = self.matcher.is_stopped()

    def _must_end(self) -> bool:
        place, in_value, in_string, _, _ = self.spot
        return in_string and in_value and self._left <= self._grammar.needed[place]
