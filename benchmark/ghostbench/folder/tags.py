"""What people write on a run: tags and a note, in a file that is only appended to and belongs to no digest.

A run's own files stay as they were, so that `bench verify` holds them whatever is written here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.folder.names import TAGS
from ghostbench.plugins.text import printable
from ghostbench.writing import check_plain, open_to_append

_TAG = re.compile(r"[^\W_][\w.+:=/-]{0,63}")
LONGEST_NOTE = 1000
"""Characters."""
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Tags:
    """tags : in the order in which they were put on. note : "" for none."""

    tags: tuple[str, ...] = ()
    note: str = ""


def read_tags(folder: Path) -> Tags:
    """What is written on a run; lines that are no such are passed over."""
    found: dict[str, None] = {}
    note = ""
    for line in _lines(folder / TAGS):
        for tag in _words(line.get("add")):
            found[tag] = None
        for tag in _words(line.get("remove")):
            found.pop(tag, None)
        if isinstance(line.get("note"), str):
            note = str(line["note"])[:LONGEST_NOTE]
    return Tags(tuple(found), note)


def write_tags(folder: Path, *, add: Sequence[str] = (), remove: Sequence[str] = (), note: str | None = None) -> Tags:
    """Put tags on a run and take others off, and replace its note; what is written on it then.

    note : None leaves it, "" takes it away.

    Raises `BadInput` for a tag that is no word, a note that is too long, and a folder that cannot be written.
    """
    check_tags((*add, *remove))
    if note is not None and len(note) > LONGEST_NOTE:
        raise BadInput(f"the note has {len(note)} characters, and {LONGEST_NOTE} is the most: shorten it")
    check_plain(folder)
    stated: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "add": [*add], "remove": [*remove]}
    if note is not None:
        stated["note"] = note
    try:
        with open_to_append(folder / TAGS) as file:
            # The line before may be torn.
            file.write(b"\n" + json.dumps(stated, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(f"{folder / TAGS} cannot be written: {error.strerror}; make the folder writable") from None
    return read_tags(folder)


def check_tags(tags: Sequence[str]) -> None:
    """Raise `BadInput` for a tag that is none."""
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise BadInput(f"'{printable(tag)}' is no tag: a word of at most 64 letters, digits and . + : = / - _")


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, str) and _TAG.fullmatch(each))


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except OSError:
        return
    for data in content.splitlines():
        try:
            line = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line
