"""A model behind an API: one request, one exchange, under a deadline and no faster than the server allows."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, ClassVar, Protocol

from ghostbench import (
    Level,
    ModelError,
    RateLimited,
    RemoteModel,
    Reply,
    Request,
    RequestTooLarge,
    Stages,
    TextPart,
    TimedOut,
    Truncated,
    Usage,
)
from ghostbench_remote.address import check_key, check_network
from ghostbench_remote.failures import from_exception
from ghostbench_remote.images import JPEG_QUALITY
from ghostbench_remote.pacing import Pacer, Ticket, pacer_for
from ghostbench_remote.prices import Prices, read_prices
from ghostbench_remote.redaction import Secrets
from ghostbench_remote.tokens import ENVELOPE_TOKENS, PART_TOKENS, likely_text_tokens, most_text_tokens

FEWER_FRAMES = (
    Level(name="8 frames", max_frames=8, after=(RequestTooLarge,)),
    Level(name="4 frames", max_frames=4, after=(RequestTooLarge,)),
)
LONGER = Level(name="longer answer", settings={"output_factor": 4}, after=(Truncated,))
SHORTER = (*FEWER_FRAMES, LONGER)
"""The end of every service's ladder: fewer frames for a request too large, a longer answer for one that was cut off."""


class ServiceSettings(Protocol):
    """What the settings of every such model have."""

    @property
    def concurrency(self) -> int:
        """Requests in flight at once."""

    @property
    def timeout_s(self) -> float:
        """Deadline of one attempt, seconds."""

    @property
    def temperature(self) -> float | None:
        """Sampling temperature; None is not sent."""

    @property
    def price_file(self) -> str | None:
        """The user's own prices."""


class Exchange:
    """One request on its way: what is known of it if it fails at any point.

    A subclass sends it (`sent`), and says what came by then where the deadline passes (`timed_out`).
    """

    def __init__(self, model: ServiceModel, request: Request, ticket: Ticket, preprocess_s: float) -> None:
        self.model = model
        self.request = request
        self.ticket = ticket
        self.preprocess_s = preprocess_s
        self.sent_at = time.perf_counter()

    @abstractmethod
    async def sent(self, body: Any, deadline: asyncio.Timeout) -> Reply | ModelError:
        """Send the body that the model built; return the reply, or the error that the answer is."""

    def timed_out(self) -> TimedOut:
        """The deadline passed."""
        return TimedOut(f"no answer within {self.model.settings.timeout_s:g} s")

    def stages(self) -> Stages:
        """Where the time went, as far as it is known here."""
        return Stages(preprocess_s=self.preprocess_s)

    def learn(self, failure: ModelError, headers: Mapping[str, str]) -> None:
        """Have the pacer learn from a response that was no answer."""
        if isinstance(failure, RateLimited):
            self.model.pacer.refused(self.ticket, headers, str(failure), failure.retry_after_s)
        elif headers:
            self.model.pacer.answered(self.ticket, headers)


class ServiceModel(RemoteModel):
    """What the models of all these services share; a subclass knows its protocol."""

    settings: ServiceSettings
    argument: str
    provider: ClassVar[str]
    """The service's name in the package of prices."""

    def __init__(self, settings: ServiceSettings, argument: str) -> None:
        super().__init__(settings, argument)
        self.secrets = Secrets.of(os.environ)
        self._pacer: Pacer | None = None
        self._tickets: dict[str, Ticket] = {}
        self._encoders: ThreadPoolExecutor | None = None
        self._price_said = False

    @abstractmethod
    def key(self) -> str | None:
        """The key that is sent; None where none is needed. Raises `BadInput` where one is and it is not there."""

    @abstractmethod
    def build(self, request: Request) -> Any:
        """The request as it is sent. Encodes its frames when they have not been: called in a thread."""

    @abstractmethod
    def exchange(self, request: Request, ticket: Ticket, preprocess_s: float) -> Exchange:
        """A request's exchange, which has not begun."""

    @abstractmethod
    def parts_sent(self, request: Request) -> frozenset[str]:
        """The parts of the request that a refusal may name."""

    @abstractmethod
    def output_limit(self, request: Request) -> int:
        """The most tokens of an answer."""

    @abstractmethod
    def image_tokens(self, request: Request) -> int:
        """How many tokens the request's frames are: no fewer than that, or about so many where that is unknown."""

    @cached_property
    def prices(self) -> Prices:
        """The price table in use. Raises `BadInput`."""
        return read_prices(self.settings.price_file, self.provider)

    @property
    def pacer(self) -> Pacer:
        """What holds requests back, from `load` on."""
        if self._pacer is None:
            raise RuntimeError("the model is not loaded")
        return self._pacer

    @property
    def concurrency(self) -> int:
        """The setting `concurrency`."""
        return self.settings.concurrency

    def is_deterministic(self, request: Request) -> bool:
        """Whether it is asked at temperature 0, which the level of the request may leave out."""
        without = request.level_settings.get("without", ())
        return self.settings.temperature == 0 and "temperature" not in without

    def check(self) -> None:
        """Look for key, endpoint, the way to it, and price file. Raises `BadInput`."""
        check_key(self.key())
        check_network(os.environ)
        _ = self.prices

    def begin(self, account: tuple[str, str]) -> Mapping[str, Any]:
        """Make ready for sending on behalf of an account; return facts for the manifest.

        account : what rate limits belong to, the server and a digest of the key.
        """
        from importlib.metadata import version

        self._pacer = pacer_for(*account, self.argument)
        self._encoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "jpeg")
        self.secrets.out_of_logs()
        price = self.prices.find(self.argument)
        return {
            "asked_model": self.argument,
            "answer_format": "a JSON schema is asked for; answers that show it was not enforced have a note",
            "jpeg": f"Pillow {version('pillow')}, quality {JPEG_QUALITY}",
            "prices": {"date": self.prices.date, "source": self.prices.source},
            "price": price.facts() if price is not None else None,
        }

    def close(self) -> None:
        """Let the encoding threads go."""
        if self._encoders is not None:
            self._encoders.shutdown(wait=False, cancel_futures=True)
            self._encoders = None

    def estimate(self, request: Request) -> Usage:
        """No fewer tokens and no less money than the request can take; no cost where the price is not known."""
        text = sum(map(most_text_tokens, texts_of(request)))
        overhead = ENVELOPE_TOKENS + PART_TOKENS * len(request.prompt.parts)
        tokens = text + self.image_tokens(request) + overhead
        usage = Usage(input_tokens=tokens, cached_tokens=0, output_tokens=self.output_limit(request))
        price = self.prices.find(self.argument)
        cost = price.cost(usage, batch=False) if price is not None else None
        return dataclasses.replace(usage, cost_usd=cost)

    async def admit(self, request: Request) -> None:
        """Wait until the server's limits, as far as they are known, have room for this request."""
        text = sum(map(likely_text_tokens, texts_of(request)))
        likely = text + self.image_tokens(request) + self.output_limit(request)
        self._tickets[request.id] = await self.pacer.admit(likely)

    async def answer(self, request: Request) -> Reply:
        """Send the request once, when the server's limits have room for it. Raises a `ModelError`."""
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._encoders, self.build, request)
        preprocess_s = time.perf_counter() - started
        if request.id not in self._tickets:
            await self.admit(request)
        result = await self._send(self.exchange(request, self._tickets.pop(request.id), preprocess_s), body)
        if isinstance(result, ModelError):
            raise result
        return self._with_notes(result)

    async def _send(self, exchange: Exchange, body: Any) -> Reply | ModelError:
        """One exchange under the deadline. Never raises what happened, so that nothing of it hangs on a traceback."""
        try:
            async with asyncio.timeout(self.settings.timeout_s) as deadline:
                return await exchange.sent(body, deadline)
        except TimeoutError:
            return exchange.timed_out()
        except Exception as error:  # noqa: BLE001 - every failure becomes the typed error that stands for it
            failure = from_exception(error, self.secrets, self.parts_sent(exchange.request))
            exchange.learn(failure, getattr(getattr(error, "response", None), "headers", {}))
            return failure
        finally:
            self.pacer.over(exchange.ticket)

    def _with_notes(self, reply: Reply) -> Reply:
        if self._price_said or self.prices.find(reply.served_model, self.argument) is not None:
            return reply
        self._price_said = True
        note = f"no price is known for {self.argument}: cost is null; price_file can name one"
        return dataclasses.replace(reply, notes=(*reply.notes, self.secrets.out_of(note)))


def texts_of(request: Request) -> list[str]:
    """All of a request that is text, the answer's schema included: the server writes it into the prompt."""
    prompt = request.prompt
    parts = [part.text for part in prompt.parts if isinstance(part, TextPart)]
    return [prompt.system, json.dumps(prompt.schema, ensure_ascii=False), *parts]
