"""Chat completions as servers send them, whole or in pieces, and what becomes of them: a reply, or the error they are.

Field names: the Chat Completions API reference (https://developers.openai.com/api/docs/api-reference/chat). What a
compatible server leaves out is None; what it adds is ignored; a field of the wrong type makes the body no completion.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghostbench import ContentFiltered, ModelError, Refused, Reply, Stages, Truncated, Usage
from ghostbench_openai.failures import from_error_object, not_protocol
from ghostbench_openai.prices import PriceTable
from ghostbench_openai.redaction import Secrets
from ghostbench_openai.verdict import Token, grade_probabilities

Count = Annotated[int, Field(ge=0)]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _CachedDetails(_Lenient):
    cached_tokens: Count | None = None


class _Usage(_Lenient):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: _CachedDetails | None = None


class _Alternative(_Lenient):
    token: str
    logprob: float


class _TokenLogprob(_Alternative):
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(_Lenient):
    content: list[_TokenLogprob] | None = None


class _Text(_Lenient):
    text: str | None = None


class _Message(_Lenient):
    content: str | list[_Text] | None = None
    refusal: str | None = None

    def words(self) -> str:
        """The content as one text, whether it came as one or in parts."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or ""


class _Choice(_Lenient):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class Completion(_Lenient):
    """A chat completion, or one piece of a streamed one."""

    model: str | None = None
    system_fingerprint: str | None = None
    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: Any = None


@dataclasses.dataclass(slots=True)
class Answer:
    """What a completion said, put together."""

    text: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None
    logprobs: list[_TokenLogprob] = dataclasses.field(default_factory=list)

    def add(self, piece: Completion) -> bool:
        """Take in a completion or one piece of it; True if it brought words of the answer."""
        self.model = piece.model or self.model
        self.system_fingerprint = piece.system_fingerprint or self.system_fingerprint
        self.usage = piece.usage or self.usage
        before = len(self.text) + len(self.refusal)
        for choice in piece.choices[:1]:
            message = choice.message or choice.delta
            if message is not None:
                self.text += message.words()
                self.refusal += message.refusal or ""
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.logprobs is not None:
                self.logprobs += choice.logprobs.content or ()
        return len(self.text) + len(self.refusal) > before


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is needed to make a reply of an answer.

    verdict_field, verdict_values : as in `Prompt`. names : what the model may be called in the price table, beside the
        name that the server gives. batch : whether the Batch API's price counts.
    """

    verdict_field: str | None
    verdict_values: tuple[str, ...]
    names: Sequence[str]
    prices: PriceTable
    batch: bool
    secrets: Secrets


def parse_completion(body: bytes | str | dict[str, Any], secrets: Secrets) -> Completion:
    """A body as a completion. Raises `ServerError` for one that is none, and what an error object in it stands for."""
    complaint = None
    try:
        completion = Completion.model_validate(body) if isinstance(body, dict) else Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        complaint = f"no chat completion ({'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']})"
    if complaint is not None:
        # Raised out here: the validator's own error holds the body, and would hang on this one as its context.
        text = body.decode(errors="replace") if isinstance(body, bytes) else json.dumps(body, default=str)
        raise not_protocol(complaint, text, secrets)
    if completion.error:
        raise from_error_object(completion.error, secrets)
    return completion


def reply_or_error(
    answer: Answer, reading: Reading, *, server_request_id: str | None = None, stages: Stages | None = None
) -> Reply | ModelError:
    """The answer as a reply, or as the refusal, cut or filtering that it is, with the reply in it."""
    usage = Usage()
    if answer.usage is not None:
        details = answer.usage.prompt_tokens_details
        usage = Usage(
            input_tokens=answer.usage.prompt_tokens,
            cached_tokens=details.cached_tokens if details is not None else None,
            output_tokens=answer.usage.completion_tokens,
        )
    price = reading.prices.find(answer.model, *reading.names)
    if price is not None:
        usage = dataclasses.replace(usage, cost_usd=price.cost(usage, batch=reading.batch))
    reply = reading.secrets.out_of_reply(
        Reply(
            text=answer.text or answer.refusal,
            finish_reason=answer.finish_reason,
            served_model=answer.model,
            system_fingerprint=answer.system_fingerprint,
            server_request_id=server_request_id,
            usage=usage,
            stages=stages or Stages(),
            grade_probabilities=_probabilities(answer, reading),
        )
    )
    if answer.refusal:
        return Refused("the model declined to answer", reply=reply)
    if answer.finish_reason == "content_filter":
        return ContentFiltered("the server's content filter stopped the answer", reply=reply)
    if answer.finish_reason == "length":
        return Truncated("the output limit cut the answer off", reply=reply)
    return reply


def _probabilities(answer: Answer, reading: Reading) -> dict[str, float] | None:
    tokens = [
        Token(item.token, item.logprob, [(other.token, other.logprob) for other in item.top_logprobs or ()])
        for item in answer.logprobs
    ]
    return grade_probabilities(tokens, reading.verdict_field, reading.verdict_values) if tokens else None
