"""Report sections that plugins register: called with the run's data, they return Markdown."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Every registered section; one that fails says so in its own place."""
    from ghostbench.plugins.registry import load_target, registry

    found = []
    for spec in registry().report_sections.values():
        try:
            text = load_target(spec.load)(run)
            if not isinstance(text, str):
                raise TypeError(f"it returned {type(text).__name__}, not text")
        except Exception as error:  # noqa: BLE001 - a stranger's section must not cost the report
            text = f"This section could not be written: {type(error).__name__}: {plain(str(error))}"
        found.append(Section(plain(spec.title), plain(text, lines=True)))
    return found
