"""SHA256SUMS: a digest of every file of a run and its reports, in the form that `sha256sum --check` reads.

It finds accidents and careless edits. It proves nothing by itself: whoever edits a file can write its digest anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from ghostbench.digests import own_digest
from ghostbench.folder.names import METRICS, PAGE, PAGE_ROWS, PROMPTS, REPORT, SENSITIVITY, SENT, SUMS, TABLES
from ghostbench.folder.run_records import FILES
from ghostbench.writing import write_text

_TOP = (*FILES, SENT, METRICS, REPORT, PAGE, f"{SENSITIVITY}.md")
_WORDS = re.compile(r"[0-9a-f]{64}\.json")
_TABLE = re.compile(r"[a-z0-9_]+\.(?:csv|tex)")
_ROWS = re.compile(r"(?:index|[0-9]{6})\.js")
_BELOW = {PROMPTS: _WORDS, TABLES: _TABLE, PAGE_ROWS: _ROWS}
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over the files that a run folder has now."""
    lines = [f"{own_digest(folder / name)}  {name}\n" for name in listed_files(folder)]
    write_text(folder / SUMS, "".join(lines))


def listed_files(folder: Path) -> list[str]:
    """The files that SHA256SUMS speaks of, by path within the folder, as far as they are there."""
    below = [
        f"{place}/{path.name}"
        for place, form in _BELOW.items()
        for path in sorted((folder / place).glob("*"))
        if form.fullmatch(path.name)
    ]
    return [name for name in (*_TOP, *below) if (folder / name).is_file()]


def row_files(folder: Path) -> list[str]:
    """The files of a large run's rows that are there, by path within the run folder."""
    return [name for name in listed_files(folder) if name.startswith(f"{PAGE_ROWS}/")]


def read_sums(folder: Path) -> dict[str, str]:
    """The digests that SHA256SUMS states, by path within the folder.

    Raises `OSError` where it cannot be read and `ValueError`, naming the line, where it is not as `write_sums` writes
    it.
    """
    stated: dict[str, str] = {}
    text = (folder / SUMS).read_bytes().decode("ascii", "replace")
    if not text.endswith("\n"):
        raise ValueError("has lost its end")
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        found = _LINE.fullmatch(line)
        if found is None or found[2] in stated or not _is_listed(found[2]):
            raise ValueError(f"line {number} is no digest of a file of this run")
        stated[found[2]] = found[1]
    return stated


def _is_listed(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return name in _TOP or (folder in _BELOW and _BELOW[folder].fullmatch(file) is not None)
