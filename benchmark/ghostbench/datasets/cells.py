"""The cells of a table about clips: where its columns stand, and what the cells of a label's columns say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ghostbench.datasets.spreadsheet import meant
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS, ColumnKind, Label, contradiction

LONGEST_WORDS = 200
"""Characters that a cell of words may have."""
_SECONDS = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,20})?) ?s?")
_YES, _NO = frozenset({"yes", "y", "true", "1", "?"}), frozenset({"no", "n", "false", "0"})


def column_places(header: Sequence[str], needed: Sequence[str], optional: Sequence[str], source: str) -> dict[str, int]:
    """Where each of these columns stands, as far as the header has it.

    Raises `BadInput` for a needed one that is not there, one that is there twice, and a name that is nearly one's, such
    as `contact` for `contact_s`: its cells would be left out without a word.
    """
    names = [meant(name) for name in header]
    for name in (*needed, *optional):
        if names.count(name) > 1:
            raise BadInput(f"{source}, line 1: the column {name} is twice; the first line must name the columns")
    alike = {_plain(name): name for name in (*needed, *optional)}
    for name in names:
        column = alike.get(_plain(name))
        if column is not None and name != column and not (column in needed and column in names):
            raise BadInput(f"{source}, line 1: the column {shown(name)} is not read; call it {column} if it is that")
    for name in needed:
        if name not in names:
            there = shown(", ".join(filter(None, names)))
            raise BadInput(
                f"{source}, line 1: the column {name} is not there, only {there}; the first line must name the columns"
            )
    return {name: names.index(name) for name in (*needed, *optional) if name in names}


def label_of(cells: Mapping[str, str]) -> Label:
    """What a row's cells, by their columns' names, say of a label. Raises `ValueError` naming the column."""
    said: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        text = cells.get(name, "").strip()
        if text:
            try:
                said[name] = _READ[kind](text)
            except ValueError as error:
                raise ValueError(f"{name} {shown(text)} is not {error}") from None
    label = Label(**said)
    wrong = contradiction(label)
    if wrong is not None:
        raise ValueError(wrong)
    return label


def with_point(number: str) -> str:
    """A decimal comma of up to two digits, as many countries write it, as a point."""
    return re.sub(r"^([0-9]{1,6}),([0-9]{1,2})$", r"\1.\2", number)


def shown(text: str) -> str:
    """A cell's text for one line of a message."""
    quoted = ascii(text) if not text.isprintable() else f"'{text}'"
    return quoted if len(quoted) <= 80 else quoted[:79] + "…"


def _seconds(text: str) -> float:
    match = _SECONDS.fullmatch(with_point(meant(text)))
    if match is None:
        raise ValueError("seconds from the clip's start, such as 2.5")
    return float(match[1])


def words(text: str) -> str:
    """A cell of words, white space made plain. Raises `ValueError` saying what it should be."""
    found = " ".join(text.split())
    if not found.isprintable() or len(found) > LONGEST_WORDS:
        raise ValueError(f"printable text of at most {LONGEST_WORDS} characters")
    return found


def _yes_no(text: str) -> bool:
    word = meant(text).casefold()
    if word not in _YES | _NO:
        raise ValueError("yes or no")
    return word in _YES


_READ: Mapping[ColumnKind, Callable[[str], Any]] = {"seconds": _seconds, "words": words, "yes_no": _yes_no}


def _plain(name: str) -> str:
    return re.sub(r"_?(s|sec|seconds)?$", "", re.sub(r"[^a-z]+", "_", name.casefold()).strip("_"))
