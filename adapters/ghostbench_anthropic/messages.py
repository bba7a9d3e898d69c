"""Claude: one request, one message.

Fields: the Messages API reference (https://platform.claude.com/docs/en/api/messages) and the guide to structured
outputs there. The SDK sends, and neither retries nor reads the answer: that is read leniently here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ghostbench import (
    Level,
    ModelError,
    Reply,
    Request,
    RequestRejected,
    Unparseable,
    Usage,
)
from ghostbench_anthropic.settings import ClaudeSettings
from ghostbench_remote.address import key_for, named_url
from ghostbench_remote.complaints import FORMAT
from ghostbench_remote.ending import Reading, Said, ending
from ghostbench_remote.failures import from_error_object, not_protocol
from ghostbench_remote.images import message, sizes_sent
from ghostbench_remote.lenient import Count, Counts, Lenient, Soft, as_text, read_as
from ghostbench_remote.model import SHORTER, Exchange, ServiceModel
from ghostbench_remote.pacing import Ticket
from ghostbench_remote.redaction import Secrets
from ghostbench_remote.schema import schema_sent

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_URL = "https://api.anthropic.com"
_PIXELS_A_TOKEN_SIDE = 27
"""An image costs a token for each 750 pixels, or each square of 28 (newer models): no more than for squares of 27."""
_PATH = "/v1/messages"


class ClaudeModel(ServiceModel):
    """A Claude model.

    The fallback ladder: the temperature is left out where a model refuses it, the schema where it refuses that; fewer
    frames only for a request that is too large, a longer answer only for one that was cut off.
    """

    settings: ClaudeSettings
    provider = "anthropic"
    ladder = (
        Level(name="without what was refused", without=("temperature",), after=()),
        Level(
            name="plain text",
            settings={"response_format": "text"},
            after=(RequestRejected, Unparseable),
            instead_of=(FORMAT,),
        ),
        *SHORTER,
    )

    def __init__(self, settings: ClaudeSettings, argument: str) -> None:
        super().__init__(settings, argument)
        self._client: AsyncAnthropic | None = None

    @cached_property
    def base_url(self) -> str:
        """Where requests go. Raises `BadInput`."""
        return named_url(self.settings.base_url, os.environ, "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", _URL)

    @property
    def client(self) -> AsyncAnthropic:
        """The SDK's client, open from `load` to `aclose`."""
        if self._client is None:
            raise RuntimeError("the model is not loaded")
        return self._client

    def key(self) -> str | None:
        """ANTHROPIC_API_KEY; None for another server than Anthropic's, where there is none."""
        return key_for(self.base_url, _URL, os.environ, "ANTHROPIC_API_KEY")

    def identity(self) -> Mapping[str, Any]:
        """The server, wherever it was named."""
        return {"base_url": self.base_url}

    async def load(self) -> Mapping[str, Any]:
        """Open the client; return server, versions and prices for the manifest."""
        from importlib.metadata import version

        import anthropic
        import httpx2

        from ghostbench_remote.bounded import BoundedClient

        key = self.key()
        self._client = anthropic.AsyncAnthropic(
            base_url=self.base_url,
            # With a key named here, the SDK looks for no other credential, in the environment or on disk.
            api_key=key or "none",
            max_retries=0,
            timeout=httpx2.Timeout(None),
            http_client=BoundedClient(
                self.settings.concurrency + 4, event_hooks=None if key else {"request": [_without_key]}
            ),
        )
        account = self.base_url, hashlib.sha256((key or "").encode()).hexdigest()
        return {**self.begin(account), "base_url": self.base_url, "sdk": f"anthropic {version('anthropic')}"}

    async def aclose(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def build(self, request: Request) -> bytes:
        """The JSON body. The megabytes in it are the frames' base64, which never passes through a JSON encoder."""
        fields: dict[str, Any] = {"model": self.argument, "max_tokens": self.output_limit(request)}
        if "temperature" in self.parts_sent(request):
            fields["temperature"] = self.settings.temperature
        if request.prompt.system:
            fields["system"] = request.prompt.system
        schema = schema_sent(request)
        if schema is not None:
            fields["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        head = json.dumps(fields, ensure_ascii=False).encode()
        user = b",".join(self._parts(request))
        return b"".join((head[:-1], b',"messages":[{"role":"user","content":[', user, b"]}]}"))

    def _parts(self, request: Request) -> Iterator[bytes]:
        for piece in message(request, self.settings.max_side):
            if isinstance(piece, str):
                yield json.dumps({"type": "text", "text": piece}, ensure_ascii=False).encode()
            else:
                head = b'{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"'
                yield b"".join((head, piece, b'"}}'))

    def parts_sent(self, request: Request) -> frozenset[str]:
        """The parts of the request that a refusal may name."""
        without = request.level_settings.get("without", ())
        sent = {"temperature"} if self.settings.temperature is not None and "temperature" not in without else set()
        return frozenset(sent | ({FORMAT} if schema_sent(request) is not None else set()))

    def output_limit(self, request: Request) -> int:
        """The most tokens of an answer."""
        limit = self.settings.max_output_tokens or request.prompt.max_output_tokens
        return limit * int(request.level_settings.get("output_factor", 1))

    def image_tokens(self, request: Request) -> int:
        """At most so many tokens are the frames that the request shows."""
        sizes = sizes_sent(request, self.settings.max_side)
        return sum(math.prod(math.ceil(side / _PIXELS_A_TOKEN_SIDE) for side in size) for size in sizes)

    def exchange(self, request: Request, ticket: Ticket, preprocess_s: float) -> Exchange:
        """One message."""
        return _Message(self, request, ticket, preprocess_s)


class _Message(Exchange):
    model: ClaudeModel

    async def sent(self, body: bytes, deadline: asyncio.Timeout) -> Reply | ModelError:
        import httpx2

        response = await self.model.client.post(
            _PATH,
            cast_to=httpx2.Response,
            content=body,
            options={"headers": {"Content-Type": "application/json"}},
        )
        self.model.pacer.answered(self.ticket, response.headers)
        said = _read(response.content, self.model.secrets)
        schema = schema_sent(self.request)
        reading = Reading(
            verdict_field=self.request.prompt.verdict_field,
            verdict_values=self.request.prompt.verdict_values,
            names=(self.model.argument,),
            prices=self.model.prices,
            batch=False,
            secrets=self.model.secrets,
            schema=schema,
        )
        return ending(said, reading, server_request_id=response.headers.get("request-id"), stages=self.stages())


class _Usage(Counts):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_read_input_tokens: Count = None

    def counted(self) -> Usage:
        """As all services' are. The API counts what came from its cache, and what went into it, apart from the rest."""
        whole = self.total("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        return Usage(
            input_tokens=whole if self.input_tokens is not None else None,
            cached_tokens=self.total("cache_read_input_tokens", absent=0),
            output_tokens=self.output_tokens,
        )


class _Block(Lenient):
    type: str
    text: str | None = None


class _Answer(Lenient):
    """A message, as far as it is read; or the error object in its place."""

    type: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    model: Soft[str] = None
    usage: Soft[_Usage] = None
    error: Any = None


def _read(body: bytes, secrets: Secrets) -> Said:
    """A message as what was said. Raises `ServerError` for a body that is none, and what an error in it stands for."""
    answer = read_as(_Answer, body, "message", secrets)
    if answer.error:
        raise from_error_object(answer.error, secrets)
    if answer.content is None:
        raise not_protocol("no message (content: missing)", as_text(body), secrets)
    return Said(
        text="".join(block.text or "" for block in answer.content if block.type == "text"),
        finish_reason=answer.stop_reason,
        model=answer.model,
        usage=answer.usage.counted() if answer.usage is not None else Usage(),
        written_tokens=(answer.usage.cache_creation_input_tokens if answer.usage is not None else None) or 0,
        message=bool(answer.content),
    )


async def _without_key(request: Any) -> None:
    for name in ("Authorization", "X-Api-Key"):
        request.headers.pop(name, None)
