"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import settings

# Here beside the folders of tests, which find them by their names.
for _shared in ("warm_process", "drawn_data"):
    sys.path.insert(0, str(Path(__file__).parent / _shared))

# Networks here are so small that they only lose by being shared among threads, which wait for each other at full speed:
# the processes that tests start have it too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and processes inherit that; tests here send it and mean it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected: all of their modules are imported, and none of it is any."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes or waits longest: were it last, nothing would be left to do beside it."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture(scope="module", autouse=True)
def imports_are_no_garbage() -> None:
    """Keep what was imported by now out of the garbage collector's way.

    It goes through all of torch, pandas and matplotlib otherwise whenever it looks for garbage: more than half of the
    time of some tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def nothing_else_waits_for_tests() -> Iterator[None]:
    """Fail where a test has made its process a real-time one, which starves all that runs beside it."""
    policy = getattr(os, "sched_getscheduler", int)
    before = policy(0)
    yield
    assert policy(0) == before, "a test changed how its process is scheduled"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real clips, labels, recordings and tiny checkpoints; tests skip where it is absent."""
    given = os.environ.get("GHOSTBENCH_SHARED")
    root = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (root / "README.md").is_file():
        pytest.skip("shared data is not here")
    return root


@pytest.fixture(scope="session")
def least_cpu_s() -> Callable[..., float]:
    """`least_cpu_s(words, times=…)`: the least CPU time that a command took, of several runs, in seconds.

    CPU time and not the clock: other processes share the machine. What is left of them (a shared cache, a clock that is
    turned down) touches every command alike, so compare it with another command's.
    """

    def measure(words: Sequence[str], *, times: int = 5, env: Mapping[str, str] | None = None) -> float:
        spans = []
        for _ in range(times):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spans.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        return min(spans)

    return measure


class PluginSite:
    """A folder on the import path into which tests install plugins as pip would, and `bench` run with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, *, modules: Mapping[str, str], entry_points: str | None = None) -> None:
        """Install a distribution: each module's source by its path, `{name} = <first module>` as its entry point."""
        for path, source in modules.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(dedent(source), encoding="utf-8")
        if entry_points is None:
            first = next(iter(modules)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            entry_points = f"[ghostbench]\n{name} = {first}\n"
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "200", **more}

    def bench(self, *words: str, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
        """`bench WORDS` as a process, in the folder itself."""
        from warm_process import run_bench

        return run_bench(words, cwd=self.folder, env=self.environment(**more), timeout=timeout)

    def python(self, *words: str, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
        """`python WORDS` as a process, in the folder itself."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture
def plugin_site(tmp_path: Path) -> PluginSite:
    """An empty folder to install plugins into."""
    folder = tmp_path / "site"
    folder.mkdir()
    return PluginSite(folder)


@pytest.fixture(scope="module")
def module_plugin_site(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], PluginSite]:
    """Makes such a folder for all tests of a module."""
    return lambda: PluginSite(tmp_path_factory.mktemp("site"))


class Listener:
    """A server on loopback that counts who connects to it and answers nobody."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Counts connections."""
    server = Listener()
    yield server
    server.close()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port of loopback that nobody listens on."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            return int(probe.getsockname()[1])

    return find


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
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()
