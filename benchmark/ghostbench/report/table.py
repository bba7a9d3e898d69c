"""A table as data, and each kind of value as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "count", "share", "rate", "seconds", "bytes", "usd", "number", "p"]
"""text: words. count: an integer. share: in [0, 1], shown as a percentage. rate: an estimate with its interval.
p: a p-value. Every kind but text may be None, shown as n/a."""

NOT_AVAILABLE = "n/a"
Value = str | int | float | bool | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Column:
    """key : the name in CSV files, letters and underscores. title : what people read."""

    key: str
    title: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """name : file stem. note : what a reader must know to read it right, plain text. rows : one value a column."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""


def as_mapping(table: Table) -> dict[str, Any]:
    """The table as JSON can hold it: `name`, `title`, `note`, and `rows`, one object each under the columns' keys."""
    keys = [column.key for column in table.columns]
    rows = [dict(zip(keys, row, strict=True)) for row in table.rows]
    return {"name": table.name, "title": table.title, "note": table.note, "rows": rows}


def shown(value: Value, kind: Kind) -> str:
    """The value as people read it, plain text; n/a for None."""
    if value is None:
        return NOT_AVAILABLE
    if isinstance(value, Mapping):
        return f"{_decimal(value['value'])} {interval(value)}".rstrip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return _number(float(value), kind)


def interval(estimate: Mapping[str, Any]) -> str:
    """The interval of an estimate as [low, high]; "" where it has none."""
    if estimate["low"] is None or estimate["high"] is None:
        return ""
    return f"[{_decimal(estimate['low'])}, {_decimal(estimate['high'])}]"


def _number(value: float, kind: Kind) -> str:
    if kind == "bytes":
        return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
    if kind == "usd":
        return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.4f}"
    if kind == "p":
        return "<.001" if value < 0.001 else _decimal(value)
    if kind == "number":
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    simple = {"share": f"{100 * value:.1f}%", "rate": _decimal(value), "seconds": seconds(value)}
    return simple.get(kind, f"{value:,.0f}")


def seconds(value: float) -> str:
    """A duration with the unit that suits it."""
    if value >= 100:
        return f"{value:,.0f} s"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{1000 * value:.0f} ms" if value >= 0.01 else f"{1000 * value:.2f} ms"


def _decimal(value: float) -> str:
    """Three decimals without the leading zero, as statistics are set: .712, 1.000, -.034."""
    text = f"{value:.3f}"
    if text == "-0.000":
        text = "0.000"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
