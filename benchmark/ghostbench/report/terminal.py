"""The run's tables in a terminal."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain
from ghostbench.report.table import Column, Table, interval, shown
from ghostbench.report.tables import stated_tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

_GAP = 1
_WIDEST_TEXT = 36


def chosen_tables(run: RunData, name: str | None = None) -> list[Table]:
    """Every table of a run, or the one of that name. Raises `BadInput`, with near names, where there is none."""
    tables = stated_tables(run)
    if name is None:
        return tables
    found = [table for table in tables if table.name == name]
    if not found:
        names = [table.name for table in tables]
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"its tables: {', '.join(names)}"
        raise BadInput(f"this run has no table '{printable(name)}'; {hint}")
    return found


def print_table(table: Table, console: Console) -> None:
    """Print one table with its title and note; intervals stand under their values.

    A table wider than the terminal is cut into several, each with its leading words.
    """
    from rich.text import Text

    console.print(Text(plain(table.title), style="bold"))
    for part in _fitting(table, console.width):
        console.print(_drawn(table, part, console.width))
    if table.note:
        console.print(Text(plain(table.note), style="dim"))
    console.print()


def _drawn(table: Table, places: list[int], width: int) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP, 0, 0))
    columns = [table.columns[place] for place in places]
    whole = 2 + sum(max(_width(table, place), len(table.columns[place].title) + _GAP + 1) for place in places)
    for place, column in zip(places, columns, strict=True):
        drawn.add_column(
            Text(column.title),
            justify="left" if column.kind == "text" else "right",
            overflow="fold",
            vertical="top",
            width=_width(table, place) - _GAP - 1 if whole > width and column.kind != "text" else None,
        )
    for row in table.rows:
        drawn.add_row(*(_cell(row[place], column) for place, column in zip(places, columns, strict=True)))
    return drawn


def _fitting(table: Table, width: int) -> list[list[int]]:
    """The columns of each part that fits the width; the leading text columns come again in each."""
    lead = [place for place, column in enumerate(table.columns) if column.kind == "text"]
    lead = [place for index, place in enumerate(lead) if place == index]
    widths = [_width(table, place) for place in range(len(table.columns))]
    room = width - 2 - sum(widths[place] for place in lead)
    parts: list[list[int]] = [[]]
    used = 0
    for place in range(len(lead), len(table.columns)):
        if parts[-1] and used + widths[place] > room:
            parts.append([])
            used = 0
        parts[-1].append(place)
        used += widths[place]
    return [lead + part for part in parts]


def _width(table: Table, place: int) -> int:
    column = table.columns[place]
    words = [len(word) for word in column.title.split()]
    cells = [max((len(line) for line in _cell(row[place], column).plain.split("\n")), default=0) for row in table.rows]
    wanted = max(words + cells, default=0)
    return (min(wanted, _WIDEST_TEXT) if column.kind == "text" else wanted) + _GAP + 1


def _cell(value: object, column: Column) -> Text:
    from rich.text import Text

    if isinstance(value, dict):
        whole = shown(value, column.kind)
        bounds = interval(value)
        return Text.assemble(whole.removesuffix(bounds).rstrip(), ("\n" + bounds if bounds else "", "dim"))
    text = plain(shown(value, column.kind))  # type: ignore[arg-type]
    if column.key == "beats" and text.startswith("does not beat"):
        return Text(text, style="bold red")
    if column.key == "marks":
        return Text(text, style="yellow")
    return Text(text)
