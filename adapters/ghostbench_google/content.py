"""A generated content as Gemini's server sends it, read leniently, as all that was said in it.

Fields: the generateContent reference (https://ai.google.dev/api/generate-content). The answer itself has to be
readable: its candidates, parts and how it ended; anything else that is odd is as if it were not there.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from ghostbench import Usage
from ghostbench_remote.ending import Said
from ghostbench_remote.failures import from_error_object
from ghostbench_remote.lenient import Count, Counts, Lenient, Soft, read_as
from ghostbench_remote.redaction import Secrets
from ghostbench_remote.verdict import Token

_NAMES = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class _Lenient(Lenient):
    model_config = _NAMES


class _Part(_Lenient):
    text: str | None = None
    thought: bool | None = None


class _Content(_Lenient):
    parts: list[_Part] | None = None


class _LogProbability(_Lenient):
    token: str | None = None
    log_probability: float | None = None

    def pair(self) -> tuple[str, float]:
        """The token's text, and NaN where its log-probability is not known."""
        return self.token or "", math.nan if self.log_probability is None else self.log_probability


class _Alternatives(_Lenient):
    candidates: list[_LogProbability] | None = None


class _Probabilities(_Lenient):
    chosen_candidates: list[_LogProbability] | None = None
    top_candidates: list[_Alternatives] | None = None

    def tokens(self) -> list[Token]:
        """The answer's tokens with their alternatives; none where the service does not give both for all."""
        chosen, others = self.chosen_candidates or [], self.top_candidates or []
        if len(chosen) != len(others):
            return []
        return [
            Token(*token.pair(), [other.pair() for other in top.candidates or ()])
            for token, top in zip(chosen, others, strict=True)
        ]


class _Candidate(_Lenient):
    content: _Content | None = None
    finish_reason: str | None = None
    logprobs_result: Soft[_Probabilities] = None


class _Usage(Counts):
    model_config = _NAMES
    prompt_token_count: Count = None
    cached_content_token_count: Count = None
    candidates_token_count: Count = None
    thoughts_token_count: Count = None

    def counted(self) -> Usage:
        """As all services' are: thoughts are charged as the answer is."""
        return Usage(
            input_tokens=self.prompt_token_count,
            cached_tokens=self.total("cached_content_token_count", absent=0),
            output_tokens=self.total("candidates_token_count", "thoughts_token_count"),
        )


class _Feedback(_Lenient):
    block_reason: Soft[str] = None


class Generated(_Lenient):
    """A generated content, as far as it is read; or the error object in its place."""

    candidates: list[_Candidate] | None = None
    prompt_feedback: Soft[_Feedback] = None
    usage_metadata: Soft[_Usage] = None
    model_version: Soft[str] = None
    response_id: Soft[str] = None
    error: Any = None

    @property
    def blocked(self) -> str | None:
        """Why a filter kept the prompt from being answered; None where none did."""
        return self.prompt_feedback.block_reason if self.prompt_feedback is not None else None

    def said(self) -> Said:
        """What the first candidate says, as all services' answers are read."""
        candidate = self.candidates[0] if self.candidates else _Candidate()
        parts = (candidate.content.parts if candidate.content is not None else None) or []
        return Said(
            text="".join(part.text or "" for part in parts if not part.thought),
            finish_reason=candidate.finish_reason,
            model=self.model_version,
            usage=self.usage_metadata.counted() if self.usage_metadata is not None else Usage(),
            tokens=candidate.logprobs_result.tokens() if candidate.logprobs_result is not None else (),
            message=any(part.text is not None and not part.thought for part in parts),
        )


def parse_generated(body: str, secrets: Secrets) -> Generated:
    """A body as a generated content. Raises `ServerError` for one that is none, and what an error in it stands for."""
    generated = read_as(Generated, body, "generated content", secrets)
    if generated.error:
        raise from_error_object(generated.error, secrets)
    return generated
