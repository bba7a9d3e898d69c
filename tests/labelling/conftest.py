"""Twenty drawn clips, `bench label` as a real server, and a headless browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from drawn_data import moving_square, write_dataset, write_video

FRAMES, FPS = 10, 10


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twenty clips of ten frames, 64 x 48; its labels say that nothing happens."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "clips").mkdir()
    names = [f"images_7_{n:03}" for n in range(1, 21)]
    for number, name in enumerate(names):
        frames = moving_square(20 + 10 * number, frames=FRAMES, step=5)
        write_video(root / "clips" / f"{name}.avi", frames, fps=FPS)
    return write_dataset(root, dict.fromkeys(names, "none"))


@dataclass
class Labeller:
    """A server that is going on, and the cookie of its link."""

    process: subprocess.Popen[str]
    link: str
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return self.link.partition("/?")[0]

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """The status and what is answered; a header named here replaces the right one, "" leaves it out."""
        given = {"Cookie": self.cookie, "Origin": self.origin, **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.origin + path, data, {k: v for k, v in given.items() if v})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, path: str, body: object = None) -> dict[str, Any]:
        status, content = self.ask(path, body)
        assert status == 200, content
        found: dict[str, Any] = json.loads(content)
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture
def labelling(drawn: Path, free_port: Callable[[], int]) -> Iterator[Any]:
    """`labelling(annotator, out, …)` starts a server; all end with the test."""
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    started: list[Labeller] = []

    def start(annotator: str, out: Path, *words: str, dataset: Path = drawn) -> Labeller:
        command = [sys.executable, "-m", "ghostbench", "label", str(dataset)]
        command += ["--annotator", annotator, "--out", str(out)]
        process = subprocess.Popen(
            [*command, "--port", str(free_port()), "--no-browser", *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        server = Labeller(process, process.stdout.readline().strip())
        started.append(server)
        opener = urllib.request.build_opener(_NoRedirect())
        for _ in range(200):
            try:
                opener.open(server.link, timeout=5)
            except urllib.error.HTTPError as error:
                cookie = SimpleCookie(error.headers["set-cookie"])
                server.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in cookie.items())
                return server
            except OSError:
                import time

                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    yield start
    for server in started:
        server.kill()
