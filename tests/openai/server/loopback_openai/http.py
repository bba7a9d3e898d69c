"""As much of HTTP/1.1 as the protocol needs, on asyncio streams."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

REASONS = {200: "OK", 307: "Temporary Redirect", 429: "Too Many Requests"}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Response:
    """What to send. `chunks` streams; `reset` breaks the connection, after the bytes of `body` if there are any."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    reset: bool = False


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, {"content-type": "application/json", **(headers or {})}, json.dumps(value).encode())


Handler = Callable[[Request], Awaitable[Response]]


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Answer requests on one connection until it ends."""
    try:
        while (request := await _read(reader)) is not None:
            answering = asyncio.ensure_future(handler(request))
            gone = asyncio.ensure_future(reader.read(1))
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                answering.cancel()
                return
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            if not await _write(writer, await answering):
                return
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
    elif length := int(headers.get("content-length", 0)):
        body = await reader.readexactly(length)
    parts = urlsplit(target)
    return Request(method, parts.path, parse_qs(parts.query), headers, body)


async def _write(writer: asyncio.StreamWriter, response: Response) -> bool:
    """Send; True if the connection can be used again."""
    if response.reset and not response.body and response.chunks is None:
        _reset(writer)
        return False
    head = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    if response.chunks is not None:
        writer.write(("\r\n".join([*head, "transfer-encoding: chunked"]) + "\r\n\r\n").encode())
        async for chunk in response.chunks:
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await writer.drain()
        if response.reset:
            _reset(writer)
            return False
        writer.write(b"0\r\n\r\n")
    else:
        length = len(response.body) + (1000 if response.reset else 0)
        writer.write(("\r\n".join([*head, f"content-length: {length}"]) + "\r\n\r\n").encode() + response.body)
    await writer.drain()
    if response.reset:
        await asyncio.sleep(0.05)
        _reset(writer)
        return False
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection so that the peer sees a reset, not an orderly end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
