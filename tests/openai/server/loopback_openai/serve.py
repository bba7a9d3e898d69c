"""The server itself: routes, keys, gates, and a thread to run it in."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from loopback_openai.batches import Batches
from loopback_openai.chat import Bucket, Chat, Entry, Fault, Log, Storm
from loopback_openai.http import Request, Response, as_json, serve_connection
from loopback_openai.natives import Natives

_KEY_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")


@dataclass
class Server:
    """Chat completions, files and batches under /v1 (and under Azure's paths).

    key : the key that is let in; None lets everyone in. gates : "POST files after" and the like hold the response back
        (after) or the request's handling (before) until the gate is opened. natives : other APIs than OpenAI's.
    busy : by "POST batches" and the like, faults with a status, used up in their order. connections : open now.
    """

    chat: Chat = field(default_factory=Chat)
    batches: Batches = field(default_factory=Batches)
    log: Log = field(default_factory=Log)
    key: str | None = None
    port: int = 0
    gates: dict[str, threading.Event] = field(default_factory=dict)
    reached: list[str] = field(default_factory=list)
    busy: dict[str, list[Fault]] = field(default_factory=dict)
    natives: Natives = field(default_factory=Natives)
    connections: int = 0
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, request: Request) -> Response:
        sent = next(filter(None, map(request.headers.get, _KEY_HEADERS)), "")
        self.log.authorizations.add(sent)
        lets_in = self.key is None or self.natives.files.is_piece(request)
        if not lets_in and sent.removeprefix("Bearer ") != self.key:
            self.log.write(Entry(len(self.log.entries) + 1, request.path, None, "", 0, "no key", 401, 0.0))
            said = {"message": f"Incorrect API key provided: {sent}.", "code": "invalid_api_key"}
            return as_json({"error": said}, 401)
        native = await self.natives.handle(request)
        if native is not None:
            return native
        path = request.path.removeprefix("/openai").removeprefix("/v1").strip("/").split("/")
        if path[-2:] == ["chat", "completions"]:
            return await self.chat.answer(request, self.log)
        step = f"{request.method} {path[0]}"
        await self._gate(f"{step} before")
        if faults := self.busy.get(step):
            fault = faults.pop(0)
            response = Response(fault.status, {"content-type": "application/json", **fault.headers}, fault.content)
        else:
            response = self.batches.handle(request, path)
        self.log.write(
            Entry(len(self.log.entries) + 1, request.path, None, "", 0, request.method, response.status, 0.0)
        )
        await self._gate(f"{step} after")
        return response

    async def _gate(self, name: str) -> None:
        self.reached.append(name)
        gate = self.gates.get(name)
        while gate is not None and not gate.is_set():
            await asyncio.sleep(0.01)

    async def start(self) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            try:
                await serve_connection(reader, writer, self.handle)
            finally:
                self.connections -= 1

        server = await asyncio.start_server(connected, "127.0.0.1", self.port, limit=1 << 20, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        return server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server in a thread of its own, until the block ends."""
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def main() -> None:
        listening = await server.start()
        started.set()
        async with listening:
            await stopped.wait()

    stopped = asyncio.Event()

    def run() -> None:
        task = loop.create_task(main())
        loop.run_until_complete(task)
        rest = asyncio.all_tasks(loop)
        for other in rest:
            other.cancel()
        if rest:
            loop.run_until_complete(asyncio.wait(rest))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not started.wait(10):
        raise RuntimeError("the server did not start")
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopped.set)
        # From Python 3.12 on a server waits until all who are connected have gone.
        thread.join(10)


def load_storm(text: str) -> Chat:
    """A chat endpoint from JSON: {"latency_s": …, "storm": {…}, "requests": {"per_minute": …, "size": …}}."""
    given = json.loads(text)
    return Chat(
        latency_s=given.get("latency_s", 0.0),
        storm=Storm(**given["storm"]) if "storm" in given else None,
        requests=Bucket(**given["requests"]) if "requests" in given else None,
    )
