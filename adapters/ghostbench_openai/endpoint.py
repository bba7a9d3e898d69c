"""Where requests go and with which key: from settings and environment to a client of the SDK."""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ghostbench import BadInput
from ghostbench_openai.settings import OpenAISettings
from ghostbench_remote.address import is_at, key_for, named_url

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
_RENAMED_IN = "2024-09-01"
"""The first of Azure's dated versions that takes the output limit as max_completion_tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server and the way to speak to it.

    base_url : without credentials, as it may be written down. path : of chat completions, under base_url.
    batch_url : what a batch file names as its endpoint. limit_field : the server's name for the output limit.
    api_version : Azure's, None elsewhere and for Azure's v1 API. key : None where the server needs none.
    """

    base_url: str
    path: str
    batch_url: str
    limit_field: str
    api_version: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def account(self) -> tuple[str, str]:
        """What rate limits belong to: the server, and a digest of the key."""
        return self.base_url, hashlib.sha256((self.key or "").encode()).hexdigest()


def openai_endpoint(settings: OpenAISettings, environ: Mapping[str, str]) -> Endpoint:
    """The OpenAI API, or a compatible server by base_url (or OPENAI_BASE_URL). Raises `BadInput`."""
    if settings.api_version is not None:
        raise BadInput("api_version is a setting of azure:DEPLOYMENT alone; leave it out")
    base_url = named_url(settings.base_url, environ, "OPENAI_BASE_URL", "OPENAI_API_KEY", OPENAI_URL)
    return Endpoint(
        base_url=base_url,
        path="/chat/completions",
        batch_url="/v1/chat/completions",
        limit_field="max_completion_tokens" if is_at(base_url, OPENAI_URL) else "max_tokens",
        key=key_for(base_url, OPENAI_URL, environ, "OPENAI_API_KEY"),
    )


def azure_endpoint(settings: OpenAISettings, deployment: str, environ: Mapping[str, str]) -> Endpoint:
    """A deployment of Azure OpenAI: its v1 API, or the dated API where a version is given. Raises `BadInput`."""
    resource = named_url(settings.base_url, environ, "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "")
    if not resource:
        raise BadInput("AZURE_OPENAI_ENDPOINT is not set; export it (https://NAME.openai.azure.com), or set base_url")
    key = environ.get("AZURE_OPENAI_API_KEY")
    if not key:
        raise BadInput("AZURE_OPENAI_API_KEY is not set; export the key of your Azure OpenAI resource")
    resource = resource.removesuffix("/v1").removesuffix("/openai")
    version = settings.api_version or environ.get("OPENAI_API_VERSION") or None
    quoted = urllib.parse.quote(deployment, safe="")
    return Endpoint(
        base_url=f"{resource}/openai" if version else f"{resource}/openai/v1",
        path=f"/deployments/{quoted}/chat/completions" if version else "/chat/completions",
        batch_url="/chat/completions",
        limit_field="max_tokens" if version and version < _RENAMED_IN else "max_completion_tokens",
        api_version=version,
        key=key,
    )


def open_client(endpoint: Endpoint, connections: int) -> AsyncOpenAI:
    """A client of the SDK that neither retries nor follows redirects, and has no time limits of its own."""
    import httpx2
    import openai

    from ghostbench_remote.bounded import BoundedClient

    http = BoundedClient(
        connections,
        event_hooks=None if endpoint.key else {"request": [_without_authorization]},
    )
    if endpoint.api_version is not None:
        return openai.AsyncAzureOpenAI(
            base_url=endpoint.base_url,
            api_version=endpoint.api_version,
            api_key=endpoint.key,
            max_retries=0,
            timeout=httpx2.Timeout(None),
            http_client=http,
        )
    return openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.key or "none",
        max_retries=0,
        timeout=httpx2.Timeout(None),
        http_client=http,
    )


async def _without_authorization(request: httpx2.Request) -> None:
    request.headers.pop("Authorization", None)
