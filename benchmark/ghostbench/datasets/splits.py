"""Reads id lists: the named splits of a dataset, and `--clips @FILE`."""

from __future__ import annotations

import re

from ghostbench.datasets import storage
from ghostbench.datasets.clip_ids import clip_id
from ghostbench.errors import BadInput

_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_ids(location: storage.Location, option: str) -> dict[str, str | None]:
    """The clip ids of a list, in its order, each with the SHA-256 that its media must have (None if not stated).

    One id a line, with or without a video suffix, optionally followed by white space and 64 hex digits. Empty lines
    and lines that begin with "#" do not count. Raises `BadInput`, naming `option`, file and line, for a line of another
    form, an id twice, or a list without ids.
    """
    shown = f"{option} {location}"
    try:
        text = storage.read_whole(location, option).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{shown}: not UTF-8 text; give one clip id a line") from None
    ids: dict[str, str | None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        head, _, tail = stripped.rpartition(" ") if " " in stripped else stripped.rpartition("\t")
        digest = tail if head and _DIGEST.fullmatch(tail) else None
        try:
            name = clip_id(head if digest else stripped)
        except ValueError as error:
            raise BadInput(f"{shown}, line {number}: {error}; give one clip id a line") from None
        if name in ids:
            raise BadInput(f"{shown}, line {number}: '{name}' is there twice; keep one of them")
        ids[name] = digest
    if not ids:
        raise BadInput(f"{shown}: holds no clip ids; give one clip id a line")
    return ids
