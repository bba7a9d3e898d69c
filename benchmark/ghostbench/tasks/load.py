"""A registered task by its name."""

from __future__ import annotations

from ghostbench.errors import BadInput
from ghostbench.plugins.registry import find, load_target, printable, registry
from ghostbench.tasks.base import Task


def load_task(name: str) -> Task:
    """The task of that name. Raises `BadInput` for an unknown one, and for one whose plugin is broken."""
    spec = find("task", registry().tasks, name)
    try:
        task = load_target(spec.load)()
    except Exception as error:  # noqa: BLE001 - a stranger's import and constructor may raise anything
        reason = printable(f"{type(error).__name__}: {error}")
        raise BadInput(f"task '{name}' cannot be loaded: {reason}; repair or remove its plugin") from None
    if not isinstance(task, Task):
        raise BadInput(f"task '{name}' is no Task: {printable(spec.load)}; repair or remove its plugin")
    return task
