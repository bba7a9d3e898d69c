"""The models of this package: one request, one chat completion."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostbench import (
    Journal,
    Level,
    ModelError,
    Reply,
    Request,
    RequestRejected,
    ServerError,
    Stages,
    TimedOut,
    Unparseable,
    Usage,
)
from ghostbench_openai.body import BodyOptions, build_body, parts_sent
from ghostbench_openai.completion import Answer, parse_completion, reply_or_error
from ghostbench_openai.endpoint import (
    Endpoint,
    azure_endpoint,
    open_client,
    openai_endpoint,
)
from ghostbench_openai.service import Service
from ghostbench_openai.settings import OpenAISettings
from ghostbench_remote.complaints import FORMAT, OPTIONAL
from ghostbench_remote.ending import Reading
from ghostbench_remote.images import sizes_sent
from ghostbench_remote.model import SHORTER, Exchange, ServiceModel, texts_of
from ghostbench_remote.pacing import Ticket
from ghostbench_remote.schema import schema_sent
from ghostbench_remote.tokens import ENVELOPE_TOKENS, PART_TOKENS, image_tokens, most_text_tokens

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_UNKNOWN_IMAGE_TOKENS = 765
"""For pacing alone, where it is unknown how a model counts images: what a 1024-pixel square costs GPT-4o."""
_STALLED = 4
"""A stream that brings nothing for a quarter of the deadline has stalled."""


class ChatModel(ServiceModel):
    """A model of the OpenAI API or of a server that speaks its Chat Completions.

    The fallback ladder: what a refusal names is left out, and nothing else; where it names nothing, the schema without
    token probabilities and seed, then JSON without a schema, then plain text, the least that any server takes. Fewer
    frames only for a request that is too large; a longer answer only for one that was cut off.
    """

    settings: OpenAISettings
    argument: str
    ladder = (
        Level(name="without what was refused", without=OPTIONAL, after=()),
        Level(name="schema alone", settings={"logprobs": False, "seed": False}, after=(RequestRejected,)),
        Level(
            name="json_object",
            settings={"response_format": "json_object"},
            after=(RequestRejected, Unparseable),
            instead_of=(FORMAT,),
        ),
        Level(
            name="plain text",
            settings={"response_format": "text", "logprobs": False},
            after=(RequestRejected, Unparseable),
            instead_of=(FORMAT,),
        ),
        *SHORTER,
    )

    provider = "openai"

    def __init__(self, settings: OpenAISettings, argument: str) -> None:
        super().__init__(settings, argument)
        self._client: AsyncOpenAI | None = None
        self._verdicts: dict[str, tuple[str | None, tuple[str, ...]]] = {}

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where requests go. Raises `BadInput`."""
        return openai_endpoint(self.settings, os.environ)

    @property
    def client(self) -> AsyncOpenAI:
        """The SDK's client, open from `load` to `aclose`."""
        if self._client is None:
            raise RuntimeError("the model is not loaded")
        return self._client

    @property
    def service(self) -> Service:
        """The service as it is asked from `load` to `aclose`."""
        return Service(
            client=self.client, endpoint=self.endpoint, model=self.argument, prices=self.prices, secrets=self.secrets
        )

    @property
    def batched(self) -> bool:
        """The setting `batch`."""
        return self.settings.batch

    def key(self) -> str | None:
        """The key of the endpoint."""
        return self.endpoint.key

    def identity(self) -> Mapping[str, Any]:
        """The server, and Azure's API version, wherever they were named."""
        return {"base_url": self.endpoint.base_url, "api_version": self.endpoint.api_version}

    async def load(self) -> Mapping[str, Any]:
        """Open the client; return server, versions and prices for the manifest."""
        from importlib.metadata import version

        self._client = open_client(self.endpoint, self.settings.concurrency + 4)
        return {
            **self.begin(self.endpoint.account),
            "base_url": self.endpoint.base_url,
            "api_version": self.endpoint.api_version,
            "sdk": f"openai {version('openai')}",
        }

    async def aclose(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def estimate(self, request: Request) -> Usage:
        """No fewer tokens and no less money than the request can take; None where the table does not know the model."""
        text = sum(map(most_text_tokens, texts_of(request)))
        images = self._image_tokens(request)
        limit = self._options(request).max_output_tokens
        if images is None:
            return Usage(output_tokens=limit)
        overhead = ENVELOPE_TOKENS + PART_TOKENS * len(request.prompt.parts)
        usage = Usage(input_tokens=text + images + overhead, cached_tokens=0, output_tokens=limit)
        price = self.prices.find(self.argument)
        cost = price.cost(usage, batch=self.batched) if price is not None else None
        return dataclasses.replace(usage, cost_usd=cost)

    def build(self, request: Request) -> bytes:
        """The JSON body."""
        return build_body(request, self._options(request))

    def exchange(self, request: Request, ticket: Ticket, preprocess_s: float) -> Exchange:
        """A chat completion."""
        return _Chat(self, request, ticket, preprocess_s)

    def parts_sent(self, request: Request) -> frozenset[str]:
        """The parts of the body that a refusal may name."""
        return parts_sent(request, self._options(request))

    def output_limit(self, request: Request) -> int:
        """The most tokens of an answer."""
        return self._options(request).max_output_tokens

    def image_tokens(self, request: Request) -> int:
        """The frames' tokens; a guess where it is unknown how the model counts them."""
        images = self._image_tokens(request)
        if images is None:
            return _UNKNOWN_IMAGE_TOKENS * len(sizes_sent(request, self.settings.max_side))
        return images

    def encode(self, request: Request) -> bytes:
        """The request as a line of a batch file."""
        head = {"custom_id": request.id, "method": "POST", "url": self.endpoint.batch_url}
        self._verdicts[request.id] = request.prompt.verdict_field, request.prompt.verdict_values
        return json.dumps(head).encode()[:-1] + b',"body":' + self.build(request) + b"}"

    def answer_batch(self, lines: Path, journal: Journal) -> AsyncIterator[tuple[str, Reply | ModelError]]:
        """Have a file of lines answered by the Batch API; see `ghostbench_openai.batch`."""
        from ghostbench_openai.batch import BatchRun

        return BatchRun(self.service, lines, journal, self._verdicts).results()

    def _options(self, request: Request) -> BodyOptions:
        level = request.level_settings
        without = frozenset(level.get("without", ()))
        limit = self.settings.max_output_tokens or request.prompt.max_output_tokens
        seed = self.settings.seed if self.settings.seed is not None else request.seed
        return BodyOptions(
            model=self.argument,
            limit_field=_limit_field(self.settings.limit_field, self.endpoint.limit_field, without),
            temperature=self.settings.temperature if "temperature" not in without else None,
            seed=seed if self.settings.send_seed and level.get("seed", True) and "seed" not in without else None,
            detail=self.settings.detail if "detail" not in without else "",
            max_side=self.settings.max_side,
            max_output_tokens=limit * level.get("output_factor", 1),
            stream=self.settings.stream and not self.settings.batch,
            logprobs=self.settings.logprobs and level.get("logprobs", True) and "logprobs" not in without,
            json_object=level.get("response_format") == "json_object",
            usage="stream_options" not in without,
        )

    def _image_tokens(self, request: Request) -> int | None:
        """Tokens of the frames that the request shows; None where it is unknown how the model counts them."""
        sizes = sizes_sent(request, self.settings.max_side)
        if not sizes:
            return 0
        price = self.prices.find(self.argument)
        if price is None or price.image is None:
            return None
        return sum(image_tokens(price.image, *size, self.settings.detail) for size in sizes)


class AzureChatModel(ChatModel):
    """A deployment of Azure OpenAI, by its name there."""

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where requests go. Raises `BadInput`."""
        return azure_endpoint(self.settings, self.argument, os.environ)


class _Chat(Exchange):
    """One chat completion, whole or in pieces."""

    model: ChatModel

    def __init__(self, model: ChatModel, request: Request, ticket: Ticket, preprocess_s: float) -> None:
        super().__init__(model, request, ticket, preprocess_s)
        self._headers = {"X-Client-Request-Id": request.id}
        self._first: float | None = None
        self._answer = Answer()
        self._reading = Reading(
            verdict_field=request.prompt.verdict_field,
            verdict_values=request.prompt.verdict_values,
            names=(model.argument,),
            prices=model.prices,
            batch=False,
            secrets=model.secrets,
            schema=schema_sent(request),
        )

    async def sent(self, body: bytes, deadline: asyncio.Timeout) -> Reply | ModelError:
        """The answer, as the setting `stream` has it."""
        if self.model.settings.stream:
            return await self.streamed(body, deadline)
        return await self.whole(body)

    async def whole(self, body: bytes) -> Reply | ModelError:
        """The answer in one piece."""
        import httpx2

        response = await self.model.client.post(
            self.model.endpoint.path, cast_to=httpx2.Response, content=body, options={"headers": self._headers}
        )
        self.model.pacer.answered(self.ticket, response.headers)
        completion = parse_completion(response.content, self.model.secrets)
        if not completion.choices:
            return ServerError("the completion has no choices")
        self._answer.add(completion)
        return self._finished(response.headers.get("x-request-id"))

    async def streamed(self, body: bytes, deadline: asyncio.Timeout) -> Reply | ModelError:
        """The answer piece by piece; pieces that stay away too long pull the deadline in."""
        from ghostbench_openai.events import Pieces

        stream = await self.model.client.post(
            self.model.endpoint.path,
            cast_to=object,
            content=body,
            options={"headers": self._headers},
            stream=True,
            stream_cls=Pieces,
        )
        headers = stream.response.headers
        self.model.pacer.answered(self.ticket, headers)
        last = deadline.when() or 0.0
        async for piece in stream:
            fields = piece if isinstance(piece, dict) else {"error": f"a piece of the stream is no object: {piece!r}"}
            if self._answer.add(parse_completion(fields, self.model.secrets)) and self._first is None:
                self._first = time.perf_counter()
            if self._first is not None:
                stalled = asyncio.get_running_loop().time() + self.model.settings.timeout_s / _STALLED
                deadline.reschedule(min(last, stalled))
        if self._answer.finish_reason is None and not self._answer.error:
            came = "before the answer did" if self._answer.message else "without a piece of an answer"
            return ServerError(f"the stream ended {came}", reply=self._partial())
        return self._finished(headers.get("x-request-id"))

    def timed_out(self) -> TimedOut:
        """The deadline passed, or the stream stalled; with what had come by then."""
        limit = self.model.settings.timeout_s
        if self._first is None:
            return super().timed_out()
        waited = time.perf_counter() - self.sent_at
        why = "the stream stalled" if waited < limit - 1e-3 else f"no complete answer within {limit:g} s"
        return TimedOut(f"{why}, {waited:.1f} s after the request", reply=self._partial())

    def _finished(self, server_request_id: str | None) -> Reply | ModelError:
        return reply_or_error(
            self._answer, self._reading, server_request_id=server_request_id, stages=self._stages(time.perf_counter())
        )

    def _partial(self) -> Reply:
        text = self.model.secrets.out_of(self._answer.text)
        return Reply(text=text, stages=self._stages(None))

    def _stages(self, ended: float | None) -> Stages:
        first = self._first
        return Stages(
            preprocess_s=self.preprocess_s,
            first_token_s=first - self.sent_at if first is not None else None,
            generate_s=ended - first if first is not None and ended is not None else None,
        )


def _limit_field(chosen: str, usual: str, without: frozenset[str]) -> str:
    """The name of the output limit that the user chose or the server takes; the other one where that was refused."""
    name = usual if chosen == "auto" else chosen
    other = "max_tokens" if name == "max_completion_tokens" else "max_completion_tokens"
    return other if name in without and other not in without else name
