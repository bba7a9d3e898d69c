"""Numbers that only a run's task can give."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from ghostbench.errors import BadInput
from ghostbench.tasks.base import Task
from ghostbench.tasks.load import load_task


def task_numbers(name: str, rows: pd.DataFrame, clips: pd.DataFrame) -> dict[str, Any]:
    """What the task measures of one row, as JSON has it; {} where it measures nothing, or is not installed.

    rows, clips : as `Task.measure` gets them; the task gets them as its own.

    Raises `BadInput` for what is no JSON, and where the task fails: numbers that are missing by mistake must not look
    like numbers that there are not.
    """
    try:
        task = load_task(name)
    except BadInput:
        return {}
    if type(task).measure is Task.measure:
        return {}
    own = clips.assign(parameters=clips["parameters"].map(dict))
    try:
        measured: dict[str, Any] = json.loads(json.dumps(dict(task.measure(rows.copy(), own)), allow_nan=False))
    except Exception as error:  # noqa: BLE001 - a stranger's task may raise anything
        raise BadInput(f"task '{name}' cannot measure this run ({type(error).__name__}: {error}); repair it") from None
    return measured
