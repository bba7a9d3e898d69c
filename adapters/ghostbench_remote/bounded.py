"""A client that reads no more of a response than an answer can be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import httpx2
from typing_extensions import override

MOST_BYTES = 32 * 1024 * 1024
"""Of a response, decompressed: an answer of 30,000 tokens with ten alternatives to each."""
LATEST: ContextVar[httpx2.Response | None] = ContextVar("LATEST", default=None)
"""The response that came last in this task, for where an SDK's error does not hold it."""
_BOM = b"\xef\xbb\xbf"


class ResponseTooLarge(Exception):
    """The response, or a line of a file of lines, is larger than an answer can be."""

    def __init__(self) -> None:
        super().__init__(f"the response is larger than {MOST_BYTES >> 20} MiB")


class BoundedClient(httpx2.AsyncClient):
    """A client that has no time limits of its own and follows no redirect.

    Reading a response raises `ResponseTooLarge` once it has brought too much.

    A file of lines, as the Batch API gives them, may be longer; no line of it may.
    """

    def __init__(self, connections: int, **given: Any) -> None:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        super().__init__(follow_redirects=False, timeout=httpx2.Timeout(None), limits=limits, **given)

    @override
    async def send(self, request: httpx2.Request, *, stream: bool = False, **given: Any) -> httpx2.Response:
        """Send the request; the response comes decompressed, piece by piece, and without a byte-order mark."""
        received = await super().send(request, stream=True, **given)
        headers = [(name, value) for name, value in received.headers.multi_items() if name not in _OF_THE_BYTES]
        by_line = request.method == "GET" and request.url.path.endswith("/content")
        response = httpx2.Response(
            received.status_code,
            headers=headers,
            stream=_Bounded(received, by_line=by_line),
            request=request,
            extensions=received.extensions,
        )
        LATEST.set(response)
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


_OF_THE_BYTES = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class _Bounded(httpx2.AsyncByteStream):
    """The decompressed bytes of a response, as long as there are not too many."""

    def __init__(self, received: httpx2.Response, *, by_line: bool) -> None:
        self._received = received
        self._by_line = by_line

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen, first = 0, True
        async for piece in self._received.aiter_bytes():
            end = piece.rfind(b"\n") if self._by_line else -1
            seen = seen + len(piece) if end < 0 else len(piece) - end - 1
            if seen > MOST_BYTES:
                raise ResponseTooLarge
            yield piece.removeprefix(_BOM) if first else piece
            first = False

    @override
    async def aclose(self) -> None:
        await self._received.aclose()
