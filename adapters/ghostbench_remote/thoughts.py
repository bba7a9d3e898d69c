"""Thoughts that a server leaves before a model's answer: as chat templates mark them, or as parts of their own."""

from __future__ import annotations

import re

_PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)


_OF_PARTS = re.compile(r"think|thought|reason|summary", re.IGNORECASE)


def is_thought(kind: str | None) -> bool:
    """Whether a part of an answer of this type holds thoughts, which are no part of what is said.

    >>> [is_thought(kind) for kind in (None, "text", "output_text", "thinking", "reasoning")]
    [False, False, False, True, True]
    """
    return kind is not None and _OF_PARTS.search(kind) is not None


def without_thoughts(text: str) -> tuple[str, str]:
    """(thoughts, answer) of a text: its thoughts with their marks, and what comes after them.

    Templates that open the thoughts themselves leave the closing mark alone, so that it counts too. Thoughts that were
    never closed have no answer after them: a draft in them is no answer.
    """
    for opening, closing in _PAIRS:
        ends = [found.end() for found in re.finditer(re.escape(closing), text, re.IGNORECASE)]
        if ends:
            return text[: ends[-1]], text[ends[-1] :]
        if text.lstrip()[: len(opening)].lower() == opening.lower():
            return text, ""
    return "", text
