"""Columns that many tables have, and a table's line from values by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ghostbench.report.table import Column, Value
from ghostbench.report.titles import RATE_TITLES
from ghostbench.scoring.metrics import TableRow

Rows = Mapping[str, TableRow]
"""The metrics of each row of a run's tables, by its name."""

MODEL = Column("model", "Model")
COUNTS = tuple(Column(cell, cell.upper(), "count") for cell in ("tp", "fp", "fn", "tn"))


def rate_columns(*rates: str) -> tuple[Column, ...]:
    """A column for each of these rates, under the title that it has everywhere."""
    return tuple(Column(rate, RATE_TITLES[rate], "rate") for rate in rates)


def line(columns: Iterable[Column], values: Mapping[str, Any]) -> tuple[Value, ...]:
    """The values of one line in the order of the columns. Raises `KeyError` for a column that has none."""
    return tuple(values[column.key] for column in columns)
