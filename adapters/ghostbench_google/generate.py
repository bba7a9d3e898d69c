"""Gemini: one request, one generated content.

Fields: the generateContent reference (https://ai.google.dev/api/generate-content). The SDK builds and sends; its
retries are off, it is told key, server and version here, and finds nothing of its own in the environment.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ghostbench import (
    BadInput,
    ContentFiltered,
    Level,
    ModelError,
    Reply,
    Request,
    RequestRejected,
    ServerError,
    Unparseable,
)
from ghostbench_google.settings import GeminiSettings, GenerateSettings
from ghostbench_remote.address import key_for, named_url
from ghostbench_remote.complaints import FORMAT
from ghostbench_remote.ending import Reading, ending
from ghostbench_remote.failures import from_status, text_of
from ghostbench_remote.images import message, sizes_sent
from ghostbench_remote.model import FEWER_FRAMES, LONGER, Exchange, ServiceModel
from ghostbench_remote.pacing import Ticket
from ghostbench_remote.schema import schema_sent

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import GenerateContentConfig, Part
    from httpx2 import AsyncClient

_URL = "https://generativelanguage.googleapis.com"
_VERSION = "v1beta"
_TOP_LOGPROBS = 10
_TILE_TOKENS, _SMALL = 258, 384
_MOST_RESOLVED = 2240
"""Tokens of an image at the highest media resolution of Gemini 3; the models before it count tiles."""
_NAME = re.compile(r"[A-Za-z0-9_.:/@+~-]+")
"""What a model's name is made of, as it stands in the address of a request."""
_UPLOAD_STATUS = "x-goog-upload-status"
_LONGEST = 200
"""Characters of what is said of an answer that is none."""
_OPTIONAL = ("temperature", "seed", "logprobs")
UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the SDK raises where it reads what a server says, and cannot."""


class GeneratingModel(ServiceModel):
    """A Gemini model; a subclass says what it is shown (`shown`, `image_tokens`).

    The fallback ladder: what a refusal names is left out; then token probabilities and seed; the schema where that is
    refused; fewer frames only for a request that is too large, a longer answer only for one that was cut off.
    """

    settings: GenerateSettings
    provider = "google"
    ladder: Sequence[Level] = (
        Level(name="without what was refused", without=_OPTIONAL, after=()),
        Level(name="schema alone", settings={"logprobs": False, "seed": False}, after=(RequestRejected,)),
        Level(
            name="plain text",
            settings={"response_format": "text", "logprobs": False},
            after=(RequestRejected, Unparseable),
            instead_of=(FORMAT,),
        ),
        LONGER,
    )

    def __init__(self, settings: GenerateSettings, argument: str) -> None:
        super().__init__(settings, argument)
        self._client: Client | None = None
        self._transport: AsyncClient | None = None

    @cached_property
    def base_url(self) -> str:
        """Where requests go. Raises `BadInput`."""
        return named_url(self.settings.base_url, os.environ, "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", _URL)

    @property
    def client(self) -> Client:
        """The SDK's client, open from `load` to `aclose`."""
        if self._client is None:
            raise RuntimeError("the model is not loaded")
        return self._client

    def key(self) -> str | None:
        """GEMINI_API_KEY, else GOOGLE_API_KEY; None for another server than Google's, where there is none."""
        return key_for(self.base_url, _URL, os.environ, "GEMINI_API_KEY", "GOOGLE_API_KEY")

    def check(self) -> None:
        """Look at the model's name too. Raises `BadInput`."""
        super().check()
        if ".." in self.argument or not _NAME.fullmatch(self.argument):
            raise BadInput(
                f"'google:{self.argument}' names no model: write the name as Google does, such as gemini-2.5-flash, "
                "which has no '..', '?', '&' or spaces in it"
            )

    def identity(self) -> Mapping[str, Any]:
        """The server, wherever it was named, and the API's version."""
        return {"base_url": self.base_url, "api_version": _VERSION}

    async def load(self) -> Mapping[str, Any]:
        """Open the client; return server, versions and prices for the manifest."""
        from importlib.metadata import version

        from google import genai
        from google.genai.types import HttpOptions, HttpRetryOptions

        from ghostbench_remote.bounded import BoundedClient

        key = self.key()
        hooks = {"request": [] if key else [_without_key], "response": [_not_again]}
        self._transport = BoundedClient(self.settings.concurrency + 4, event_hooks=hooks)
        self._client = genai.Client(
            vertexai=False,
            api_key=key or "none",
            http_options=HttpOptions(
                base_url=self.base_url,
                api_version=_VERSION,
                retry_options=HttpRetryOptions(attempts=1),
                httpx_async_client=self._transport,
            ),
        )
        account = self.base_url, hashlib.sha256((key or "").encode()).hexdigest()
        return {
            **self.begin(account),
            "base_url": self.base_url,
            "api_version": _VERSION,
            "sdk": f"google-genai {version('google-genai')}",
        }

    async def aclose(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.aio.aclose()
            self._client.close()
            self._client = None
        # The SDK closes no transport that it was given: its connections would stay open until the process ends.
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    def build(self, request: Request) -> tuple[list[Part], GenerateContentConfig]:
        """The user's parts, and the configuration."""
        from google.genai.types import GenerateContentConfig, ThinkingConfig

        sent, settings = self.parts_sent(request), self.settings
        config = GenerateContentConfig(max_output_tokens=self.output_limit(request), candidate_count=1)
        if request.prompt.system:
            config.system_instruction = request.prompt.system
        if "temperature" in sent:
            config.temperature = settings.temperature
        if "seed" in sent:
            config.seed = settings.seed if settings.seed is not None else request.seed % 2**31
        if "logprobs" in sent:
            config.response_logprobs, config.logprobs = True, _TOP_LOGPROBS
        if settings.thinking_budget is not None:
            config.thinking_config = ThinkingConfig(thinking_budget=settings.thinking_budget)
        schema = schema_sent(request)
        if schema is not None:
            config.response_mime_type, config.response_json_schema = "application/json", schema
        return list(self.shown(request)), config

    @abstractmethod
    def shown(self, request: Request) -> Iterator[Part]:
        """The parts of the user's turn, in order."""

    def parts_sent(self, request: Request) -> frozenset[str]:
        """The parts of the request that a refusal may name."""
        level, settings = request.level_settings, self.settings
        wanted = {
            "temperature": settings.temperature is not None,
            "seed": settings.send_seed and level.get("seed", True),
            "logprobs": settings.logprobs and level.get("logprobs", True) and bool(request.prompt.verdict_values),
        }
        sent = {name for name, is_wanted in wanted.items() if is_wanted} - set(level.get("without", ()))
        return frozenset(sent | ({FORMAT} if schema_sent(request) is not None else set()))

    def output_limit(self, request: Request) -> int:
        """The most tokens of thoughts and answer."""
        limit = self.settings.max_output_tokens or request.prompt.max_output_tokens
        return limit * int(request.level_settings.get("output_factor", 1)) + self.settings.thinking_room

    def exchange(self, request: Request, ticket: Ticket, preprocess_s: float) -> Exchange:
        """One generated content."""
        return Generation(self, request, ticket, preprocess_s)


class GeminiModel(GeneratingModel):
    """A Gemini model, shown the frames as images."""

    settings: GeminiSettings
    ladder: Sequence[Level] = (*GeneratingModel.ladder[:-1], *FEWER_FRAMES, LONGER)

    def shown(self, request: Request) -> Iterator[Part]:
        """The texts, and each frame as a JPEG in its place."""
        from google.genai.types import Part

        for piece in message(request, self.settings.max_side):
            if isinstance(piece, str):
                yield Part(text=piece)
            else:
                yield Part.from_bytes(data=base64.b64decode(piece), mime_type="image/jpeg")

    def image_tokens(self, request: Request) -> int:
        """At most so many tokens are the frames that the request shows.

        Source: https://ai.google.dev/gemini-api/docs/tokens: 258 for a small image, else for each tile of 768 pixels
        or of two thirds of the shorter side; by resolution from Gemini 3 on.
        """
        return sum(map(_tokens_of, sizes_sent(request, self.settings.max_side)))


def _tokens_of(size: tuple[int, int]) -> int:
    """At most so many tokens are an image of this width and height, pixels."""
    side = max(1, min(768, math.floor(min(size) / 1.5)))
    tiles = 1 if max(size) <= _SMALL else math.prod(math.ceil(length / side) for length in size)
    return max(_MOST_RESOLVED, tiles * _TILE_TOKENS)


class Generation(Exchange):
    """One request to generate content, and what comes back."""

    model: GeneratingModel

    async def sent(
        self, body: tuple[list[Part], GenerateContentConfig], deadline: asyncio.Timeout
    ) -> Reply | ModelError:
        """Send the parts; return the reply, or the error that the answer is."""
        from google.genai.types import Content

        from ghostbench_google.content import parse_generated
        from ghostbench_remote.bounded import LATEST

        parts, config = body
        secrets = self.model.secrets
        # The SDK sends; the answer is read leniently here, and not gone on with by further requests.
        config.should_return_http_response = True
        LATEST.set(None)
        odd: str | None = None
        try:
            response = await self.model.client.aio.models.generate_content(
                model=self.model.argument, contents=[Content(role="user", parts=list(parts))], config=config
            )
        except UNREADABLE as error:
            odd = self.odd(error)
        if odd is not None:
            return self.unread(odd)
        told = response.sdk_http_response
        headers = {name.lower(): value for name, value in ((told.headers if told else None) or {}).items()}
        self.model.pacer.answered(self.ticket, headers)
        generated = parse_generated((told.body if told else None) or "", secrets)
        reading = Reading(
            verdict_field=self.request.prompt.verdict_field,
            verdict_values=self.request.prompt.verdict_values,
            names=(self.model.argument,),
            prices=self.model.prices,
            batch=False,
            secrets=secrets,
            schema=schema_sent(self.request),
        )
        said = generated.said()
        ended = ending(said, reading, server_request_id=generated.response_id, stages=self.stages())
        if generated.blocked is not None and not said.message:
            reply = ended.reply if isinstance(ended, ModelError) else ended
            why = secrets.out_of_message(generated.blocked)[:_LONGEST]
            return ContentFiltered(f"the server's content filter stopped the request ({why})", reply=reply)
        return ended

    def odd(self, error: Exception) -> str:
        """What the SDK says of a response that it cannot read. Raises the error where none has come."""
        from ghostbench_remote.bounded import LATEST

        if LATEST.get() is None:
            raise error
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return self.model.secrets.out_of_message(words)[:_LONGEST]

    def unread(self, odd: str, what: str = "generated content") -> ModelError:
        """The error for a response whose body the SDK could not read: its status counts, if that tells of one."""
        from ghostbench_remote.bounded import LATEST

        came = LATEST.get()
        if came is None or came.is_success:
            return ServerError(f"the body is no {what} ({odd})")
        sent = self.model.parts_sent(self.request)
        failure = from_status(came.status_code, came.headers, text_of(came), self.model.secrets, sent)
        self.learn(failure, came.headers)
        return failure


async def _without_key(request: Any) -> None:
    request.headers.pop("x-goog-api-key", None)


async def _not_again(response: Any) -> None:
    """Keep the SDK from sending a piece of an upload three times: whoever asks decides what is tried again."""
    upload = "upload" in response.request.headers.get("x-goog-upload-command", "")
    if upload and not response.headers.get(_UPLOAD_STATUS):
        response.headers[_UPLOAD_STATUS] = "failed"
