"""The service as a model is asked there, in single requests or by the Batch API alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ghostbench_openai.endpoint import Endpoint
from ghostbench_remote.prices import Prices
from ghostbench_remote.redaction import Secrets

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An open connection to a server, and what is known of it.

    model : the name that the server is asked for. prices : the price table in use. secrets : what is kept out of words.
    """

    client: AsyncOpenAI
    endpoint: Endpoint
    model: str
    prices: Prices
    secrets: Secrets
