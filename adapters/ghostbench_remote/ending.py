"""How an answer ended, whatever the service: a reply, or the refusal, cut, filtering or fault that it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ghostbench import (
    ContentFiltered,
    ModelError,
    Refused,
    Reply,
    ServerError,
    Stages,
    Truncated,
    Usage,
    how_it_ended,
)
from ghostbench_remote.failures import from_error_object
from ghostbench_remote.prices import Prices
from ghostbench_remote.redaction import Secrets
from ghostbench_remote.schema import NOT_ENFORCED, keeps_to
from ghostbench_remote.thoughts import without_thoughts
from ghostbench_remote.verdict import Token, grade_probabilities

_LONGEST_WORD = 60
"""Characters of an unknown finish reason that a note shows."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Said:
    """What a service said in answer to one request.

    written_tokens : how many of the input tokens it put into its cache. tokens : with their log-probabilities.
    message : whether there was an answer at all, be it empty. error : what the service says of an answer it broke off.
    """

    text: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Usage = dataclasses.field(default_factory=Usage)
    written_tokens: int = 0
    tokens: Sequence[Token] = ()
    message: bool = True
    error: Any = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is needed to make a reply of an answer.

    verdict_field, verdict_values : as in `Prompt`. names : what the model may be called in the price table, beside the
        name that the server gives. batch : whether the Batch API's price counts. schema : what the answer was asked to
        be held to; None for nothing.
    """

    verdict_field: str | None
    verdict_values: tuple[str, ...]
    names: Sequence[str]
    prices: Prices
    batch: bool
    secrets: Secrets
    schema: Mapping[str, Any] | None = None


def ending(
    said: Said, reading: Reading, *, server_request_id: str | None = None, stages: Stages | None = None
) -> Reply | ModelError:
    """The answer as a reply, or as the refusal, cut or filtering that it is, with the reply in it."""
    usage = said.usage
    price = reading.prices.find(said.model, *reading.names)
    if price is not None:
        cost = price.cost(usage, batch=reading.batch, written_tokens=said.written_tokens)
        usage = dataclasses.replace(usage, cost_usd=cost)
    thoughts, text = without_thoughts(said.text)
    ended = how_it_ended(said.finish_reason)
    notes = [f"{len(thoughts)} characters of thoughts before the answer were taken off"] if thoughts else []
    if ended == "unknown":
        word = reading.secrets.out_of(said.finish_reason or "")[:_LONGEST_WORD]
        notes.append(f"the answer ended as {word!a}, which is no ending known")
    reply = reading.secrets.out_of_reply(
        Reply(
            text=text or said.refusal,
            finish_reason=said.finish_reason,
            served_model=said.model,
            system_fingerprint=said.system_fingerprint,
            server_request_id=server_request_id,
            usage=usage,
            stages=stages or Stages(),
            grade_probabilities=_probabilities(said, thoughts, reading),
            notes=tuple(notes),
        )
    )
    if said.refusal or ended == "refused":
        return Refused("the model declined to answer", reply=reply)
    if ended == "filtered":
        return ContentFiltered("the server's content filter stopped the answer", reply=reply)
    if ended == "cut":
        return Truncated("the output limit cut the answer off", reply=reply)
    if said.error or ended == "broken":
        failure = from_error_object(
            said.error or {"message": f"the answer ended as '{(said.finish_reason or '').lower()}'"}, reading.secrets
        )
        failure.reply = reply
        return failure
    if not said.message:
        return ServerError("the completion has no message in it", reply=reply)
    if reading.schema is not None and text.strip() and not keeps_to(text, reading.schema):
        reply = dataclasses.replace(reply, notes=(*reply.notes, NOT_ENFORCED))
    return reply


def _probabilities(said: Said, thoughts: str, reading: Reading) -> dict[str, float] | None:
    """From the tokens of the answer itself; none where thoughts came before it and the tokens do not tell where."""
    tokens = list(said.tokens)
    if thoughts:
        if "".join(token.text for token in tokens) != said.text:
            return None
        end = 0
        for number, token in enumerate(tokens, start=1):
            end += len(token.text)
            if end >= len(thoughts):
                rest = token.text[len(token.text) - (end - len(thoughts)) :]
                tokens = [*([dataclasses.replace(token, text=rest)] if rest else ()), *tokens[number:]]
                break
    return grade_probabilities(tokens, reading.verdict_field, reading.verdict_values) if tokens else None
