"""Report sections that plugins register: called with the run's data, shown as plain text."""

from __future__ import annotations

from ghostbench.report.data import RunData
from ghostbench.report.escape import plain


def plugin_sections(run: RunData) -> list[tuple[str, str]]:
    """(title, Markdown text) of every registered section; one that fails says so in its own place."""
    from ghostbench.plugins.registry import load_target, registry

    found = []
    for spec in registry().report_sections.values():
        try:
            text = load_target(spec.load)(run)
            if not isinstance(text, str):
                raise TypeError(f"it returned {type(text).__name__}, not text")
        except Exception as error:  # noqa: BLE001 - a stranger's section must not cost the report
            text = f"This section could not be written: {type(error).__name__}: {error}"
        found.append((plain(spec.title), plain(text, lines=True)))
    return found
