"""The native APIs of Anthropic and Gemini, and Gemini's compatible one, as strict about fields as they are.

Fields and errors as in their documentation: platform.claude.com/docs/en/api/messages,
ai.google.dev/api/generate-content and ai.google.dev/gemini-api/docs/openai. Answers are made up, and keep to a schema
where one is asked for. Both native APIs fail by plan, as chat completions do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loopback_openai.chat import Fault
from loopback_openai.files import Files
from loopback_openai.http import Request, Response, as_json

ANSWER = {"grade": "normal", "event_time_s": None, "actor": None, "occluder": None, "evidence": "a clear road"}
_ANTHROPIC = frozenset(
    {
        *("model", "messages", "system", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "stream"),
        *("tools", "tool_choice", "metadata", "thinking", "output_format", "output_config", "service_tier"),
    }
)
_GEMINI_COMPATIBLE = frozenset(
    {
        *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "n", "stream"),
        *("stream_options", "response_format", "tools", "tool_choice", "reasoning_effort", "extra_body"),
    }
)


@dataclass
class Natives:
    """What was asked, by the name of the API: "anthropic", "gemini" or "compatible".

    files : Gemini's Files API.
    script : faults of the native APIs, used up one a request; those of the kind "say" have the fields of the answer
        that they replace as their `message`. headers : of every native answer. keys : that came with requests.
    """

    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    script: list[Fault | None] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    latency_s: float = 0.0
    files: Files = field(default_factory=Files)

    async def handle(self, request: Request) -> Response | None:
        """The response, or None for a path of none of these."""
        if (of_files := self.files.handle(request)) is not None:
            return of_files
        if request.path.endswith("/messages"):
            return await self._by_plan("anthropic", request, self._anthropic)
        if request.path.endswith(":generateContent"):
            model = request.path.rpartition("/")[2].partition(":")[0]
            return await self._by_plan("gemini", request, lambda body: self._gemini(body, model))
        if request.path.endswith("/v1beta/openai/chat/completions"):
            return self._compatible(request.json())
        return None

    def asked(self, api: str) -> list[dict[str, Any]]:
        return [body for name, body in self.bodies if name == api]

    async def _by_plan(
        self, api: str, request: Request, answer: Callable[[dict[str, Any]], dict[str, Any] | Response]
    ) -> Response:
        body = request.json()
        self.bodies.append((api, body))
        sent = (request.headers.get(name) for name in ("authorization", "x-api-key", "x-goog-api-key"))
        self.keys |= {key.removeprefix("Bearer ") for key in sent if key}
        fault = self.script.pop(0) if self.script else None
        await asyncio.sleep(self.latency_s)
        number = len(self.bodies)
        headers = {"content-type": "application/json", "request-id": f"req_{number}", **self.headers}
        match fault:
            case Fault(kind="status"):
                return Response(fault.status, {**headers, **fault.headers}, fault.content)
            case Fault(kind="reset"):
                return Response(reset=True)
            case Fault(kind="hang"):
                await asyncio.sleep(3600)
            case Fault(kind="garbage"):
                return Response(200, {**headers, "content-type": "text/html"}, b"<html><body>upstream</body></html>")
        good = answer(body)
        if isinstance(good, Response):
            return good
        if fault is not None and fault.kind == "cut":
            return Response(200, headers, json.dumps(good).encode()[:40], reset=True)
        if fault is not None and fault.kind == "say":
            good = {key: value for key, value in (good | dict(fault.message)).items() if value is not None}
        return as_json(good, headers=headers)

    def _anthropic(self, body: dict[str, Any]) -> dict[str, Any] | Response:
        unknown = [name for name in body if name not in _ANTHROPIC]
        if unknown:
            said = f"{unknown[0]}: Extra inputs are not permitted"
            return as_json({"type": "error", "error": {"type": "invalid_request_error", "message": said}}, 400)
        said = _answer_to(body["messages"])
        content: dict[str, Any] = {"type": "text", "text": json.dumps(said)}
        if body.get("tools") and (body.get("tool_choice") or {}).get("type") in {"tool", "any"}:
            content = {"type": "tool_use", "id": "toolu_1", "name": body["tools"][0]["name"], "input": said}
        elif not _asks_anthropic_for_schema(body):
            content["text"] = f"```json\n{content['text']}\n```"
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [content],
            "stop_reason": "tool_use" if content["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 900,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 200,
                "output_tokens": 40,
            },
        }

    def _gemini(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        config = body.get("generationConfig") or {}
        text = json.dumps(_answer_to(body.get("contents")))
        if not {"responseSchema", "responseJsonSchema", "response_schema", "response_json_schema"} & config.keys():
            text = f"```json\n{text}\n```"
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}
        usage = {
            "promptTokenCount": 1200,
            "cachedContentTokenCount": 200,
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 10,
            "totalTokenCount": 1240,
        }
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "resp_1"}

    def _compatible(self, body: dict[str, Any]) -> Response:
        self.bodies.append(("compatible", body))
        unknown = [name for name in body if name not in _GEMINI_COMPATIBLE]
        if unknown:
            said = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            return as_json([{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}], 400)
        text = json.dumps(ANSWER)
        if (body.get("response_format") or {}).get("type") != "json_schema":
            text = f"```json\n{text}\n```"
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1200, "completion_tokens": 40, "total_tokens": 1240}
        return as_json({"object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage})


def _answer_to(shown: Any) -> dict[str, Any]:
    """An answer whose words depend on what was shown."""
    return {**ANSWER, "evidence": f"seen {hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:6]}"}


def _asks_anthropic_for_schema(body: Mapping[str, Any]) -> bool:
    return bool(body.get("output_format") or (body.get("output_config") or {}).get("format"))
