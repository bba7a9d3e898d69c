"""Draws the picture of the README: what `bench run` prints. Run it from the repository's root."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "bench-run.svg"
WIDTH = 80
_WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def first_run() -> str:
    """What `bench run` prints, colours included."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "ghostbench", "run", "--run-id", "first"],
            cwd=folder,
            env={**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.rstrip()


def draw(printed: str) -> str:
    """A terminal with that output, as SVG that fetches nothing."""
    console = Console(width=WIDTH, record=True, force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text("$ bench run --run-id first", style="bold"))
    console.print(Text.from_ansi(printed))
    return _WEB_FONTS.sub("", console.export_svg(title="bench run", unique_id="bench-run"))


if __name__ == "__main__":
    PICTURE.write_text(draw(first_run()), encoding="utf-8")
