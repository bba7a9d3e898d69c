"""Rows whose answers the run's task cannot read and another one can: a recording scored by the wrong task."""

from __future__ import annotations

from ghostbench.report.data import RunData
from ghostbench.tasks.other_reader import other_reader

_MOST = 0.8
"""The share of a row's answers that must be unreadable here, and of those that the other task must read."""
_TRIED = 60
"""The most answers of a row that are tried."""


def read_by_another(run: RunData) -> list[str]:
    """One line for each row of which another registered task reads nearly all of what this one cannot."""
    found = []
    for name, row in run.metrics["models"].items():
        unread = row["outcomes"].get("unparseable", 0)
        if not unread or unread < _MOST * (unread + row["answered"]):
            continue
        lines = run.attempts[(run.attempts["model"] == name) & (run.attempts["outcome"] == "unparseable")]
        texts = [raw for raw in run.answers(lines.iloc[:_TRIED]) if raw is not None and raw.strip()]
        if (reader := other_reader(run.manifest.task.name, texts, _MOST)) is not None:
            task, count = reader
            found.append(
                f"{name}: the task {task.name} reads {count} of {len(texts)} of these answers; "
                f"score them with --task {task.name}"
            )
    return found
