"""The run's tables as Markdown, CSV and LaTeX text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from ghostbench.folder.names import TABLES
from ghostbench.report.escape import LATEX_UNICODE, csv_cell, latex, markdown
from ghostbench.report.table import Table, Value, shown


def table_files(tables: Iterable[Table]) -> dict[str, str]:
    """The text of every table's own files, by path within the folder of a run or a comparison."""
    files: dict[str, str] = {}
    for table in tables:
        files[f"{TABLES}/{table.name}.csv"] = csv_table(table)
        files[f"{TABLES}/{table.name}.tex"] = latex_table(table)
    return files


def markdown_table(table: Table) -> str:
    """A GitHub-flavoured Markdown table under its title, with its note."""
    head = "| " + " | ".join(markdown(column.title) for column in table.columns) + " |"
    rule = "|" + "|".join(" --- " if column.kind == "text" else " ---: " for column in table.columns) + "|"
    lines = [
        "| "
        + " | ".join(
            markdown(str(value)) if column.kind == "text" and value is not None else _number(shown(value, column.kind))
            for value, column in zip(row, table.columns, strict=True)
        )
        + " |"
        for row in table.rows
    ]
    note = [markdown(table.note), ""] if table.note else []
    return "\n".join([f"## {markdown(table.title)}", "", *note, head, rule, *lines, ""])


def csv_table(table: Table) -> str:
    """CSV with unrounded numbers; an estimate fills three columns (`x`, `x_low`, `x_high`); n/a is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    header: list[str] = []
    for column in table.columns:
        header += [column.key, *((f"{column.key}_low", f"{column.key}_high") if column.kind == "rate" else ())]
    writer.writerow(header)
    for row in table.rows:
        cells: list[str] = []
        for value, column in zip(row, table.columns, strict=True):
            cells += _csv_cells(value, rate=column.kind == "rate")
        writer.writerow(cells)
    return file.getvalue()


def latex_table(table: Table) -> str:
    r"""A `tabular` between booktabs rules. The document needs `\usepackage{booktabs,textcomp}` and T1 fonts."""
    spec = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    head = " & ".join(latex(column.title) for column in table.columns)
    body = [
        " & ".join(latex(shown(value, column.kind)) for value, column in zip(row, table.columns, strict=True)) + r" \\"
        for row in table.rows
    ]
    needs_unicode = any(r"\unicodechar{" in line for line in (head, *body))
    return "\n".join(
        [
            f"% {latex(table.title)}. {latex(table.note)}".rstrip(),
            r"% Needs \usepackage{booktabs}, \usepackage{textcomp} and \usepackage[T1]{fontenc}.",
            *([LATEX_UNICODE] if needs_unicode else []),
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _number(text: str) -> str:
    """Our own numbers: the brackets of an interval must not begin a link."""
    return text.replace("[", "\\[").replace("]", "\\]")


def _csv_cells(value: Value, *, rate: bool) -> Iterable[str]:
    if isinstance(value, bool):
        yield "yes" if value else "no"
    elif isinstance(value, str):
        yield csv_cell(value)
    elif value is None or isinstance(value, (int, float)):
        yield "" if value is None else repr(value)
    else:
        yield from ("" if value[key] is None else repr(value[key]) for key in ("value", "low", "high"))
        return
    if rate:
        yield from ("", "")
