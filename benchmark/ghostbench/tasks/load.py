"""A task by its name, from its file, or as a run folder keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ghostbench.errors import BadInput
from ghostbench.plugins.registry import find, load_target, printable, registry
from ghostbench.tasks.base import Task

FILE_ENDINGS = (".yaml", ".yml")


def load_task(name: str) -> Task:
    """The task of that name, or the one that a YAML file states.

    Raises `BadInput` for an unknown one, for one whose plugin is broken, and for a file that states none.
    """
    if name.lower().endswith(FILE_ENDINGS):
        return _from_file(Path(name))
    spec = find("task", registry().tasks, name)
    try:
        task = load_target(spec.load)()
    except Exception as error:  # noqa: BLE001 - a stranger's import and constructor may raise anything
        reason = printable(f"{type(error).__name__}: {error}")
        raise BadInput(f"task '{name}' cannot be loaded: {reason}; repair or remove its plugin") from None
    if not isinstance(task, Task):
        raise BadInput(f"task '{name}' is no Task: {printable(spec.load)}; repair or remove its plugin")
    if (fault := _fault_of(task)) is not None:
        raise BadInput(f"task '{name}': {printable(fault)}; repair or remove its plugin")
    return task


def _fault_of(task: Task) -> str | None:
    """What a task says of itself that it cannot be, in words: it stands in manifests and reports; None for nothing."""
    try:
        for kind, attributes in _SAID.items():
            for attribute in attributes:
                # One that builds its prompts by itself needs none of some.
                if hasattr(task, attribute) and not isinstance(said := getattr(task, attribute), kind):
                    return f"its {attribute} is {said!r}"
        if not isinstance(task.left_out, tuple) or not all(isinstance(table, str) for table in task.left_out):
            return f"its left_out is {task.left_out!r}, and no tuple of tables' names"
        rate = task.moments_per_s
        if rate is not None and (not isinstance(rate, int | float) or not 0 < rate < math.inf):
            return f"its moments_per_s is {rate!r}"
        if task.max_output_tokens < 1:
            return f"its max_output_tokens is {task.max_output_tokens}"
        task.template_sha256()
    except Exception as error:  # noqa: BLE001 - a stranger's properties may raise anything
        return f"it cannot say what it asks: {type(error).__name__}: {error}"
    return None


_SAID: Final = {
    str: ("name", "version", "claim", "sampling", "opening", "system", "question", "schema_name"),
    bool: ("at_moments",),
    Mapping: ("schema",),
    int: ("max_output_tokens",),
}


def task_of_run(name: str, words: Mapping[str, Any] | None) -> Task:
    """The task of a run: the registered one, or what the run folder keeps of one from a file.

    words : the task's template as the folder has it. Raises `BadInput` as `load_task` does.
    """
    if words is not None and name not in registry().tasks and "form" in words:
        from ghostbench.tasks.form import form_of
        from ghostbench.tasks.written_task import task_of_form

        return task_of_form(form_of(words["form"], f"the form of task '{printable(name)}' in the run folder"))
    return load_task(name)


def _from_file(path: Path) -> Task:
    from ghostbench.tasks.form import read_form
    from ghostbench.tasks.written_task import checked_task

    form = read_form(path)
    where = f"task file {path}"
    if form.name in registry().tasks:
        raise BadInput(f"{where}: name: there is a task '{form.name}' already; give this one another name")
    return checked_task(form, where)
