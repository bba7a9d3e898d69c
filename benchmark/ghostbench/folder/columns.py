"""JSON-lines files read into columns that stay small: numbers as doubles, words that come again held once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ghostbench.errors import BadInput
from ghostbench.folder.reading import read_placed

T = TypeVar("T")

LONGEST = 1000
"""Words of a line that stay in memory; `ledger_text.LedgerTexts` has the whole."""


def read_columns(
    path: Path,
    kind: type[T],
    spread: Callable[[T, int], Mapping[str, Any]],
    names: tuple[str, ...],
    *,
    numbers: Collection[str] = (),
    unlike: Collection[str] = (),
) -> dict[str, Any]:
    """A JSON-lines file as columns, one sequence a name.

    spread : a line's fields, from the line and its first byte. numbers : columns of doubles, NaN where there is none.
    unlike : columns of words that hardly come twice, of which no index is kept.

    Raises `BadInput` for a file that cannot be read, and for a line that does not fit, which it names.
    """
    shared = _Shared()
    columns: dict[str, Any] = {name: array("d") if name in numbers else [] for name in names}
    fills = [
        (name, columns[name].append, _double if name in numbers else _as_it_is if name in unlike else shared.of)
        for name in names
    ]
    if not path.exists():
        raise BadInput(f"{path} is missing: the run folder is not whole")
    for placed in read_placed(path, kind):
        fields = spread(placed.line, placed.start)
        for name, append, held in fills:
            append(held(fields.get(name)))
    return columns


def shortened(text: str | None) -> str | None:
    """Text as it stays in memory: at most `LONGEST` characters, and then a mark."""
    return text if text is None or len(text) <= LONGEST else text[:LONGEST] + "…"


class _Shared:
    """Equal words, and equal lists of words, held once."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self._lists: dict[tuple[str, ...], tuple[str, ...]] = {}

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._words.setdefault(value, str(value))
        if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
            return self._lists.setdefault(value, value)
        return value


def _double(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _as_it_is(value: Any) -> Any:
    return value
