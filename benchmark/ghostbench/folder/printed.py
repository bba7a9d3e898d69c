"""What models and their libraries print during a run, in a file of its own: `printed.txt`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ghostbench.folder.names import PRINTED
from ghostbench.redact import Redactor

MOST_BYTES = 2**20
"""How much of it is kept, from its beginning."""


def open_printed(folder: Path) -> int:
    """A descriptor of the file, to print to its end. Raises `OSError`, for a link in its place too."""
    return os.open(folder / PRINTED, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)


def was_printed(folder: Path) -> Path | None:
    """The file, where something was printed; else None."""
    path = folder / PRINTED
    return path if path.is_file() and path.stat().st_size else None


def cut_printed(folder: Path) -> None:
    """Let go what exceeds `MOST_BYTES`."""
    with contextlib.suppress(OSError):
        if (folder / PRINTED).stat().st_size > MOST_BYTES:
            os.truncate(folder / PRINTED, MOST_BYTES)


def tidy_printed(folder: Path, redactor: Redactor) -> None:
    """Cut the file, take secrets out, and remove it where nothing was printed."""
    path = folder / PRINTED
    with contextlib.suppress(OSError):
        cut_printed(folder)
        printed = path.read_bytes().decode("utf-8", "replace")
        if not printed:
            path.unlink()
            return
        clean = redactor.message(printed)
        if clean != printed:
            path.write_bytes(clean.encode("utf-8", "replace")[:MOST_BYTES])
