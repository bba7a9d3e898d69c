"""The loopback server, requests as the harness builds them, and models that ask that server."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "server"))

from ghostbench import Frames, ModelError, RemoteModel, Reply, Request
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_openai.chat import ChatModel
from ghostbench_openai.settings import OpenAISettings
from loopback_openai import Server, running

KEY = "sk-proj-loopback0123456789abcdefghijklmnop"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_VERSION", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh server that lets in KEY alone."""
    with running(Server(key=KEY)) as started:
        yield started


@pytest.fixture
def make_request() -> Callable[..., Request]:
    """Builds requests about drawn frames: `count` of them, `size` = (width, height), the same pixels for a `seed`."""

    def build(count: int = 3, size: tuple[int, int] = (64, 48), seed: int = 0, **changes: Any) -> Request:
        pixels = np.random.default_rng(seed).integers(0, 255, (count, size[1], size[0], 3), dtype=np.uint8)
        times = tuple(index / 2 for index in range(count))
        frames = Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=9.0, decoder="drawn")
        task = GhostProbing()
        given: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "prompt": task.build(frames),
            "frames": frames,
            "seed": 7,
            "level": 0,
            "level_settings": {},
            "write_answer": task.write,
        }
        return Request(**{**given, **changes})

    return build


@pytest.fixture
def ask(server: Server) -> Callable[..., list[Reply | ModelError]]:
    """Has requests answered at once by a model of that server; errors are given back, not raised."""

    def answers(*requests: Request, model: str = "gpt-4.1", **settings: Any) -> list[Reply | ModelError]:
        settings.setdefault("base_url", server.url)
        return asyncio.run(answered(ChatModel(OpenAISettings(**settings), model), *requests))

    return answers


@pytest.fixture
def ask_model() -> Callable[..., list[Reply | ModelError]]:
    """Has requests answered at once by the model given."""
    return lambda model, *requests: asyncio.run(answered(model, *requests))


async def answered(model: RemoteModel, *requests: Request) -> list[Reply | ModelError]:
    """Load, ask everything at once, close."""

    async def one(request: Request) -> Reply | ModelError:
        try:
            return await model.answer(request)
        except ModelError as error:
            return error

    model.check()
    await model.load()
    try:
        return await asyncio.gather(*(one(request) for request in requests))
    finally:
        await model.aclose()
        model.close()
