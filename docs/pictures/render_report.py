"""Draws the picture of a report: the head of a first run's report.html, by headless Chromium. Run it from the root."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURE = Path(__file__).parent / "report.png"
SIZE = (1120, 1000)
COLOURS = 64


def screenshot(page: Path, picture: Path) -> None:
    """The top of a page, as a person sees it. Raises `CalledProcessError`, or FileNotFoundError without Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise FileNotFoundError("no Chromium here")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={profile}", f"--screenshot={picture}", f"--window-size={SIZE[0]},{SIZE[1]}"),
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "ghostbench", "run", "--run-id", "first", "--quiet"]
        subprocess.run(words, cwd=folder, check=True)
        taken = Path(folder) / "report.png"
        screenshot(Path(folder) / "results" / "first" / "report.html", taken)
        Image.open(taken).convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)
