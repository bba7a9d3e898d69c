"""The hooks that a plugin implements: each gets a `register` function and calls it once per thing it brings.

A plugin is a module or object named by an entry point of the group `ghostbench`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from ghostbench.models import ModelSpec

hookspec = pluggy.HookspecMarker("ghostbench")
hookimpl = pluggy.HookimplMarker("ghostbench")
"""Marks a plugin's function as one of the hooks below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A task. `load` is "package.module:Class", a subclass of `ghostbench.Task`."""

    name: str
    load: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A dataset. `load` is "package.module:attribute": the path of a dataset YAML file (str or Path), or a function
    without arguments that returns one. `citation` is the BibTeX entry that `bench report --paper` cites for it.
    `free_media` says that it comes with its media, which anybody may pass on: reports then hold frames of it."""

    name: str
    load: str
    summary: str
    citation: str | None = None
    free_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSectionSpec:
    """A section of the report. `load` is "package.module:function", called with the run's data as `bench report` reads
    it (`ghostbench.RunData`) and returning Markdown; HTML in it is shown as text and not obeyed."""

    name: str
    load: str
    title: str


@hookspec
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Call `register(ModelSpec(...))` for each model. Must import nothing heavy."""


@hookspec
def register_tasks(register: Callable[[TaskSpec], None]) -> None:
    """Call `register(TaskSpec(...))` for each task. Must import nothing heavy."""


@hookspec
def register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Call `register(DatasetSpec(...))` for each dataset. Must import nothing heavy."""


@hookspec
def register_report_sections(register: Callable[[ReportSectionSpec], None]) -> None:
    """Call `register(ReportSectionSpec(...))` for each section. Must import nothing heavy."""


@hookspec
def run_finished(folder: Path) -> None:
    """Called once a run has ended, was gone on with to its end, or was merged: scored, its pages written and printed.

    folder : the run's folder, absolute; `ghostbench.read_run` reads it. It is for reading: what a hook writes belongs
    elsewhere. What it raises is a warning and changes neither the run nor the exit status; what it prints goes to
    standard error.
    """
