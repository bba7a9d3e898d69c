"""Whether a model's reply keeps the contract, and text that any file can hold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from ghostbench.errors import AttemptError, Crashed, ModelError, RequestRejected
from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, MOST_COUNT, Compared, Memory, Reply, Stages, Usage
from ghostbench.running.rules.standing import PART

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
LONGEST_MESSAGE = 10_000
"""Characters of an error's message that are kept: some hold a whole page, or an array."""
_PLAIN: Mapping[type, Callable[[Any], Any]] = {
    bool: bool,
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
}
"""Types of JSON, and what takes the value out of a subclass without asking it."""
_MOST = 1e9
"""Seconds or dollars of one attempt: readers of a run folder take no more for a measurement."""


def checked(result: object) -> Reply | AttemptError:
    """The reply, of plain types throughout, its text made encodable and its probabilities a dict of numbers in [0, 1];
    the error as it is; or `Crashed` where either breaks the contract."""
    try:
        return _checked(result)
    except Exception as error:  # noqa: BLE001 - a stranger's class may raise anything when it is looked at
        return Crashed(f"the adapter's {type(result).__name__} cannot be read: {in_words(error)}")


def _checked(result: object) -> Reply | AttemptError:
    if isinstance(result, AttemptError):
        return _error(result)
    if not isinstance(result, Reply):
        return Crashed(f"the adapter returned {type(result).__name__} where a Reply belongs")
    reply = Reply(**{field.name: _plain(getattr(result, field.name)) for field in fields(Reply)})
    objection = _objection(reply)
    if objection:
        return Crashed(objection)
    if reply.grade_probabilities is not None:
        reply = replace(reply, grade_probabilities=_within(reply.grade_probabilities))
    if reply.compared is not None:
        other = replace(
            reply.compared,
            against=encodable(reply.compared.against),
            grade_probabilities=_within(reply.compared.grade_probabilities),
        )
        reply = replace(reply, compared=other)
    return replace(reply, text=encodable(reply.text))


def _within(given: Mapping[str, float]) -> dict[str, float]:
    return {grade: min(1.0, max(0.0, p)) for grade, p in given.items()}


def _plain(value: Any) -> Any:
    """The value itself where it is of a plain type, else what it holds as one: a class of the adapter's own may give
    another value, or none, whenever it is looked at."""
    if value is None or type(value) in _PLAIN:
        return value
    for kind, plain in _PLAIN.items():
        if isinstance(value, kind):
            return plain(value)
    for part in (Usage, Stages, Memory, Compared):
        if isinstance(value, part):
            return part(**{field.name: _plain(getattr(value, field.name)) for field in fields(part)})
    if isinstance(value, Mapping):
        return {_plain(key): _plain(held) for key, held in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def without_addresses(message: str) -> str:
    """A message without the places in memory that some objects show of themselves: they mean nothing to a reader."""
    return _ADDRESS.sub("", message)


def told(failure: Exception) -> str:
    """The failure's message as the ledger takes it: the beginning of one that has no end in sight."""
    message = str(failure)
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}… (cut; it has {len(message)} characters)"
    return encodable(without_addresses(message))


def in_words(error: BaseException) -> str | None:
    """The error's type and message; None where its own code fails to tell the message."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - a stranger's __str__ may raise anything
        return None


def _error(error: AttemptError) -> AttemptError:
    name, said = type(error).__name__, in_words(error)
    if said is None:
        return Crashed(f"the adapter raised {name}, which cannot say what happened")
    if not isinstance(error, ModelError) or not isinstance(getattr(error, "outcome", None), Outcome):
        return Crashed(f"the adapter raised {name}, which stands for no outcome of a model ({said})")
    pause = error.retry_after_s
    if pause is not None and not (_is_number(pause) and pause >= 0):
        return Crashed(f"the adapter asks for a pause of {pause!r} seconds ({said})")
    refuses = error.refuses if isinstance(error, RequestRejected) else ()
    if not isinstance(refuses, tuple) or not all(isinstance(part, str) and PART.fullmatch(part) for part in refuses):
        return Crashed(f"the adapter names {refuses!r} as refused parts of the request ({said})")
    if error.reply is not None:
        reply = checked(error.reply)
        if isinstance(reply, AttemptError):
            return Crashed(f"{reply} ({said})")
        error.reply = reply
    return error


def _objection(reply: Reply) -> str | None:
    """How the reply breaks the contract; None where it keeps it."""
    if not isinstance(reply.text, str):
        return f"the adapter's reply has text of type {type(reply.text).__name__}"
    for name in ("finish_reason", "served_model", "system_fingerprint", "server_request_id"):
        value = getattr(reply, name)
        if value is not None and not isinstance(value, str):
            return f"the adapter's reply has {name} of type {type(value).__name__}"
    for name, kind in (("usage", Usage), ("stages", Stages), ("memory", Memory)):
        if not isinstance(getattr(reply, name), kind):
            return f"the adapter's reply has {name} of type {type(getattr(reply, name)).__name__}"
    if reply.batch_size is not None and not (type(reply.batch_size) is int and 1 <= reply.batch_size <= MOST_COUNT):
        return f"the adapter's reply has batch_size = {reply.batch_size!r}, which is no count"
    if not isinstance(reply.notes, tuple) or not all(isinstance(note, str) for note in reply.notes):
        return "the adapter's reply has notes that are no tuple of texts"
    return _probabilities(reply.grade_probabilities) or _compared(reply) or _numbers(reply)


def encodable(text: str) -> str:
    """The text with lone surrogates (which no UTF-8 file can hold) replaced by U+FFFD."""
    if text.isascii():
        return text
    clean = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text if clean == text else clean


def _compared(reply: Reply) -> str | None:
    other = reply.compared
    if other is None:
        return None
    if not isinstance(other, Compared):
        return f"the adapter's reply has compared of type {type(other).__name__}"
    if not isinstance(other.against, str) or not other.against:
        return "the adapter's reply is compared with a model without a name"
    if not reply.grade_probabilities or not other.grade_probabilities:
        return "the adapter's reply is compared with another, and one of the two has no grade probabilities"
    return _probabilities(other.grade_probabilities)


def _probabilities(given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return f"the adapter gives grade probabilities as {type(given).__name__}, not by grade"
    for grade, p in given.items():
        if grade not in GRADES:
            return f"the adapter gives a probability for '{grade}', which is no grade"
        if not _is_number(p) or not -1e-9 <= p <= 1 + 1e-9:
            return f"the adapter gives P({grade}) = {p}, which is no probability"
    if sum(given.values()) > 1 + 1e-3:
        return f"the adapter's grade probabilities sum to {sum(given.values()):.4g}, over 1"
    return None


def checked_usage(usage: object) -> Usage:
    """What an adapter says of a request's use. Raises `Crashed` where that is no `Usage` of numbers that can be."""
    objection = f"the adapter estimates a {type(usage).__name__} where a Usage belongs"
    if isinstance(usage, Usage):
        objection = _unsound(usage, "the adapter's estimate") or ""
        if not objection:
            return usage
    raise Crashed(objection)


def _numbers(reply: Reply) -> str | None:
    found = (_unsound(part, "the adapter's reply") for part in (reply.stages, reply.usage, reply.memory))
    return next((objection for objection in found if objection), None)


def _unsound(part: Stages | Usage | Memory, whose: str) -> str | None:
    for field in fields(part):
        value = getattr(part, field.name)
        counted = field.name.endswith(("_tokens", "_bytes"))
        sound = _is_number(value) and 0 <= value <= (MOST_COUNT if counted else _MOST)
        sound = sound and (isinstance(value, int) or not counted)
        if value is not None and not sound:
            return f"{whose} has {field.name} = {value!r}, which is no measurement"
    return None


def _is_number(value: object) -> bool:
    """Whether it is a finite number that JSON can hold: a number of another library, NaN and True are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
