"""Any table as LaTeX floats that are no wider than a column: in panels one below the other where it must be.

The first columns, which say what a line is about, stand in every panel. An estimate's interval stands beside it where
that fits, else below it. Long text is broken. Nothing is left out and nothing is shrunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ghostbench.report.escape import LATEX_UNICODE, latex, without_places
from ghostbench.report.paper.widths import broken, width_pt
from ghostbench.report.table import Column, Table, Value, interval, shown

COLUMN_PT, TEXT_PT = 240.0, 345.0
"""A column of a paper in two columns, and the text of one in a single column, pt."""
_GAP_PT = 6.0
"""Between two columns: twice `\\tabcolsep`."""
_LONGEST = 46
"""Lines of table in one float."""
_MOST_KEYS = 2
_KEY_SHARE, _TEXT_SHARE = 0.3, 0.45
"""The most of the width that a column that names the line takes, and one with other text beside further columns."""


@dataclass(frozen=True, slots=True)
class SetColumn:
    """A column as it is set: its title, and each of its cells, in lines. right : whether numbers are in it."""

    title: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    right: bool

    @property
    def width(self) -> float:
        """Pt."""
        return max(width_pt(line) for cell in (self.title, *self.cells) for line in cell)


def paper_table(table: Table, width: float) -> str:
    r"""The table as `table` floats, pt wide at most, in `\footnotesize`. Needs `booktabs`, `textcomp` and T1 fonts."""
    panels = panels_of(table, width)
    floats = list(_floats(table, panels))
    text = "\n".join(floats)
    unicode = f"{LATEX_UNICODE}\n" if r"\unicodechar{" in text else ""
    head = f"% {latex(table.title)}: at most {width:g} pt wide in a document at 10 pt.\n"
    needs = r"% Needs \usepackage{booktabs}, \usepackage{textcomp} and \usepackage[T1]{fontenc}."
    return f"{head}{needs}\n{unicode}{text}"


def panels_of(table: Table, width: float) -> list[list[SetColumn]]:
    """The columns as they are set, by panel; the fewest panels, with intervals beside their estimates if possible."""
    keys = _keys(table.columns)
    found = [_packed(table, keys, width, beside=beside) for beside in (True, False)]
    return min(found, key=len)


def _keys(columns: Sequence[Column]) -> int:
    """How many columns say what a line is about: the texts that it begins with."""
    texts = next((place for place, column in enumerate(columns) if column.kind != "text"), len(columns))
    return max(1, min(texts, _MOST_KEYS, len(columns) - 1)) if len(columns) > 1 else 1


def _packed(table: Table, keys: int, width: float, *, beside: bool) -> list[list[SetColumn]]:
    said = [[row[place] for row in table.rows] for place in range(len(table.columns))]
    head = [_set(table.columns[at], said[at], _KEY_SHARE * width, beside=beside) for at in range(keys)]
    taken = sum(each.width + _GAP_PT for each in head)
    panels: list[list[SetColumn]] = []
    room = 0.0
    for at in range(keys, len(table.columns)):
        column = table.columns[at]
        wide = max((width_pt(_said(value, column)) for value in said[at]), default=0.0)
        alone = column.kind == "text" and wide > _TEXT_SHARE * width
        limit = width - taken if alone or column.kind != "text" else min(_TEXT_SHARE * width, width - taken)
        one = _set(column, said[at], limit, beside=beside)
        if not panels or alone or one.width > room:
            panels.append(list(head))
            room = width - taken
        panels[-1].append(one)
        room -= one.width + _GAP_PT
    return panels or [head]


def _set(column: Column, values: Sequence[Value], limit: float, *, beside: bool) -> SetColumn:
    cells = tuple(tuple(_lines(value, column, limit, beside=beside)) for value in values)
    body = max((width_pt(line) for cell in cells for line in cell), default=0.0)
    words = max((width_pt(word) for word in column.title.split()), default=0.0)
    title = tuple(broken(column.title, min(limit, max(body, words, 24.0))))
    return SetColumn(title, cells, column.kind != "text")


def _lines(value: Value, column: Column, limit: float, *, beside: bool) -> list[str]:
    if isinstance(value, Mapping) and not beside:
        bounds = interval(value)
        return [shown({**value, "low": None, "high": None}, column.kind), *([bounds] if bounds else [])]
    return broken(_said(value, column), limit)


def _said(value: Value, column: Column) -> str:
    """The value in words, without places of the machine where the run was made."""
    return without_places(shown(value, column.kind))


def _floats(table: Table, panels: Sequence[Sequence[SetColumn]]) -> Iterator[str]:
    """Every panel, as many lines of it as a page has, under the table's title; what it says stands under the first."""
    parts: list[str] = []
    filled = 0
    number = 0

    def closed() -> str:
        first = number == 1
        words = f"{table.title}. {table.note}".strip() if first else f"{table.title}, continued."
        label = f"\\label{{tab:{table.name}}}" if first else ""
        body = "\n\n\\medskip\n".join(parts)
        return (
            f"\\begin{{table}}[tp]\n\\centering\\footnotesize\\setlength{{\\tabcolsep}}{{{_GAP_PT / 2:g}pt}}\n"
            f"\\caption{{{latex(words)}}}{label}\n{body}\n\\end{{table}}\n"
        )

    for panel in panels:
        for first, end, lines in _pieces(panel):
            if parts and filled + lines > _LONGEST:
                number += 1
                yield closed()
                parts, filled = [], 0
            parts.append(_tabular(panel, first, end))
            filled += lines
    number += 1
    yield closed()


def _pieces(panel: Sequence[SetColumn]) -> Iterator[tuple[int, int, int]]:
    """The panel's rows in pieces of at most a page: the first, the one after the last, and lines, title included."""
    title = max(len(column.title) for column in panel) + 1
    heights = [max(len(column.cells[row]) for column in panel) for row in range(len(panel[0].cells))]
    first, lines = 0, title
    for row, height in enumerate(heights):
        if row > first and lines + height > _LONGEST:
            yield first, row, lines
            first, lines = row, title
        lines += height
    yield first, len(heights), lines


def _tabular(panel: Sequence[SetColumn], first: int, end: int) -> str:
    spec = "@{}" + "".join("r" if column.right else "l" for column in panel) + "@{}"
    rows = [
        line
        for row in range(first, end)
        for line in (
            *([r"\addlinespace[2pt]"] if row > first and _tall(panel, first, end) else []),
            *_row([column.cells[row] for column in panel], bottom=False),
        )
    ]
    title = _row([column.title for column in panel], bottom=True)
    inner = [r"\toprule", *title, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{spec}}}", *inner, r"\end{tabular}"])


def _tall(panel: Sequence[SetColumn], first: int, end: int) -> bool:
    return any(len(column.cells[row]) > 1 for row in range(first, end) for column in panel)


def _row(cells: Sequence[Sequence[str]], *, bottom: bool) -> list[str]:
    """One row in as many lines as its tallest cell has; shorter cells stand at its top, or `bottom`."""
    height = max(len(cell) for cell in cells)
    filled = [([""] * (height - len(c)) + list(c)) if bottom else (list(c) + [""] * (height - len(c))) for c in cells]
    lines = [" & ".join(latex(cell[line]) for cell in filled) + r" \\" for line in range(height)]
    return [*(f"{line}*" for line in lines[:-1]), lines[-1]]
