"""`bench view` as a real server on a port of its own, over runs of every state, and a headless browser."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence_builder"))
sys.path.insert(0, str(Path(__file__).parent / "runs_to_view"))

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from viewing import Viewer, growing_run, hostile_run, serving, two_models, warned_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are finished, growing, broken and hostile."""
    from ghostbench.folder.tags import write_tags
    from ghostbench.scoring.score import score_run

    place = tmp_path_factory.mktemp("results")
    score_run(two_models(place / "first"))
    score_run(two_models(place / "second", "GGGNPN"))
    growing_run(place / "growing")
    write_tags(warned_run(place / "warned"), add=["early"], note="by moments")
    hostile_run(place / "hostile")
    (place / "broken").mkdir()
    (place / "broken" / "manifest.json").write_text("{")
    return place


@pytest.fixture(scope="module")
def viewer(results: Path) -> Iterator[Viewer]:
    with serving(results) as server:
        yield server


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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()
