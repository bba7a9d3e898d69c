"""Draws the pictures of docs/view.md and docs/label.md, by headless Chromium under Selenium. Run it from the root.

A run over ghost5 with a model that looks for motion, answers that were made up for it, and the trivial baselines; and
the same clips in front of an annotator.
"""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver

from ghostbench.datasets.granted import NOTHING
from ghostbench.datasets.query import SplitQuery
from ghostbench.viewer.guard import Access
from ghostbench.viewer.labels import application as labelling
from ghostbench.viewer.labels import labelling_of
from ghostbench.viewer.server import application as viewing
from ghostbench.viewer.server import server_of

HERE = Path(__file__).parent
MADE_UP = (
    ("ghost5_01", "ghost_probing", 2.6, "a car comes into the lane"),
    ("ghost5_02", "ghost_probing", 2.4, "somebody comes out from behind a parked car"),
    ("ghost5_03", "potential_ghost_probing", None, "somebody may stand behind the van"),
    ("ghost5_04", "normal", None, "the road is free"),
)
SHOTS = {
    # name: (page, its place, width, height, dark)
    "view-runs": ("view", "#/", 1400, 420, False),
    "view-clip": ("view", "#/run/evening/clips?clip=ghost5_02&show=all", 1400, 1250, True),
    "view-phone": ("view", "#/run/evening/clips?clip=ghost5_02&show=all", 400, 1300, False),
    "view-wide": ("view", "#/run/evening/clips?clip=ghost5_02&show=all", 2560, 1300, False),
    "label": ("label", "#1", 1400, 760, False),
}
KEPT = ("view-runs", "view-clip", "view-phone", "label")
"""What the documentation shows; the others are for looking at."""
QUALITY = 80


def bench(folder: Path, *words: str) -> None:
    """`bench WORDS` in the folder, without what it prints."""
    subprocess.run([sys.executable, "-m", "ghostbench", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def runs(folder: Path) -> Path:
    """A folder of runs to look at."""
    lines = []
    for clip, grade, at, why in MADE_UP:
        said = {"grade": grade, "event_time_s": at, "actor": None, "occluder": None, "evidence": why}
        lines.append({"clip": clip, "raw": json.dumps(said)})
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    models = "motion,replay:answers.jsonl=made-up,always,never"
    bench(folder, "run", "--models", models, "--run-id", "evening", "--tag", "example", "--quiet")
    bench(folder, "run", "--models", "motion,always", "--run-id", "morning", "--repeats", "2", "--quiet")
    bench(folder, "tag", "results/evening", "--note", "made-up answers beside motion", "--quiet")
    return folder / "results"


@contextmanager
def served(make: Callable[[Access], Any]) -> Iterator[Access]:
    """A server on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        access = Access.new("127.0.0.1", listening.getsockname()[1])
        server = server_of(make(access))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield access
        server.should_exit = True
        thread.join(10)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser that nobody sees."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def taken(driver: Any, access: Access, shot: tuple[str, str, int, int, bool]) -> Image.Image:
    """One of `SHOTS`, once its frame is there."""
    page, place, width, height, dark = shot
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    driver.get("about:blank")
    driver.get(access.link + place)
    end = time.monotonic() + 60
    ready = "const i = document.getElementById('frame'); return !i || (i.complete && i.naturalWidth > 0)"
    time.sleep(1)
    while not driver.execute_script(ready) and time.monotonic() < end:
        time.sleep(0.1)
    if page == "label":
        for key in (*["ArrowRight"] * 40, "2", "v", *["ArrowRight"] * 12, "e"):
            driver.execute_script(
                "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key
            )
            time.sleep(0.05)
    elif "clip=" in place:
        for _ in range(4):
            driver.execute_script(
                "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '.', bubbles: true}))"
            )
    time.sleep(2)
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    with tempfile.TemporaryDirectory() as place, chromium() as driver:
        folder = Path(place)
        results = runs(folder)
        desk = labelling_of([SplitQuery(dataset="ghost5")], "anna", folder / "anna.jsonl")
        with (
            served(lambda access: viewing(results, NOTHING, access)) as view,
            served(lambda access: labelling(desk, access)) as label,
        ):
            for name, shot in SHOTS.items():
                if out != HERE or name in KEPT:
                    taken(driver, {"view": view, "label": label}[shot[0]], shot).save(
                        out / f"{name}.webp", quality=QUALITY, method=6
                    )
