"""From what a server or the transport did to the typed error that says it: the one table of this package.

| what happened                                             | error            |
|-----------------------------------------------------------|------------------|
| 401, 403                                                  | AuthFailed       |
| 402, or a code that says the quota or the credit is spent | QuotaExhausted   |
| 408, no answer before the deadline, a stalled stream      | TimedOut         |
| 413, or a code or message that the context is too long    | RequestTooLarge  |
| 429 of any other kind                                     | RateLimited      |
| a code that names the content filter                      | ContentFiltered  |
| any other 3xx or 4xx                                      | RequestRejected  |
| 5xx, a body that is not the protocol's                    | ServerError      |
| no connection, or one that broke                          | ConnectionFailed |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ghostbench import (
    AuthFailed,
    ConnectionFailed,
    ContentFiltered,
    Crashed,
    ModelError,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    RequestTooLarge,
    ServerError,
    TimedOut,
)
from ghostbench_openai.pacing import retry_after_s
from ghostbench_openai.redaction import Secrets

_LONGEST = 500
"""Characters of a server's words that are kept."""

_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded"})
_FILTERED = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_TOO_LARGE = frozenset({"context_length_exceeded", "string_above_max_length", "request_too_large", "payload_too_large"})
_TOO_LARGE_WORDS = re.compile(
    r"context (?:length|window)|maximum (?:number of|allowed) (?:tokens|images)|too many (?:images|tokens)"
    r"|(?:prompt|request|payload|body|input)(?: entity)?(?: is)? too (?:long|large)|at most \d+ image",
    re.IGNORECASE,
)


def from_status(  # noqa: PLR0911 - one line for each row of the table
    status: int, headers: Mapping[str, str], body: str, secrets: Secrets
) -> ModelError:
    """The error for a response that is no answer. `headers`: names in lower case, or a mapping that ignores case."""
    words, codes = _read(body)
    message = _shown(f"HTTP {status}: {words}" if words else f"HTTP {status}", secrets)
    pause = retry_after_s(headers)
    if codes & _QUOTA or status == 402:
        return QuotaExhausted(message)
    if codes & _FILTERED:
        return ContentFiltered(message)
    if status in {401, 403}:
        return AuthFailed(message)
    if status == 429:
        return RateLimited(message, retry_after_s=pause)
    if status == 408:
        return TimedOut(message, retry_after_s=pause)
    if status >= 500 or status < 300:
        return ServerError(message, retry_after_s=pause)
    if status == 413 or (status in {400, 422} and (codes & _TOO_LARGE or _TOO_LARGE_WORDS.search(words))):
        return RequestTooLarge(message)
    return RequestRejected(message)


def from_exception(error: Exception, secrets: Secrets) -> ModelError:  # noqa: PLR0911 - one for each kind
    """The error for an exception of the SDK or its transport; for one that is neither, `Crashed`."""
    import openai

    if isinstance(error, ModelError):
        return error
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.response.headers, _text(error), secrets)
    if isinstance(error, openai.APITimeoutError):
        return TimedOut(_shown("the transport's own time limit was reached", secrets))
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        said = f"{type(cause).__name__}: {cause}" if cause is not None else str(error)
        return ConnectionFailed(_shown(said, secrets))
    if isinstance(error, openai.APIError):
        return from_error_object(error.body, secrets)
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return ServerError(_shown(f"the body is not JSON: {error}", secrets))
    return Crashed(_shown(f"{type(error).__name__}: {error}", secrets))


def from_error_object(body: object, secrets: Secrets) -> ModelError:
    """The error for an `error` object inside a 200 or a stream; a numeric code in it counts as the status."""
    code = body.get("code") if isinstance(body, Mapping) else None
    status = int(code) if isinstance(code, (int, str)) and re.fullmatch(r"[45]\d\d", str(code)) else 200
    if status == 200 and isinstance(body, Mapping) and "rate_limit" in f"{code} {body.get('type')}":
        status = 429
    return from_status(status, {}, json.dumps({"error": body}, default=str), secrets)


def not_protocol(what: str, body: str, secrets: Secrets) -> ServerError:
    """The error for a body that is no chat completion."""
    return ServerError(_shown(f"{what}: {' '.join(secrets.out_of_message(body).split())}", secrets))


def _read(body: str) -> tuple[str, frozenset[str]]:
    """The server's words and its codes, from the error objects that OpenAI, Azure, FastAPI and proxies send."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return " ".join(body.split()), frozenset()
    found = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(found, dict):
        return (found if isinstance(found, str) else json.dumps(found)), frozenset()
    words = found.get("message") or found.get("detail") or found
    inner = found.get("innererror") or found.get("inner_error")
    codes = {found.get("code"), found.get("type"), inner.get("code") if isinstance(inner, dict) else None}
    return (words if isinstance(words, str) else json.dumps(words)), frozenset(
        code.lower() for code in codes if isinstance(code, str)
    )


def _text(error: Any) -> str:
    try:
        return str(error.response.text)
    except Exception:  # noqa: BLE001 - a body that cannot be read leaves the status, which is what counts
        return ""


def _shown(text: str, secrets: Secrets) -> str:
    clean = secrets.out_of_message(text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"
