"""What a clip's id may look like. Ids come from files that others wrote and end up in paths and reports."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

VIDEO_SUFFIXES: Final = (
    *(".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"),
    *(".mts", ".m2ts", ".3gp", ".asf", ".vob", ".ogv"),
)
"""File suffixes, in lower case, that are taken for video files and left out of a clip's id."""

_DADA = re.compile(r"images_([1-9][0-9]{0,3})_([0-9]{1,9})")


def clip_id(text: str) -> str:
    """The clip id that a cell or line of a user's file names: without surrounding spaces and video suffix, composed.

    Raises `ValueError` saying what is wrong with it: blank, a path separator, a relative step, characters that do not
    print (control characters, direction marks), or more than 200 characters.
    """
    name = composed(text.strip())
    stem, dot, suffix = name.rpartition(".")
    if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES:
        name = stem
    if not name:
        raise ValueError("the video id is blank")
    if len(name) > 200:
        raise ValueError("the video id is longer than 200 characters")
    if not name.isprintable():
        raise ValueError("the video id holds characters that do not print")
    if "/" in name or "\\" in name or name in {".", ".."} or name != name.strip():
        raise ValueError(f"the video id '{name}' is not a plain name")
    return name


def composed(name: str) -> str:
    """The name in the one form of Unicode (NFC) in which names are held against each other: é is one character in most
    files, and two in lists and folders that were made on a Mac."""
    return unicodedata.normalize("NFC", name)


def dada_parts(name: str) -> tuple[int, str] | None:
    """(category, id) of an `images_{category}_{id}` clip id, the id as written ("004"); None for any other form."""
    match = _DADA.fullmatch(name)
    return (int(match[1]), match[2]) if match else None
