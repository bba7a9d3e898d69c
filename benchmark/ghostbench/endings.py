"""What servers' and engines' words for the end of an answer mean, whichever of them says it."""

from __future__ import annotations

from typing import Literal

Ending = Literal["whole", "refused", "filtered", "cut", "broken", "unknown"]

_FILTERED = (
    *("content_filter", "safety", "image_safety", "prohibited_content", "blocklist", "spii", "recitation"),
    *("image_prohibited_content", "image_recitation"),
    *("content_policy", "guardrail", "moderation", "sensitive", "blocked"),
)
"""How finish reasons begin that tell of a filter: OpenAI's and Azure's, Gemini's own, Bedrock's, Zhipu's."""
_CUT = frozenset(
    {
        *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
        "continuation",
    }
)
"""Gemini says "continuation" of an answer that a further request would go on with."""
_BROKEN = frozenset(
    {
        *("error", "network_error", "abort", "aborted", "cancelled", "other"),
        *("malformed_function_call", "malformed_response", "unexpected_tool_call"),
    }
)
_WHOLE = frozenset(
    {
        *("stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete", "completed"),
        *("finish_reason_unspecified", "closed", "score"),
    }
)
"""OpenAI's and Gemini's; Anthropic's; compatible servers'; "not said"; this project's own local models'."""


def how_it_ended(finish_reason: str | None) -> Ending:
    """What a finish reason says of the answer: that it is whole (as one that says nothing counts), that the model
    declined, that a filter stopped it, that a limit cut it off, or that it broke; "unknown" for a word not known."""
    reason = (finish_reason or "").lower()
    if not reason or reason in _WHOLE:
        return "whole"
    if reason == "refusal":
        return "refused"
    if reason.startswith(_FILTERED):
        return "filtered"
    if reason in _CUT:
        return "cut"
    return "broken" if reason in _BROKEN else "unknown"
