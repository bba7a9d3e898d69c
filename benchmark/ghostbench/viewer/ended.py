"""What the page shows of a run that has ended: the headline of each row and its report's tables, as JSON values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ghostbench.models import SEES_VIDEO
from ghostbench.report.escape import plain, without_places


def headline_rates(path: Path) -> list[dict[str, Any]]:
    """The headline of each row, of a run that has been scored."""
    from ghostbench.folder.metrics_file import read_metrics

    try:
        models = read_metrics(path)["models"]
        # Where moments are asked, a yes at any time of a clip is no warning.
        whole = not any(row.get("early_warning") is not None for row in models.values())
        return [
            {
                "name": plain(str(name)),
                "baseline": bool(row["baseline"]),
                "beside": bool(row["probe"] or row.get("variant")),
                "saw": SEES_VIDEO if row.get("sees_video") else "",
                "answered": int(row["answered"]),
                "of": int(row["rows"]),
                "f1_strict": _estimate(row["views"]["strict"]["answered"]["f1"]) if whole else None,
                "f1_lenient": _estimate(row["views"]["lenient"]["answered"]["f1"]) if whole else None,
                "warned": _estimate((row.get("early_warning") or {}).get("warned")),
                "balanced_accuracy": (
                    _estimate(row["views"]["lenient"]["answered"]["balanced_accuracy"]) if whole else None
                ),
            }
            for name, row in models.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return []


def _estimate(stated: Any) -> list[float | None] | None:
    if stated is None:
        return None
    found = [None if stated[key] is None else float(stated[key]) for key in ("value", "low", "high")]
    if not all(each is None or math.isfinite(each) for each in found):
        raise ValueError("no number")
    return found


def shown_tables(path: Path) -> list[dict[str, Any]]:
    """Every table of its report, as text."""
    from ghostbench.report.data import read_run
    from ghostbench.report.table import shown
    from ghostbench.report.tables import stated_tables

    return [
        {
            "name": table.name,
            "title": plain(table.title),
            "note": plain(table.note),
            "columns": [{"title": plain(column.title), "text": column.kind == "text"} for column in table.columns],
            "rows": [
                [
                    without_places(plain(shown(value, column.kind)))
                    for value, column in zip(row, table.columns, strict=True)
                ]
                for row in table.rows
            ],
        }
        for table in stated_tables(read_run(path))
    ]
