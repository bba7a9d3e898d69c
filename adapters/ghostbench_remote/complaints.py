"""What servers say when they refuse: their words and codes, wherever in a body these stand, and what they mean.

The words are those of OpenAI, Azure, Anthropic, Gemini, Mistral, Groq, xAI, DeepSeek, OpenRouter, Together, LiteLLM,
vLLM, SGLang, TGI, llama.cpp and Ollama, as their sources and documentation have them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OPTIONAL = ("seed", "temperature", "logprobs", "max_tokens", "max_completion_tokens", "detail", "stream_options")
"""Parts of a request that it can do without, by the names that refusals have for them here."""
FORMAT = "response_format"
"""The part of a request that other answer formats stand in for."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_NO_MONEY_CODES = frozenset(
    {
        *(
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "quota_exceeded",
            "budget_exceeded",
        ),
        *("insufficient_balance", "insufficient_credits", "billing_error", "arrearage", "account_deactivated"),
    }
)
_NO_MONEY = _any(
    r"credit balance",
    r"insufficient (?:account )?(?:funds|balance|credits?|quota)",
    r"balance is (?:insufficient|too low|not enough)",
    r"exceeded your current quota",
    r"budget has been exceeded|exceeded (?:token )?budget",
    r"billing (?:hard limit|details|is|not)|enable billing",
    r"(?:purchase|buy|add|more) credits|out of (?:credits?|call volume quota)",
    r"account (?:is )?(?:not active|deactivated|suspended|in arrears)",
    r"payment (?:is )?required|key limit exceeded|spend(?:ing)? limit",
    r"reached (?:your|its|the) (?:\w+ ){0,3}usage limits?\b|余额不足|欠费",
)
_FILTER_CODES = frozenset(
    {
        *("content_filter", "content_policy_violation", "contentpolicyviolation", "responsibleaipolicyviolation"),
        *("moderation_blocked", "data_inspection_failed", "safety", "prohibited_content", "invalid_prompt"),
    }
)
_FILTER = _any(
    r"content management policy|content[ _-]?policy|ContentPolicyViolation|responsible ?ai ?policy",
    r"usage polic(?:y|ies)",
    r"content[ _-]?filter(?:ed|ing)?\b|safety system|requires moderation",
    r"(?:input|prompt|request|content) (?:was |has been |is )?flagged",
    r"blocked (?:by|due to|because of) .{0,40}(?:safety|policy|policies|filter|prohibited|content)",
    r"PROHIBITED_CONTENT|block_?reason|data_inspection_failed|inappropriate content",
)
_NO_KEY_CODES = frozenset(
    {
        *("api_key_invalid", "invalid_api_key", "authentication_error", "permission_denied", "permission_error"),
        *("unauthenticated", "no_db_connection", "auth_error", "expired_key", "unsupported_country_region_territory"),
    }
)
_KEY = r"(?:api|access|subscription|authentication|virtual)[ _-]?key"
_NO_KEY = _any(
    rf"{_KEY}(?: is| was)? (?:not valid|invalid|expired|not found|missing)",
    rf"(?:invalid|incorrect|expired|missing|unknown|no|wrong) (?:x-)?{_KEY}",
    r"authentication (?:error|failed|required)|AuthenticationError|unauthori[sz]ed",
    r"no connected db|invalid (?:bearer )?token|(?:missing|no|invalid) authorization header|unregistered callers",
    r"location is not supported|country.{0,30}not supported",
)
_NO_MODEL_CODES = frozenset(
    {
        *("model_not_found", "modelnotfound", "modelnotfounderror", "invalid_model", "model_not_supported"),
        *("model_decommissioned", "deploymentnotfound", "operationnotsupported"),
        *("not_found_error", "notfounderror", "not_found"),
    }
)
_NO_MODEL = _any(
    r"invalid model(?: name| id)?\b|unknown model\b|no such model|model not (?:found|exist)|model_?not_?found",
    r"LLM Provider NOT provided|does not work with the specified model",
    r"(?:does not have|no|without) access to (?:the )?(?:model|deployment)",
    r"(?:models?|deployment|engine)\b.{0,120}?\b(?:does not exist|doesn't exist|not exist|not found|is not available)",
    r"(?:models?|deployment|engine)\b.{0,120}?\b(?:is not (?:a )?(?:valid|known)|is not a chat model)",
    r"(?:models?|deployment|engine)\b.{0,120}?\bhas been (?:deprecated|decommissioned|shut down)",
    r"not a valid model id\b|model identifier is invalid|unable to access (?:[\w-]+ )?model\b|模型不存在",
    r"models?\b.{0,120}?\bnot supported (?:by any provider|for generatecontent)",
)
_TOO_LARGE_CODES = frozenset(
    {
        *("context_length_exceeded", "string_above_max_length", "request_too_large", "payload_too_large"),
        *("exceed_context_size_error", "contextwindowexceedederror", "context_window_exceeded"),
    }
)
_LONG = r"(?:too (?:long|large|big|many)|long(?:er)? than|larger than|exceed(?:s|ed|ing)?|greater than)"
_TOO_LARGE = _any(
    r"context[ _-]?(?:length|window|size|limit)|maximum (?:context|prompt|model|input|sequence) length",
    r"max_(?:model|seq)_len|maximum (?:number of|allowed) (?:\w+ )?(?:tokens|images)",
    r"too many (?:\w+ )?(?:images|tokens)",
    r"(?:prompt|request|payload|body|inputs?|message)s?(?: \w+)?(?: entity| size| length| data)?(?: is| are)? " + _LONG,
    r"(?:prompt|input) \(?[^)]{0,40}\)? ?is (?:too long|longer)|token count[^.]{0,40}exceed",
    r"`?inputs?`? tokens \+ `?max_new_tokens`?|`?inputs?`? must have less than \d+ tokens",
    r"tokens? [^.]{0,30}cannot exceed",
    r"(?:reduce|shorten|decrease) (?:the |your )?(?:\w+ )?(?:length|prompt|input|number of images)",
    r"at most \d+ (?:\w+ )?(?:image|multi-?modal)|You set image=\d+|limit-mm-per-prompt|up to \d+ images?\b",
    r"(?:number of|total) images?[^.]{0,40}(?:exceed|limit|at most|maximum|too)|many-image request",
    r"images?[^.]{0,30}> \d+ ?(?:images|maximum)|no more than \d+ images|images per (?:request|prompt)",
    r"(?:only|at most) (?:one|a single|\d+) (?:\w+ )?images?\b",
    r"exceeds? (?:the )?(?:model's )?(?:context|n_ctx)",
    r"(?:sequence|input|prompt|embeddings?)s? (?:length|tokens?)?[^.]{0,30}\b"
    rf"{_LONG} (?:than )?(?:the )?(?:allowed|max|limit|configured|supported)",
    r"multi-?modal (?:tokens|embeddings)[^.]{0,40}exceed|input tokens \d+ > max|\d+ tokens, but only \d+",
    r"\d+ bytes > \d+ bytes|\b(?:file|image|media) size is too (?:large|big)|array too long|encoder cache size",
    r"range of input length|超长|(?:输入|輸入|请求|請求|提示|上下文)\S{0,10}(?:超过|超過|超出|过长|過長)",
)
_PAST_A_BUDGET = _any(r"request too large", r"tokens must be reduced")
_NAMES = {
    "seed": ("seed", "random_seed"),
    "temperature": ("temperature",),
    "logprobs": ("logprobs", "top_logprobs", "logprob", "Logprobs", "log probabilities", "responseLogprobs"),
    "max_completion_tokens": ("max_completion_tokens",),
    "max_tokens": ("max_tokens",),
    "detail": ("image_url.detail",),
    "stream_options": ("stream_options", "include_usage"),
    FORMAT: (
        *(
            FORMAT,
            "json_schema",
            "json_object",
            "response_json_schema",
            "responseJsonSchema",
            "output_format",
            "output_config",
            "response format",
        ),
        *("structured output", "structured outputs", "json mode", "guided_json"),
    ),
}
_WORD_OF = {
    part: re.compile("|".join(rf"(?<![\w/-]){re.escape(name)}(?![\w/-])" for name in names))
    for part, names in _NAMES.items()
}
_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
_DETAIL = re.compile(r"image_url[\"'\]\[.,\s]{1,6}detail|[\"'`]detail[\"'`](?!\s*:)")
_UNKNOWN = (
    r"unsupport|not support|n't support|unrecogni[sz]ed|unknown|unexpected|not permitted|extra|forbidden|deprecated"
)
_NO_SUCH_LIMIT = _any(_UNKNOWN, r"instead|not allowed|disallow|removed")
_NOT_TAKEN = _any(
    _UNKNOWN,
    r"not (?:be |allowed|available|enabled|accepted|(?:a )?valid|recogni[sz]ed)|only|unavailable|invalid|cannot",
    r"can['’]t|does not|must|property|no endpoints|disallow|disabled|removed|instead|requires? (?:the )?default",
)
_NO_ROUTE = _any(r"no endpoints found that (?:can handle|support)")


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error's body: the server's words, its codes in lower case, the parameter it names, all of it as text."""

    words: str
    codes: frozenset[str] = frozenset()
    param: str | None = None
    body: str = ""

    @classmethod
    def read(cls, body: str) -> Complaint:
        """From a body of any shape: an error object, one in a list, one with more inside, a page, nothing."""
        body = body.removeprefix("\ufeff")
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return cls(" ".join(body.split()), body=body)
        found = _error_object(parsed)
        if not isinstance(found, Mapping):
            return cls(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False), body=body)
        words = next((found[key] for key in ("message", "detail", "msg", "error") if found.get(key)), found)
        param = found.get("param")
        return cls(
            words if isinstance(words, str) else json.dumps(words, ensure_ascii=False),
            frozenset(_codes(parsed if isinstance(parsed, Mapping) else found, 0)),
            param if isinstance(param, str) else None,
            body,
        )

    @property
    def of_money(self) -> bool:
        """Whether the account has nothing left, by the words."""
        return bool(_NO_MONEY.search(self.words))

    @property
    def of_money_by_code(self) -> bool:
        """Whether the account has nothing left, by a code."""
        return bool(self.codes & _NO_MONEY_CODES)

    @property
    def of_content(self) -> bool:
        """Whether a content filter refused."""
        return bool(self.codes & _FILTER_CODES or _FILTER.search(self.words))

    @property
    def of_the_key(self) -> bool:
        """Whether the key is none, or not for here."""
        return bool(self.codes & _NO_KEY_CODES or _NO_KEY.search(self.words))

    @property
    def of_the_model(self) -> bool:
        """Whether there is no such model, or none for this key."""
        return bool(self.codes & _NO_MODEL_CODES or _NO_MODEL.search(self.words))

    @property
    def of_the_request(self) -> bool:
        """Whether a gateway found no one who takes such a request, though there is the model."""
        return bool(_NO_ROUTE.search(self.words))

    @property
    def of_size(self) -> bool:
        """Whether the request is too large: too many tokens, images or bytes."""
        return bool(self.codes & _TOO_LARGE_CODES or _TOO_LARGE.search(self.words))

    @property
    def past_a_budget(self) -> bool:
        """Whether the request is larger than a whole budget by the minute, so that no waiting makes room for it."""
        return bool(_PAST_A_BUDGET.search(self.words))

    def refuses(self, sent: frozenset[str] | None) -> tuple[str, ...]:
        """The parts of the request that it says are not taken, of those that were sent (None: of all)."""
        text = self.words
        named = _part_of(self.param) if self.param else None
        if self.param and named is None and self.param.partition(".")[0] in {"messages", "model"}:
            return ()
        found = [named] if named is not None else [*_parts_in(text, sent)]
        if named is None and not _NOT_TAKEN.search(text):
            return ()
        if not _NO_SUCH_LIMIT.search(text):
            found = [part for part in found if part not in _LIMITS]
        return tuple(part for part in found if sent is None or part in sent)


def _parts_in(text: str, sent: frozenset[str] | None) -> Iterator[str]:
    """The parts that a text names; of the two names of the output limit, that of the one sent or else the first."""
    at = {part: found.start() for part, pattern in _WORD_OF.items() if (found := pattern.search(text)) is not None}
    if _DETAIL.search(text):
        at["detail"] = 0
    limits = sorted(_LIMITS.intersection(at), key=at.__getitem__)
    limits = [part for part in limits if sent is None or part in sent]
    yield from (part for part in at if part not in _LIMITS or part in limits[:1])


def _part_of(param: str) -> str | None:
    """The part that a parameter's name or path ("body.seed", "messages[1].content[0].image_url.detail") means."""
    if param.endswith("detail"):
        return "detail"
    return next((part for part, pattern in _WORD_OF.items() if pattern.search(param)), None)


def _error_object(parsed: Any) -> Any:
    """The innermost thing that speaks of the error."""
    for _ in range(4):
        if isinstance(parsed, list) and len(parsed) == 1:
            parsed = parsed[0]
        elif isinstance(parsed, Mapping) and isinstance(parsed.get("error"), (Mapping, list)):
            parsed = parsed["error"]
        elif isinstance(parsed, Mapping) and not parsed.get("message") and isinstance(parsed.get("errors"), list):
            parsed = parsed["errors"][0] if parsed["errors"] else parsed
            break
        else:
            break
    return parsed


def _codes(value: Any, depth: int) -> Iterator[str]:
    """Every code, type, status and reason in an error's body, in lower case."""
    if depth > 4 or not isinstance(value, Mapping):
        return
    for key in ("code", "type", "error_type", "status", "reason"):
        if isinstance(value.get(key), str):
            yield value[key].lower()
    for key in ("error", "innererror", "inner_error", "metadata"):
        yield from _codes(value.get(key), depth + 1)
    for key in ("details", "error", "errors"):
        for item in value[key] if isinstance(value.get(key), list) else ():
            yield from _codes(item, depth + 1)
