"""Probabilities of the grades, from the token probabilities at the answer's verdict.

The verdict's value is found in the text that the tokens spell. From its first character on, every listed alternative
token is followed: if what it would write can only become one of the allowed values, its probability counts for that
grade; if it can still become several, the walk goes on along the token that was chosen; if none, it is no verdict. So
each probability is P(grade | the answer has the form it has, and is one of the grades). Alternatives that the server
did not list, and listed ones that leave several grades open, are unknown; where they could move a probability by more
than `MOST_UNKNOWN`, there is no score rather than a doubtful one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ghostbench import GRADES

MOST_UNKNOWN = 0.05


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the answer: its text, its log-probability, and the listed alternatives (itself mostly among them)."""

    text: str
    logprob: float
    alternatives: Sequence[tuple[str, float]]


class _Masses:
    """Probability by value, and what cannot be told."""

    def __init__(self) -> None:
        self.of: dict[str, float] = {}
        self.unknown = 0.0


def grade_probabilities(tokens: Sequence[Token], field: str | None, values: Sequence[str]) -> dict[str, float] | None:
    """P(grade) for each of GRADES, summing to 1; None where the tokens do not determine it.

    field, values : the verdict's name in the answer, and what it can be, in the order of GRADES.
    """
    if field is None or len(values) != len(GRADES):
        return None
    found = _verdict_starts("".join(token.text for token in tokens), field, values)
    if found is None:
        return None
    masses = _walk(tokens, found, values)
    known = sum(masses.of.values())
    if known <= 0 or masses.unknown / (known + masses.unknown) > MOST_UNKNOWN:
        return None
    return {grade: masses.of.get(value, 0.0) / known for grade, value in zip(GRADES, values, strict=True)}


def _verdict_starts(text: str, field: str, values: Sequence[str]) -> int | None:
    """Where the verdict's value begins in the text; None if it has none of the allowed values."""
    allowed = "|".join(map(re.escape, values))
    found = re.search(rf'"{re.escape(field)}"\s*:\s*"(?=(?:{allowed})")', text)
    return None if found is None else found.end()


def _walk(tokens: Sequence[Token], start: int, values: Sequence[str]) -> _Masses:
    masses = _Masses()
    reached, offset, written = 1.0, 0, ""
    for token in tokens:
        end = offset + len(token.text)
        if end > start:
            lead = token.text[: max(0, start - offset)]
            _count_alternatives(token, (lead, written), reached, values, masses)
            written += token.text[len(lead) :]
            reached *= _probability(token.logprob)
            chosen = _possible(written, values)
            if len(chosen) == 1:
                masses.of[chosen[0]] = masses.of.get(chosen[0], 0.0) + reached
                return masses
        offset = end
    masses.unknown += reached
    return masses


def _count_alternatives(
    token: Token, before: tuple[str, str], reached: float, values: Sequence[str], masses: _Masses
) -> None:
    """Add up what the alternatives to the chosen token lead to, and what is not listed."""
    lead, written = before
    listed = _probability(token.logprob)
    for text, logprob in {text: logprob for text, logprob in token.alternatives if text != token.text}.items():
        probability = _probability(logprob)
        listed += probability
        if not text.startswith(lead):
            continue
        possible = _possible(written + text[len(lead) :], values)
        if len(possible) == 1:
            masses.of[possible[0]] = masses.of.get(possible[0], 0.0) + reached * probability
        elif possible:
            masses.unknown += reached * probability
    masses.unknown += reached * max(0.0, 1.0 - listed)


def _possible(written: str, values: Sequence[str]) -> list[str]:
    """The values that a verdict which begins so can still have."""
    return [value for value in values if f'{value}"'.startswith(written) or written.startswith(f'{value}"')]


def _probability(logprob: float) -> float:
    """e^logprob, at most 1; 0 for what is not a number."""
    return 0.0 if math.isnan(logprob) else math.exp(min(0.0, logprob))
