"""How long a server asks to be left alone: in headers, in fields of an error's body, or in its words.

| where                                       | e.g.                                                             |
|---------------------------------------------|------------------------------------------------------------------|
| `retry-after-ms`, `retry-after`             | 1500; 58, 0.25, 58s, an HTTP date                                |
| Google's RetryInfo, fields named alike      | `"retryDelay": "34s"`, `"retry_after": 58`                       |
| words                                       | "Please retry after 58 seconds", "try again in 1m3.5s"           |
| reset headers of a budget that is used up   | `x-ratelimit-reset-requests: 6m0s`, `ratelimit-reset: 1741305600` |

The first that says something counts, in this order.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_UNIT = (
    r"(?:milliseconds?|millis|msecs?|ms|seconds?|secondes?|sekunden?|segundos?|secs?|s"
    r"|minutes?|minuten|minutos?|mins?|m|hours?|heures?|horas?|hrs?|h|days?|d)(?![A-Za-z])"
)
_PIECE = rf"\d+(?:\.\d+)?\s*{_UNIT}"
_DURATION = rf"{_PIECE}(?:\s*(?:,\s*)?(?:and\s+)?{_PIECE})*"
_CLOCK = r"(?:\d+\.)?\d{1,2}:\d{2}:\d{2}(?:\.\d+)?"
_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\s?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_ASKS = (
    r"(?:(?<![a-z])retry(?:ing)?|try(?:ing)?\s+(?:it\s+)?again|\bwait\b|\bavailable|\bresets?\b|\breplenished|\bresumes?\b"
    r"|\b(?:another|next)\s+request|\bback[\s-]*off|\bcool(?:ing)?[ -]?down|\bcome\s+back|\bavailability|\brefilled"
    r"|\br[ée]essay\w*|\berneut|\b(?:re)?int[ée]nt\w+)"
)
_WORDS = re.compile(rf"{_ASKS}[^.\d]{{0,48}}?(?P<what>{_MOMENT}|{_CLOCK}|{_DURATION})", re.IGNORECASE)
_BARE = re.compile(
    r"(?<![a-z])(?:retry|try\s+again|wait)(?:[-_ ]*(?:after|in|for|delay))?(?:[-_ ]*(?P<ms>ms)\b)?[\"'\s:=]{1,4}"
    r"(?P<what>\d+(?:\.\d+)?)(?![\w%/:-]|\.\d|\s+[A-Za-z])",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>毫秒|ミリ秒|秒|分|小时|小時|時間)(?:钟|鐘|间|間)?(?:之后|以后|后|之後|以後|後)"
)
"""Japanese too."""
_CHINESE_S = {"毫秒": 0.001, "ミリ秒": 0.001, "秒": 1.0, "分": 60.0, "小时": 3600.0, "小時": 3600.0, "時間": 3600.0}
_IN_LETTERS = {
    name: str(number)
    for number, names in ((1, "a an one"), (2, "two"), (3, "three"), (5, "five"), (10, "ten"), (30, "thirty"))
    for name in names.split()
}
_LETTERS = re.compile(rf"\b(?:{'|'.join(_IN_LETTERS)})(?=\s+(?:second|minute|hour)s?\b)", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SPLIT = re.compile(rf"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>{_UNIT})", re.IGNORECASE)
_EPOCH_S, _EPOCH_MS = 1e9, 1e11
"""Numbers from here on are moments, in seconds or milliseconds since 1970, and no waits: the shorter is 31 years."""
_FIELDS = frozenset(
    {
        *("retrydelay", "retryafter", "retryafterseconds", "retryafterinseconds", "retryafterms", "xratelimitreset"),
        *("retryin", "retryinseconds", "waitseconds", "waittime", "estimatedtime"),
    }
)
_RESET = re.compile(r"(?P<before>[a-z-]*ratelimit)-(?:reset(?:-(?P<budget>.+))?|(?P<other>.+)-reset)")
_STRUCTURED = re.compile(r"(?:^|[;,\s])(?:t|reset)\s*=\s*(\d+(?:\.\d+)?)")
_STRUCTURED_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)\s*=\s*(\d+(?:\.\d+)?)")
_MOST_TEXT = 20_000
"""Characters of a body that are looked at."""


def asked_pause_s(headers: Mapping[str, str], body: str, *, limited: bool) -> float | None:
    """The pause that a response asks for, seconds >= 0; None where it says nothing of one.

    headers : names in lower case, or a mapping that ignores case. body : as it came.
    limited : whether there were too many requests, so that reset headers tell when there is room again.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = number(headers.get(name))
        if milliseconds is not None:
            return max(0.0, milliseconds / 1000)
    for name in ("retry-after", "x-retry-after"):
        asked = until(headers.get(name))
        if asked is not None:
            return asked
    in_body = pause_in_body(body[:_MOST_TEXT])
    if in_body is not None:
        return in_body
    return _until_reset(headers) if limited else None


def pause_in_body(body: str) -> float | None:
    """The pause that an error's body asks for, seconds >= 0: in a field, else in words."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    for value in _fields(parsed, 0):
        return value
    return pause_in_words(body)


def pause_in_words(text: str) -> float | None:
    """The pause that a sentence asks for, seconds >= 0; None where it names none."""
    text = _THOUSANDS.sub("", _LETTERS.sub(lambda word: _IN_LETTERS[word[0].lower()], text))
    found = _WORDS.search(text)
    if found is not None:
        return until(found["what"])
    bare = _BARE.search(text)
    if bare is not None:
        return float(bare["what"]) / 1000 if bare["ms"] else until(bare["what"])
    chinese = _CHINESE.search(text)
    return float(chinese["number"]) * _CHINESE_S[chinese["unit"]] if chinese is not None else None


def until(text: str | None) -> float | None:
    """Seconds >= 0 from now to what a header or field names, or None.

    A number of seconds, a duration ("1m2.5s", "20ms", "1 minute 3 seconds", "00:01:00"), seconds or milliseconds since
    1970, or a date. What has passed is 0.
    """
    if text is None:
        return None
    bare = number(text)
    if bare is not None:
        since_1970 = bare / 1000 if bare >= _EPOCH_MS else bare
        return max(0.0, since_1970 - time.time() if since_1970 >= _EPOCH_S else since_1970)
    text = text.strip()
    if re.fullmatch(_DURATION, text, re.IGNORECASE):
        return sum(float(piece["number"]) * _UNIT_S[_short(piece["unit"])] for piece in _SPLIT.finditer(text))
    if re.fullmatch(_CLOCK, text):
        *before, minutes, seconds = text.split(":")
        days, _, hours = before[0].rpartition(".")
        return float(days or 0) * 86_400 + float(hours) * 3600 + float(minutes) * 60 + float(seconds)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment - time.time())


def number(text: str | None) -> float | None:
    """The text as a finite number, or None."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _short(unit: str) -> str:
    unit = unit.lower()
    return "ms" if unit.startswith(("ms", "mil")) else unit[0]


def _moment(text: str) -> float | None:
    """A date as seconds since 1970; in UTC where it names no zone."""
    for read in (parsedate_to_datetime, _iso):
        try:
            moment = read(text)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(re.sub(r"\s?(?:Z|UTC)$", "+00:00", text))


def _fields(value: Any, depth: int) -> Iterator[float]:
    """The pauses in fields of a body, outermost first."""
    if depth > 8:
        return
    inner = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    if isinstance(value, Mapping):
        for key, said in value.items():
            name = re.sub(r"[-_ ]", "", str(key)).lower()
            pause = _field(said) if name in _FIELDS else None
            if pause is not None:
                yield pause / 1000 if name.endswith("ms") else pause
    for item in inner:
        yield from _fields(item, depth + 1)


def _field(value: Any) -> float | None:
    if isinstance(value, Mapping):
        seconds, nanos = number(str(value.get("seconds", 0))), number(str(value.get("nanos", 0)))
        return None if seconds is None or nanos is None else max(0.0, seconds + nanos / 1e9)
    return until(str(value)) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """The latest reset among budgets that are used up, or of which it is not said what is left."""
    asked = []
    for name in [str(key).lower() for key in headers]:
        found = _RESET.fullmatch(name)
        if found is not None:
            budget, other = found["budget"], found["other"]
            tail = f"-{budget}" if budget else ""
            left = number(
                headers.get(f"{found['before']}-{other}-remaining" if other else f"{found['before']}-remaining{tail}")
            )
            asked.append((left, until(headers.get(name))))
        elif name in {"ratelimit", "x-ratelimit"}:
            text = headers.get(name) or ""
            rest, reset = _STRUCTURED_LEFT.search(text), _STRUCTURED.search(text)
            asked.append((number(rest[1]) if rest else None, until(reset[1]) if reset else None))
    pauses = [pause for left, pause in asked if pause is not None and (left is None or left < 1)]
    return max(pauses, default=None)
