"""What differs between what a file states and what the ledger gives, each difference named."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

TOLERANCE = 1e-9
"""Relative difference up to which two floats are the same number on another machine."""
_UNROUNDED = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
MOST_LINES = 5
"""The most differing lines named in one file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold: the file, and what is wrong with it in one line."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def differences(stated: Any, again: Any, where: str = "") -> Iterator[str]:
    """Each place where two JSON values differ, as its path and both values."""
    if isinstance(stated, Mapping) and isinstance(again, Mapping):
        for key in [*again, *(key for key in stated if key not in again)]:
            path = f"{where}.{key}" if where else str(key)
            if key not in stated:
                yield f"{path} is missing"
            elif key not in again:
                yield f"{path} does not come from the ledger"
            else:
                yield from differences(stated[key], again[key], path)
    elif isinstance(stated, list) and isinstance(again, list) and len(stated) == len(again):
        for place, (one, other) in enumerate(zip(stated, again, strict=True)):
            yield from differences(one, other, f"{where}[{place}]")
    elif not same(stated, again):
        yield f"{where} is {_brief(stated)}, the ledger gives {_brief(again)}"


def different_lines(stated: str, again: str, *, table: bool = False) -> Iterator[str]:
    """The numbers of the lines in which two texts differ, or else how many lines either has.

    table : the texts are CSV, whose unrounded numbers may differ as those of metrics.json may.
    """
    left, right = stated.split("\n"), again.split("\n")
    wrong = [
        n for n, (a, b) in enumerate(zip(left, right, strict=False), 1) if a != b and not (table and _same_row(a, b))
    ]
    for number in wrong[:MOST_LINES]:
        yield f"line {number} is not what the ledger gives"
    if len(wrong) > MOST_LINES:
        yield f"{len(wrong) - MOST_LINES} more lines are not what the ledger gives"
    if not wrong and len(left) != len(right):
        yield f"has {len(left)} lines, the ledger gives {len(right)}"


def same(one: Any, other: Any) -> bool:
    """Whether two JSON scalars are the same: numbers within `TOLERANCE`, everything else exactly and by type."""
    numbers = (int, float)
    if (
        isinstance(one, bool)
        or isinstance(other, bool)
        or not (isinstance(one, numbers) and isinstance(other, numbers))
    ):
        return type(one) is type(other) and bool(one == other)
    try:
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except OverflowError:  # an integer that no float is near
        return one == other


def _same_row(one: str, other: str) -> bool:
    try:
        cells, others = (next(csv.reader([line]), []) for line in (one, other))
    except csv.Error:  # what no table of ours has, such as a cell of megabytes
        return False
    return len(cells) == len(others) and all(map(_same_cell, cells, others))


def _same_cell(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (_UNROUNDED.fullmatch(one) and _UNROUNDED.fullmatch(other)):
        return False
    return same(float(one), float(other))


def _brief(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True)
    except RecursionError:
        return "a value nested too deeply to be shown"
    return text if len(text) <= 60 else text[:59] + "…"
