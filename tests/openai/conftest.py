"""The loopback server, requests as the harness builds them, and models that ask that server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warm_process import run_bench

sys.path.insert(0, str(Path(__file__).parent / "server"))

from loopback_openai import NATIVE_KEY, Server, draw_clips, running

from ghostbench import Frames, ModelError, RemoteModel, Reply, Request
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench_openai.chat import ChatModel
from ghostbench_openai.settings import OpenAISettings

KEY = "sk-proj-loopback0123456789abcdefghijklmnop"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_BASE_URL",
        "OPENAI_API_VERSION",
        "AZURE_OPENAI_ENDPOINT",
        "AZURE_OPENAI_API_KEY",
        "OPENAI_LOG",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh server that lets in KEY alone."""
    with running(Server(key=KEY)) as started:
        yield started


@pytest.fixture
def native_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of who has a key for Claude's and Gemini's own APIs, at the vendors' addresses."""
    for name in ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", NATIVE_KEY)
    monkeypatch.setenv("GEMINI_API_KEY", NATIVE_KEY)


@pytest.fixture
def native() -> Iterator[Server]:
    """A fresh server that lets NATIVE_KEY in, in the header that each API has for it."""
    with running(Server(key=NATIVE_KEY)) as started:
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


@dataclass
class Bench:
    """`bench run` as a real process, on drawn clips, against a loopback server."""

    folder: Path
    dataset: Path
    url: str

    def words(self, *words: str, model: str = "gpt-4.1", run_id: str = "r") -> list[str]:
        given = ["--dataset", str(self.dataset), "--sampling", "uniform:2", "--run-id", run_id]
        given += ["--set", f"{model}.base_url={self.url}"]
        if "--models" not in words:
            given += ["--models", model]
        return [sys.executable, "-m", "ghostbench", "run", *given, *words]

    def start(self, *words: str, env: dict[str, str] | None = None, **named: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        everything = {**os.environ, **(env or {})}
        command = self.words(*words, **named)
        return subprocess.Popen(command, cwd=self.folder, env=everything, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str, env: dict[str, str] | None = None, **named: str) -> subprocess.CompletedProcess[str]:
        _, _, _, *given = self.words(*words, **named)
        return run_bench(given, cwd=self.folder, env={**os.environ, **(env or {})})

    def lines(self, name: str, run_id: str = "r") -> list[dict[str, Any]]:
        text = (self.folder / "results" / run_id / name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def manifest(self, run_id: str = "r") -> dict[str, Any]:
        return json.loads((self.folder / "results" / run_id / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def draw_dataset(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Draws a dataset of so many short clips, no two alike; made once for each number."""
    made: dict[int, Path] = {}

    def draw(count: int) -> Path:
        if count not in made:
            made[count] = draw_clips(tmp_path_factory.mktemp(f"drawn{count}"), count)
        return made[count]

    return draw


@pytest.fixture
def bench(tmp_path: Path, server: Server, draw_dataset: Callable[[int], Path]) -> Bench:
    """`bench run` on six clips against the fresh server."""
    return Bench(tmp_path, draw_dataset(6), server.url)


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
