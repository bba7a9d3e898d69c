"""Answers that the run's task cannot read and another one can: a recording scored by the wrong task."""

from __future__ import annotations

from ghostbench.errors import BadInput, Unparseable
from ghostbench.report.data import RunData
from ghostbench.tasks.base import Task
from ghostbench.tasks.load import load_task

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
        for task in _others(run.manifest.task.name):
            count = sum(_reads(task, text) for text in texts)
            if texts and count >= _MOST * len(texts):
                found.append(
                    f"{name}: the task {task.name} reads {count} of {len(texts)} of these answers; "
                    f"score them with --task {task.name}"
                )
                break
    return found


def _others(name: str) -> list[Task]:
    """The other registered tasks, as far as they can be loaded."""
    from ghostbench.plugins.registry import registry

    tasks = []
    for other in registry().tasks:
        try:
            if other != name:
                tasks.append(load_task(other))
        except BadInput:
            continue
    return tasks


def _reads(task: Task, text: str) -> bool:
    try:
        task.parse(text)
    except Unparseable:
        return False
    except Exception:  # noqa: BLE001 - a stranger's task may raise anything; then it does not read the text
        return False
    return True
