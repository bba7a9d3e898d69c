"""The pieces of a streamed answer, as the standard on server-sent events reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import openai
from typing_extensions import override

if TYPE_CHECKING:
    from openai._streaming import ServerSentEvent


class Pieces(openai.AsyncStream[object]):
    """The SDK's stream without events that bring no data, which servers send to keep a connection open.

    The standard has such an event dropped (https://html.spec.whatwg.org/multipage/server-sent-events.html, "dispatch
    the event"); the SDK takes it for a piece of the answer that is not JSON, and loses the answer.
    """

    @override
    async def _iter_events(self) -> AsyncIterator[ServerSentEvent]:
        async for event in super()._iter_events():
            if event.data:
                yield event
