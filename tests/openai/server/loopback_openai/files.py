"""Gemini's Files API: resumable uploads, looks, deletions. Documented at ai.google.dev/api/files.

An upload's session lies at an address on another host, as the header says: who sends the pieces there has obeyed an
address out of a response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from loopback_openai.chat import Fault
from loopback_openai.http import Request, Response, as_json

ELSEWHERE = "http://198.51.100.7:9"
"""A host that is nobody's."""
_SESSION = "/upload-session/"


@dataclass
class Files:
    """What was uploaded, by name, and what is still there.

    faults : by step ("start", "piece", "look", "delete"), used up one a request. states : of files, in the order in
        which they are looked at; ACTIVE when there are none left. error : of a file whose state is FAILED.
    """

    faults: dict[str, list[Fault]] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    steps: list[str] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)

    def is_piece(self, request: Request) -> bool:
        """Whether it is a piece of an upload, whose session stands for the key."""
        return request.path.startswith(_SESSION)

    def handle(self, request: Request) -> Response | None:
        """The response, or None for a path of none of these."""
        if request.path == "/upload/v1beta/files":
            return self._by_plan("start", lambda: self._start(request))
        if self.is_piece(request):
            return self._by_plan("piece", lambda: self._piece(request))
        if (match := re.fullmatch(r"/v1beta/(files/[a-z0-9-]{1,40})", request.path)) is not None:
            step = "delete" if request.method == "DELETE" else "look"
            return self._by_plan(step, lambda: self._one(step, match[1]))
        return None

    def _by_plan(self, step: str, answer: Any) -> Response:
        self.steps.append(step)
        faults = self.faults.get(step)
        if faults:
            fault = faults.pop(0)
            if fault.kind == "reset":
                return Response(reset=True)
            return Response(fault.status, {"content-type": "application/json", **fault.headers}, fault.content)
        response: Response = answer()
        return response

    def _start(self, request: Request) -> Response:
        file = request.json()["file"]
        name = file["name"]
        self.types[name] = request.headers["x-goog-upload-header-content-type"]
        self.uploaded[name] = b""
        return Response(200, {"x-goog-upload-url": f"{ELSEWHERE}{_SESSION}{name}"}, b"")

    def _piece(self, request: Request) -> Response:
        name = request.path.removeprefix(_SESSION)
        self.uploaded[name] += request.body
        if "finalize" not in request.headers["x-goog-upload-command"]:
            return Response(200, {"x-goog-upload-status": "active"}, b"")
        self.there.add(name)
        return as_json({"file": self._said(name)}, headers={"x-goog-upload-status": "final"})

    def _one(self, step: str, name: str) -> Response:
        if name not in self.there:
            return as_json({"error": {"code": 403, "message": "no such file", "status": "PERMISSION_DENIED"}}, 403)
        if step == "delete":
            self.there.discard(name)
            return as_json({})
        return as_json(self._said(name))

    def _said(self, name: str) -> dict[str, Any]:
        state = self.states.pop(0) if self.states else "ACTIVE"
        said = {"name": name, "uri": f"https://files.example/v1beta/{name}", "mimeType": self.types[name]}
        return {**said, "state": state, **({"error": self.error} if state == "FAILED" and self.error else {})}
