"""Twenty drawn clips, `bench label` as a real server, and a headless browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

FRAMES, FPS = 10, 10


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twenty clips of ten frames, 64 x 48; its labels say that nothing happens."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "clips").mkdir()
    names = [f"images_7_{n:03}" for n in range(1, 21)]
    for number, name in enumerate(names):
        with av.open(str(root / "clips" / f"{name}.avi"), "w") as container:
            stream = container.add_stream("mpeg4", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for index in range(FRAMES):
                pixels = np.full((48, 64, 3), 20 + 10 * number, dtype=np.uint8)
                pixels[:, 5 * index : 5 * index + 8] = 255
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
    rows = "".join(f"{name}.avi,none,remark of {name}\n" for name in names)
    (root / "labels.csv").write_text(f"video_id,ground_truth_label,remark\n{rows}")
    (root / "dataset.yaml").write_text("name: drawn\nroot: clips\nlayout: files\nlabels: labels.csv\n")
    return root / "dataset.yaml"


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


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def labelling(drawn: Path) -> Iterator[Any]:
    """`labelling(annotator, out, …)` starts a server; all end with the test."""
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    started: list[Labeller] = []

    def start(annotator: str, out: Path, *words: str) -> Labeller:
        command = [sys.executable, "-m", "ghostbench", "label", str(drawn), "--annotator", annotator, "--out", str(out)]
        process = subprocess.Popen(
            [*command, "--port", str(_free_port()), "--no-browser", *words],
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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium under Selenium; skips where either is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    binary, driver = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(argument)
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()
