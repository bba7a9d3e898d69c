"""Files and batches: uploads are kept, a batch's lines are answered as chat completions are."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from loopback_openai.chat import Fault, _key, complete
from loopback_openai.http import Request, Response, as_json

PAGE = 20


@dataclass
class Batches:
    """The endpoints' state.

    polls : how often a batch is asked for before it is over. ends : what it then is. answered : how many of its lines
        have a result by then (None: all). script : faults for lines, used up in their order.
    """

    polls: int = 1
    ends: str = "completed"
    answered: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    script: list[Fault | None] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _polled: dict[str, int] = field(default_factory=dict)

    def handle(self, request: Request, path: list[str]) -> Response:
        match request.method, path:
            case "POST", ["files"]:
                return as_json(self._upload(request))
            case "GET", ["files"]:
                return as_json(_page(list(self.files.values()), request))
            case "GET", ["files", name]:
                return as_json(self.files[name])
            case "GET", ["files", name, "content"]:
                return Response(200, {"content-type": "application/octet-stream"}, self.contents[name])
            case "DELETE", ["files", name]:
                self.deleted.append(name)
                return as_json({"id": name, "object": "file", "deleted": True})
            case "POST", ["batches"]:
                return as_json(self._create(request.json()))
            case "GET", ["batches"]:
                return as_json(_page(list(self.batches.values()), request))
            case "GET", ["batches", name]:
                return as_json(self._poll(name))
        return as_json({"error": {"message": "no such thing"}}, 404)

    def _upload(self, request: Request) -> dict[str, Any]:
        head = b"content-type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
        parts = BytesParser(policy=HTTP).parsebytes(head + request.body)
        by_name = {p.get_param("name", header="content-disposition"): p for p in parts.iter_parts()}
        content = by_name["file"].get_payload(decode=True)
        return self._keep(content, by_name["file"].get_filename() or "file", "batch")

    def _keep(self, content: bytes, name: str, purpose: str) -> dict[str, Any]:
        file_id = f"file-{next(self._numbers)}"
        self.contents[file_id] = content
        self.files[file_id] = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        return self.files[file_id]

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        batch_id = f"batch_{next(self._numbers)}"
        self.batches[batch_id] = {
            "id": batch_id,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "metadata": body.get("metadata"),
            "status": "validating",
            "created_at": int(time.time()),
        }
        return self.batches[batch_id]

    def _poll(self, batch_id: str) -> dict[str, Any]:
        batch = self.batches[batch_id]
        self._polled[batch_id] = self._polled.get(batch_id, 0) + 1
        if batch["status"] in {"validating", "in_progress"}:
            batch["status"] = "in_progress"
            if self._polled[batch_id] >= self.polls:
                self._finish(batch)
        return batch

    def _finish(self, batch: dict[str, Any]) -> None:
        batch["status"] = self.ends
        if self.ends == "failed":
            batch["errors"] = {"object": "list", "data": self.errors}
            return
        out, failed = [], []
        lines = self.contents[batch["input_file_id"]].splitlines()
        for number, line in enumerate(lines):
            asked = json.loads(line)
            fault = self.script.pop(0) if self.script else None
            answer: dict[str, Any] = {"id": f"r{number}", "custom_id": asked["custom_id"], "error": None}
            if self.answered is not None and number >= self.answered:
                answer |= {"response": None, "error": {"code": f"batch_{self.ends}", "message": "not in time"}}
                failed.append(answer)
                continue
            body_ends = line.rstrip().removesuffix(b"}")  # so that it counts as the same question asked singly
            status, body = 200, complete(asked["body"], _key(body_ends), fault)
            if fault is not None and fault.kind == "status":
                status, body = fault.status, json.loads(fault.body)
            answer["response"] = {"status_code": status, "request_id": f"req_{number}", "body": body}
            (out if status == 200 else failed).append(answer)
            self.done.append(asked["custom_id"])
        out.reverse()
        for key, results in (("output_file_id", out), ("error_file_id", failed)):
            if results:
                content = "".join(json.dumps(r) + "\n" for r in results).encode()
                batch[key] = self._keep(content, f"{key}.jsonl", "batch_output")["id"]


def _page(things: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    newest = things[::-1]
    ids = [thing["id"] for thing in newest]
    after = request.query.get("after")
    start = ids.index(after[0]) + 1 if after else 0
    data = newest[start : start + PAGE]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": start + PAGE < len(newest),
    }
