"""Chat completions as servers send them, whole or in pieces, and what becomes of them: a reply, or the error they are.

Field names: the Chat Completions API reference (https://developers.openai.com/api/docs/api-reference/chat). What a
compatible server leaves out is None; what it adds is ignored. A body is no completion where the answer itself cannot be
read: its choices, message or content are of a wrong type. Anything else that is odd is as if it were not there.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from ghostbench import ContentFiltered, ModelError, Reply, Stages, Usage
from ghostbench_remote.ending import Reading, Said, ending
from ghostbench_remote.failures import from_error_object
from ghostbench_remote.lenient import Count, Lenient, Soft, read_as
from ghostbench_remote.redaction import Secrets
from ghostbench_remote.thoughts import is_thought
from ghostbench_remote.verdict import Token


def _or_unknown(value: Any) -> Any:
    return math.nan if value is None else value


LogProbability = Annotated[float, BeforeValidator(_or_unknown)]
"""NaN where the server has none."""


class _CachedDetails(Lenient):
    cached_tokens: Count = None


class _Usage(Lenient):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: Soft[_CachedDetails] = None


class _Alternative(Lenient):
    token: str
    logprob: LogProbability = math.nan


class _TokenLogprob(_Alternative):
    top_logprobs: Soft[list[Soft[_Alternative]]] = None


class _Logprobs(Lenient):
    content: Soft[list[_TokenLogprob]] = None


class _Text(Lenient):
    type: Soft[str] = None
    text: str | None = None
    refusal: Soft[str] = None


class _Message(Lenient):
    content: str | list[_Text] | None = None
    refusal: Soft[str] = None

    def words(self) -> str:
        """The content as one text, whether it came as one or in parts."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if not is_thought(part.type))
        return self.content or ""

    def refused(self) -> str:
        """The words of a refusal, whether they came in a field of their own or as parts of the content."""
        parts = self.content if isinstance(self.content, list) else []
        return (self.refusal or "") + "".join(part.refusal or "" for part in parts)


class _Choice(Lenient):
    index: Count = None
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: Soft[str] = None
    logprobs: Soft[_Logprobs] = None
    error: Any = None


class Completion(Lenient):
    """A chat completion, or one piece of a streamed one."""

    model: Soft[str] = None
    system_fingerprint: Soft[str] = None
    choices: Annotated[list[_Choice], BeforeValidator(lambda given: [] if given is None else given)] = Field(
        default_factory=list
    )
    usage: Soft[_Usage] = None
    error: Any = None
    prompt_feedback: Any = Field(default=None, validation_alias=AliasChoices("prompt_feedback", "promptFeedback"))
    prompt_filter_results: Any = None

    @property
    def filtered(self) -> bool:
        """Whether a filter kept the prompt from being answered at all, as Gemini and Azure say it."""
        feedback = self.prompt_feedback if isinstance(self.prompt_feedback, dict) else {}
        said = json.dumps(self.prompt_filter_results, default=str)
        return not self.choices and bool(
            feedback.get("block_reason") or feedback.get("blockReason") or '"filtered": true' in said
        )


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
    message: bool = False
    error: Any = None
    index: int | None = None

    def add(self, piece: Completion) -> bool:
        """Take in a completion or one piece of it; True if it brought words of the answer."""
        self.model = piece.model or self.model
        self.system_fingerprint = piece.system_fingerprint or self.system_fingerprint
        self.usage = piece.usage or self.usage
        before = len(self.text) + len(self.refusal)
        for choice in self._own(piece.choices):
            message = choice.message or choice.delta
            self.error = choice.error or self.error
            if message is not None:
                self.message = True
                self.text += message.words()
                self.refusal += message.refused()
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.logprobs is not None:
                self.logprobs += choice.logprobs.content or ()
        return len(self.text) + len(self.refusal) > before

    def said(self) -> Said:
        """What came, as all services' answers are read."""
        usage = Usage()
        if self.usage is not None:
            details = self.usage.prompt_tokens_details
            usage = Usage(
                input_tokens=self.usage.prompt_tokens,
                cached_tokens=details.cached_tokens if details is not None else None,
                output_tokens=self.usage.completion_tokens,
            )
        return Said(
            text=self.text,
            refusal=self.refusal,
            finish_reason=self.finish_reason,
            model=self.model,
            system_fingerprint=self.system_fingerprint,
            usage=usage,
            tokens=[
                Token(
                    item.token, item.logprob, [(o.token, o.logprob) for o in item.top_logprobs or () if o is not None]
                )
                for item in self.logprobs
            ],
            message=self.message,
            error=self.error,
        )

    def _own(self, choices: Sequence[_Choice]) -> Sequence[_Choice]:
        """The choice of a piece that this answer is made of: where a server gives several, none is mixed into another.

        It is the one with the lowest number of the first piece that has any.
        """
        own = [choice for choice in choices if self.index is None or choice.index in (None, self.index)]
        first = sorted(own, key=lambda choice: choice.index or 0)[:1]
        for choice in first:
            self.index = choice.index if self.index is None else self.index
        return first


def parse_completion(body: bytes | str | dict[str, Any], secrets: Secrets) -> Completion:
    """A body as a completion. Raises `ServerError` for one that is none, and what an error object in it stands for."""
    completion = read_as(Completion, body, "chat completion", secrets)
    if completion.error:
        raise from_error_object(completion.error, secrets)
    if completion.filtered:
        raise ContentFiltered("the server's content filter stopped the request")
    return completion


def reply_or_error(
    answer: Answer, reading: Reading, *, server_request_id: str | None = None, stages: Stages | None = None
) -> Reply | ModelError:
    """The answer as a reply, or as the refusal, cut or filtering that it is, with the reply in it."""
    return ending(answer.said(), reading, server_request_id=server_request_id, stages=stages)
