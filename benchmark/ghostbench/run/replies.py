"""Whether a model's reply keeps the contract, and text that any file can hold."""

from __future__ import annotations

import math
from dataclasses import fields, replace

from ghostbench.errors import AttemptError, Crashed
from ghostbench.records import GRADES, Reply


def checked(result: object) -> Reply | AttemptError:
    """The reply itself with its text made encodable, or `Crashed` when the adapter broke the contract."""
    if isinstance(result, AttemptError):
        return result
    if not isinstance(result, Reply):
        return Crashed(f"the adapter returned {type(result).__name__} where a Reply belongs")
    if not isinstance(result.text, str):
        return Crashed(f"the adapter's reply has text of type {type(result.text).__name__}")
    objection = _probabilities(result) or _numbers(result)
    if objection:
        return Crashed(objection)
    text = encodable(result.text)
    return result if text is result.text else replace(result, text=text)


def encodable(text: str) -> str:
    """The text with lone surrogates (which no UTF-8 file can hold) replaced by U+FFFD."""
    if text.isascii():
        return text
    clean = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text if clean == text else clean


def _probabilities(reply: Reply) -> str | None:
    given = reply.grade_probabilities
    if given is None:
        return None
    for grade, p in given.items():
        if grade not in GRADES:
            return f"the adapter gives a probability for '{grade}', which is no grade"
        if not isinstance(p, float | int) or not math.isfinite(p) or not -1e-9 <= p <= 1 + 1e-9:
            return f"the adapter gives P({grade}) = {p}, which is no probability"
    if sum(given.values()) > 1 + 1e-3:
        return f"the adapter's grade probabilities sum to {sum(given.values()):.4g}, over 1"
    return None


def _numbers(reply: Reply) -> str | None:
    for part in (reply.stages, reply.usage, reply.memory):
        for field in fields(part):
            value = getattr(part, field.name)
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                return f"the adapter's reply has {field.name} = {value!r}, which is no measurement"
    return None
