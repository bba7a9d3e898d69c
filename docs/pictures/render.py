"""Draws the picture of the README: the first table that `bench run` prints. Run it from the repository's root."""

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
WIDTH = 118
NEXT_TABLE = "Rates, strict view, answered clips"
_WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def first_table() -> str:
    """What `bench run` prints up to its second table, colours included."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "ghostbench", "run", "--out", folder],
            env={**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        )
    printed = done.stdout
    return printed[: printed.index(NEXT_TABLE)].rsplit("\n", 1)[0].rstrip()


def draw(printed: str) -> str:
    """A terminal with that output, as SVG that fetches nothing."""
    console = Console(width=WIDTH, record=True, force_terminal=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text("$ bench run", style="bold"))
    console.print(Text.from_ansi(printed))
    return _WEB_FONTS.sub("", console.export_svg(title="bench run: the first of its tables", unique_id="bench-run"))


if __name__ == "__main__":
    PICTURE.write_text(draw(first_table()), encoding="utf-8")
