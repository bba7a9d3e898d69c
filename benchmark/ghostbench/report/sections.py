"""Report sections that plugins register: called with the run's data, they return Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ghostbench.errors import BadInput
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain


@dataclass(frozen=True, slots=True)
class Section:
    """A section as a plugin wrote it: untrusted Markdown under a title."""

    title: str
    text: str

    def markdown(self) -> str:
        """The text for a Markdown file: its HTML is shown and not obeyed."""
        return self.text.replace("&", "&amp;").replace("<", "&lt;")

    def html(self) -> str:
        """The text as HTML. Its own HTML is escaped; links go nowhere but to pages and places in the page."""
        from markdown_it import MarkdownIt

        page: str = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(self.text)
        return page


def plugin_sections(run: RunData) -> list[Section]:
    """The task's own section and every registered one; one that fails says so in its own place.

    Each gets the run as its own, so that none spoils what the others and the tables are made of.
    """
    from ghostbench.plugins.registry import registry
    from ghostbench.tasks.base import Task
    from ghostbench.tasks.load import load_task

    found = []
    try:
        task = load_task(run.manifest.task.name)
    except BadInput:
        task = None
    if task is not None and type(task).section is not Task.section:
        found += _section(f"The task {task.name}", task.section, run)
    for spec in registry().report_sections.values():
        found += _section(spec.title, partial(_called, spec.load), run, needed=True)
    return found


def _called(target: str, run: RunData) -> object:
    from ghostbench.plugins.registry import load_target

    return load_target(target)(run)


def _section(title: str, write: Callable[[RunData], object], run: RunData, *, needed: bool = False) -> list[Section]:
    """A stranger's section; none where there is nothing to say and nothing `needed`."""
    try:
        text = write(run.of_ones_own())
        if text is None and not needed:
            return []
        if not isinstance(text, str):
            raise TypeError(f"it returned {type(text).__name__}, not text")
    except Exception as error:  # noqa: BLE001 - a stranger's section must not cost the report
        text = f"This section could not be written: {type(error).__name__}: {plain(str(error))}"
    return [Section(plain(title), plain(text, lines=True))]
