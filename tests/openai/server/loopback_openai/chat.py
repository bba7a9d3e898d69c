"""Chat completions: answers, faults by plan, budgets, and the account of it all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loopback_openai.http import Request, Response, as_json

GRADES = ("ghost_probing", "potential_ghost_probing", "normal")
_PIECES = re.compile(r"ghost|potential|normal|\w{1,5}|\W")


@dataclass
class Fault:
    """What to do instead of answering well.

    kind : "status" (with `status`, `headers`, `body`), "reset" (before a byte of the answer), "cut" (in the middle of
        it), "hang" (never answer), "garbage" (200 and a web page), "say" (a good response with `message`, `finish`,
        `model` instead of its own), "stall" (a stream that stops after `pieces`), "end" (a stream that ends there).
    """

    kind: str
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes = ""
    message: Mapping[str, Any] = field(default_factory=dict)
    finish: str | None = "stop"
    model: str | None = None
    pieces: int = 2
    logprobs: Sequence[Mapping[str, Any]] | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body.encode()


@dataclass
class Storm:
    """Faults at random, by seed, on the first attempt at each distinct request: shares of 1."""

    rate_limited: float = 0.0
    resets: float = 0.0
    hangs: float = 0.0
    garbage: float = 0.0
    retry_after_s: float = 1.0
    seed: int = 0

    def fault_for(self, key: str, attempt: int) -> Fault | None:
        if attempt > 1:
            return None
        draw = random.Random(f"{self.seed}:{key}").random()
        for share, fault in (
            (self.rate_limited, Fault("status", 429, {"retry-after": f"{self.retry_after_s:g}"}, _OVERLOADED)),
            (self.resets, Fault("reset")),
            (self.hangs, Fault("hang")),
            (self.garbage, Fault("garbage")),
        ):
            if draw < share:
                return fault
            draw -= share
        return None


_OVERLOADED = json.dumps(
    {"error": {"message": "The engine is currently overloaded", "type": "overloaded", "code": None}}
)


class Bucket:
    """A budget of `per_minute`, holding at most `size` at once."""

    def __init__(self, per_minute: float, size: float | None = None) -> None:
        self.rate = per_minute / 60
        self.size = size if size is not None else per_minute
        self.level, self.stamp = self.size, time.monotonic()

    def refill(self) -> None:
        now = time.monotonic()
        self.level = min(self.size, self.level + (now - self.stamp) * self.rate)
        self.stamp = now

    def headers(self, name: str) -> dict[str, str]:
        return {
            f"x-ratelimit-limit-{name}": f"{self.size:.0f}",
            f"x-ratelimit-remaining-{name}": f"{max(0, math.floor(self.level))}",
            f"x-ratelimit-reset-{name}": f"{max(1, round((self.size - self.level) / self.rate * 1000))}ms",
        }


@dataclass
class Entry:
    """One request, as the server saw it. `key` digests what was asked; `kind` is what was done."""

    number: int
    path: str
    client_id: str | None
    key: str
    attempt: int
    kind: str
    status: int
    began: float
    ended: float = 0.0


class Log:
    """The server's own account, in memory and, if asked, in a file: a line for each request once it is over."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self.authorizations: set[str] = set()
        self._file = path.open("a", encoding="utf-8") if path is not None else None

    def write(self, entry: Entry) -> None:
        self.entries.append(entry)

    def over(self, entry: Entry) -> None:
        entry.ended = time.monotonic()
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()

    @property
    def chats(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.path.endswith("/chat/completions")]


@dataclass
class Chat:
    """The endpoint's state. `script` is used up one fault per request; `storm` decides for the rest."""

    latency_s: float = 0.0
    script: list[Fault | None] = field(default_factory=list)
    storm: Storm | None = None
    requests: Bucket | None = None
    tokens: Bucket | None = None
    rejects: Sequence[str] = ()
    most_images: int | None = None
    seen: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keep_bodies: bool = False
    raw: list[bytes] = field(default_factory=list)
    prompt_cache: bool = False

    def _from_cache(self, body: bytes) -> dict[str, Any]:
        """A token is four bytes, and what a request begins with like an earlier one comes from the cache, in blocks of
        128 tokens."""
        if not self.keep_bodies:
            raise AssertionError("a cache needs the bodies of before")
        alike = max((_alike(body, before) for before in self.raw[:-1]), default=0)
        tokens = {"prompt_tokens": len(body) // 4, "total_tokens": len(body) // 4 + 40}
        return {**tokens, "prompt_tokens_details": {"cached_tokens": alike // 4 // 128 * 128}}

    async def answer(self, request: Request, log: Log) -> Response:
        began = time.monotonic()
        key = _key(request.body)
        self.seen[key] += 1
        if self.keep_bodies:
            self.bodies.append(request.json())
            self.raw.append(request.body)
        limited = self._limited(request)
        fault = limited or (self.script.pop(0) if self.script else None)
        if fault is None and self.storm is not None:
            fault = self.storm.fault_for(key, self.seen[key])
        fault = fault or self._rejection(request)
        kind = "budget" if limited else fault.kind if fault else "answer"
        status = fault.status if fault and fault.kind == "status" else 200
        client_id = request.headers.get("x-client-request-id")
        log.write(Entry(len(log.entries) + 1, request.path, client_id, key, self.seen[key], kind, status, began))
        entry = log.entries[-1]
        try:
            if fault is None or fault.kind in {"say", "garbage", "cut", "stall", "end"}:
                await asyncio.sleep(self.latency_s)
            return await self._response(request, fault, entry)
        finally:
            log.over(entry)

    def _limited(self, request: Request) -> Fault | None:
        for name, bucket, cost in (("requests", self.requests, 1), ("tokens", self.tokens, _tokens(request))):
            if bucket is None:
                continue
            bucket.refill()
            if bucket.level < min(cost, bucket.size):
                wait = (min(cost, bucket.size) - bucket.level) / bucket.rate
                words = (
                    f"Rate limit reached for gpt-4.1 on {name} per min: "
                    f"Limit {bucket.size:.0f}, Used {bucket.size - bucket.level:.0f}, Requested {cost}."
                )
                body = json.dumps({"error": {"message": words, "type": name, "code": "rate_limit_exceeded"}})
                return Fault("status", 429, {"retry-after": f"{wait:.3f}", **self._headers()}, body)
        for bucket, cost in ((self.requests, 1), (self.tokens, _tokens(request))):
            if bucket is not None:
                bucket.level -= min(cost, bucket.size)
        return None

    def _headers(self) -> dict[str, str]:
        headers = self.requests.headers("requests") if self.requests else {}
        return headers | (self.tokens.headers("tokens") if self.tokens else {})

    def _rejection(self, request: Request) -> Fault | None:
        """A 400 for what this server does not take: fields, response formats, too many images."""
        if not self.rejects and self.most_images is None:
            return None
        body = request.json()
        kind = (body.get("response_format") or {}).get("type")
        for word in self.rejects:
            if word in body or word == kind:
                said = {"message": f"Unsupported parameter: {word}", "type": "invalid_request_error", "param": word}
                return Fault("status", 400, {}, json.dumps({"error": said}))
        images = sum(part["type"] == "image_url" for part in body["messages"][1]["content"])
        if self.most_images is not None and images > self.most_images:
            said = {"message": f"At most {self.most_images} image(s) may be provided", "code": 400}
            return Fault("status", 400, {}, json.dumps({"error": said}))
        return None

    async def _response(self, request: Request, fault: Fault | None, entry: Entry) -> Response:
        headers = {"x-request-id": f"req_{entry.number}", **self._headers()}
        match fault:
            case Fault(kind="status"):
                return Response(
                    fault.status, {"content-type": "application/json", **headers, **fault.headers}, fault.content
                )
            case Fault(kind="reset"):
                return Response(reset=True)
            case Fault(kind="hang"):
                await asyncio.sleep(3600)
            case Fault(kind="garbage"):
                return Response(200, {"content-type": "text/html", **headers}, b"<html><body>upstream</body></html>")
        body = request.json()
        completion = complete(body, entry.key, fault)
        if self.prompt_cache:
            completion["usage"] |= self._from_cache(request.body)
        if body.get("stream"):
            chunks = _chunks(completion, fault, self.latency_s)
            return Response(200, {"content-type": "text/event-stream", **headers}, chunks=chunks, reset=_cut(fault))
        if _cut(fault):
            return Response(200, headers, json.dumps(completion).encode()[:40], reset=True)
        return as_json(completion, headers=headers)


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes two requests begin with alike."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
                min(len(one), len(other)))  # fmt: skip


def complete(body: Mapping[str, Any], key: str, fault: Fault | None) -> dict[str, Any]:
    """A good completion: a grade that depends on what was asked, and token probabilities that agree with it."""
    grade = GRADES[int(key[:8], 16) % 3]
    said = {"grade": grade, "event_time_s": None, "actor": None, "occluder": None, "evidence": f"seen {key[:6]}"}
    asked = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", said)
    text = json.dumps({name: value for name, value in said.items() if name in asked or "grade" not in asked})
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
    if body.get("logprobs"):
        choice["logprobs"] = {"content": _logprobs(text, grade)}
    model = body["model"]
    if fault is not None and fault.kind == "say":
        message |= fault.message
        choice["finish_reason"] = fault.finish
        model = fault.model or model
        if fault.message:
            choice["logprobs"] = {"content": fault.logprobs} if fault.logprobs is not None else None
    return {
        "id": f"chatcmpl-{key[:12]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model if "-20" in model else f"{model}-2025-04-14",
        "system_fingerprint": "fp_loopback",
        "choices": [choice],
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 40,
            "total_tokens": 1240,
            "prompt_tokens_details": {"cached_tokens": 200},
        },
    }


def _logprobs(text: str, grade: str) -> list[dict[str, Any]]:
    """The text as tokens, certain but for the verdict's first: 0.7 for the grade, 0.2 and 0.1 for the others."""
    rest = dict(zip([g for g in GRADES if g != grade], (0.2, 0.1), strict=True))
    tokens = []
    for piece in _PIECES.findall(text):
        likely = {piece: 0.0}
        if not tokens or "".join(t["token"] for t in tokens) != '{"grade": "':
            pass
        else:
            likely = {piece: math.log(0.7)} | {_PIECES.findall(g)[0]: math.log(p) for g, p in rest.items()}
        top = [{"token": word, "logprob": p, "bytes": list(word.encode())} for word, p in likely.items()]
        tokens.append({**top[0], "top_logprobs": top})
    return tokens


async def _chunks(completion: dict[str, Any], fault: Fault | None, latency_s: float) -> AsyncIterator[bytes]:
    """The completion as server-sent events: a few words at a time, the usage last."""
    choice = completion["choices"][0]
    common = {key: completion[key] for key in ("id", "created", "model", "system_fingerprint")}
    common["object"] = "chat.completion.chunk"
    field_name = "refusal" if choice["message"].get("refusal") else "content"
    pieces = re.findall(r".{1,12}", choice["message"].get(field_name) or "", re.DOTALL)
    logprobs = (choice.get("logprobs") or {}).get("content") or []
    yield b": keep-alive\n\n"
    yield _event({**common, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    for number, piece in enumerate(pieces):
        if fault is not None and fault.kind in {"stall", "end", "cut"} and number == fault.pieces:
            while fault.kind == "stall":
                await asyncio.sleep(0.1)
                yield b": still here\n\n"
            return
        delta = {"index": 0, "delta": {field_name: piece}}
        if number == 0:
            delta["logprobs"] = {"content": logprobs}
        yield _event({**common, "choices": [delta]})
        await asyncio.sleep(latency_s / 20)
    yield _event({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    yield _event({**common, "choices": [], "usage": completion["usage"]})
    yield b"data: [DONE]\n\n"


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _cut(fault: Fault | None) -> bool:
    return fault is not None and fault.kind == "cut"


def _key(body: bytes) -> str:
    """A digest of what was asked: the messages, whatever the settings around them."""
    _, _, messages = body.partition(b'"messages":')
    return hashlib.sha256(messages).hexdigest()


def _tokens(request: Request) -> int:
    """What the request counts towards the token budget."""
    found = re.search(rb'"max_(?:completion_)?tokens": ?(\d+)', request.body[:4096])
    return 1200 + (int(found[1]) if found else 0)
