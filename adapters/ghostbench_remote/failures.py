"""From what a server or the transport did to the typed error that says it: the one table of this package.

The first line that fits counts. `complaints` knows the words and codes.

| what happened                                                             | error                   |
|---------------------------------------------------------------------------|-------------------------|
| 402, or the quota or credit is spent (none that a pause brings back)      | QuotaExhausted          |
| a content filter refused                                                  | ContentFiltered         |
| 413; too many tokens, images or bytes (400, 403, 422, 500; 429 for good)  | RequestTooLarge         |
| 401                                                                       | AuthFailed              |
| 429 of any other kind                                                     | RateLimited             |
| 408, no answer before the deadline, a stalled stream                      | TimedOut                |
| 4xx, 500, 501 that name a part of the request that was sent               | RequestRejected         |
| 403, 404, 405, 410; 4xx: no such key, no such model                       | AuthFailed              |
| 5xx, a body that is not the protocol's, or too large a one                | ServerError             |
| any other 3xx or 4xx                                                      | RequestRejected         |
| no connection, or one that broke                                          | ConnectionFailed        |
"""

from __future__ import annotations

import json
import os
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
from ghostbench_remote.address import asked_elsewhere, way_to
from ghostbench_remote.complaints import Complaint
from ghostbench_remote.pauses import asked_pause_s
from ghostbench_remote.redaction import Secrets

_LONGEST = 500
"""Characters of a server's words that are kept."""
_SAYS_SIZE = frozenset({400, 403, 422, 500})
_SAYS_PARTS = frozenset({400, 403, 404, 405, 422, 500, 501})
_STATUS_OF = (("rate_limit", 429), ("authentication", 401), ("invalid_request", 400), ("context_length", 400))
_NOT_THERE = frozenset({403, 404, 405, 410})
_PASSES = frozenset({409, 425, 499})
"""A conflict with another request, too early, cancelled on the server's side: client errors by number alone."""


def from_status(  # noqa: PLR0911 - one line for each row of the table
    status: int,
    headers: Mapping[str, str],
    body: str,
    secrets: Secrets,
    sent: frozenset[str] | None = None,
    *,
    place: str = "",
) -> ModelError:
    """The error for a response that is no answer.

    headers : names in lower case, or a mapping that ignores case.
    sent : the parts of the request that a refusal may name; None where that is not known.
    place : what is to be said of the address.
    """
    said = Complaint.read(body)
    status_line = f"HTTP {status} ({place})" if place else f"HTTP {status}"
    message = _shown(f"{status_line}: {said.words}" if said.words else status_line, secrets)
    if 300 <= status < 400:
        message += " (it sends requests to another address, and none are sent there: name that as the server's)"
    pause = asked_pause_s(headers, body, limited=status == 429)
    client = 400 <= status < 500
    passes = status == 429 and pause is not None
    if status == 402 or said.of_money_by_code or (client and said.of_money and not passes):
        return QuotaExhausted(message)
    if (client or status in {200, 500}) and status not in {401, 429} and said.of_content:
        return ContentFiltered(message)
    if status == 413 or (status in _SAYS_SIZE and said.of_size) or (status == 429 and said.past_a_budget):
        return RequestTooLarge(message)
    if status == 401:
        return AuthFailed(message)
    if status == 429:
        return RateLimited(message, retry_after_s=pause)
    if status == 408:
        return TimedOut(message, retry_after_s=pause)
    if client and said.of_the_key:
        return AuthFailed(message)
    if status in _SAYS_PARTS and (refuses := said.refuses(sent)):
        return RequestRejected(message, refuses=refuses)
    if (status in _NOT_THERE and not said.of_the_request) or (client and said.of_the_model):
        return AuthFailed(message)
    if status >= 500 or status < 300 or status in _PASSES:
        return ServerError(message, retry_after_s=pause)
    return RequestRejected(message)


def from_exception(  # noqa: PLR0911 - one for each kind
    error: Exception, secrets: Secrets, sent: frozenset[str] | None = None
) -> ModelError:
    """The error for an exception of an SDK or its transport; for one that is neither, `Crashed`. sent : as above.

    The SDKs of OpenAI and Anthropic are written by one generator, so that their errors have the same names; all that
    are used here send by httpx2, and their errors hold its response.
    """
    import httpx2

    from ghostbench_remote.bounded import ResponseTooLarge

    if isinstance(error, ModelError):
        return error
    too_large = next((e for e in (error, error.__cause__, error.__context__) if isinstance(e, ResponseTooLarge)), None)
    if too_large is not None:
        return ServerError(str(too_large))
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and not 200 <= response.status_code < 300:
        place = asked_elsewhere(response)
        return from_status(response.status_code, response.headers, text_of(response), secrets, sent, place=place)
    names = {kind.__name__ for kind in type(error).__mro__}
    broken = next((e for e in (error, error.__cause__) if isinstance(e, httpx2.TransportError)), None)
    if "APITimeoutError" in names or isinstance(broken, httpx2.TimeoutException):
        return TimedOut(_shown("the transport's own time limit was reached", secrets))
    if broken is not None or "APIConnectionError" in names:
        cause = broken or error.__cause__
        said = f"{type(cause).__name__}: {cause}" if cause is not None else str(error)
        request = getattr(error, "request", None)
        if isinstance(request, httpx2.Request):
            said += f" ({way_to(request.url, os.environ)})"
        return ConnectionFailed(_shown(said, secrets))
    if "APIError" in names:
        return from_error_object(getattr(error, "body", None), secrets, sent)
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return ServerError(_shown(f"the body is not JSON: {error}", secrets))
    if isinstance(error, RecursionError):
        return ServerError("the body is nested too deeply to be read")
    return Crashed(_shown(f"{type(error).__name__}: {error}", secrets))


def from_error_object(body: object, secrets: Secrets, sent: frozenset[str] | None = None) -> ModelError:
    """The error for an `error` object inside a 200 or a stream; a numeric code in it counts as the status."""
    code = body.get("code") if isinstance(body, Mapping) else None
    status = int(code) if isinstance(code, (int, str)) and re.fullmatch(r"[45]\d\d", str(code)) else 200
    if status == 200 and isinstance(body, Mapping):
        status = next((s for words, s in _STATUS_OF if words in f"{code} {body.get('type')}"), 200)
    return from_status(status, {}, json.dumps({"error": body}, default=str), secrets, sent)


def not_protocol(what: str, body: str, secrets: Secrets) -> ServerError:
    """The error for a body that is no answer of the protocol."""
    return ServerError(_shown(f"{what}: {' '.join(secrets.out_of_message(body).split())}", secrets))


def text_of(response: Any) -> str:
    """The body of a response; nothing where it cannot be read."""
    try:
        return str(response.text)
    except Exception:  # noqa: BLE001 - a body that cannot be read leaves the status, which is what counts
        return ""


def _shown(text: str, secrets: Secrets) -> str:
    clean = secrets.out_of_message(text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"
