"""A task by its name, from its file, or as a run folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    return task


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
