"""Sections that plugins bring to the report: shown as Markdown, never obeyed as HTML, and never fatal."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from ghostbench import ReportSectionSpec
from ghostbench.plugins.registry import registry
from ghostbench.report.data import RunData, read_run
from ghostbench.report.html import report_html
from ghostbench.report.write import report_markdown


@pytest.fixture
def sections() -> Iterator[None]:
    """Two sections, registered as a plugin registers them: one good and hostile at once, one broken."""
    module = types.ModuleType("sections_of_a_plugin")

    def good(run: RunData) -> str:
        worst = run.metrics["models"]["local"]["coverage"]
        return f"| a | b |\n|---|---|\n| {worst} | <img src=x onerror=ran()> |\n\n[x](javascript:ran())"

    def broken(run: RunData) -> str:
        raise KeyError("nothing here")

    module.good, module.broken = good, broken  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    specs = registry().report_sections
    before = dict(specs)
    for name in ("good", "broken"):
        specs[name] = ReportSectionSpec(name=name, load=f"{module.__name__}:{name}", title=f"The {name} one")
    yield
    specs.clear()
    specs.update(before)
    del sys.modules[module.__name__]


@pytest.mark.usefixtures("sections")
def test_a_section_gets_the_runs_data_and_is_rendered_without_its_html(rich_run: Path) -> None:
    page = report_html(read_run(rich_run))
    assert "<h2>The good one</h2>" in page
    assert "<td>1.0</td>" in page
    assert "<img src=x" not in page
    assert 'href="javascript' not in page
    text = report_markdown(read_run(rich_run))
    assert "## The good one" in text
    assert "<img" not in text


def test_what_a_section_changes_of_the_run_is_changed_for_nobody_else(
    rich_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoils(run: RunData) -> str:
        run.metrics["models"].clear()
        run.manifest.models.clear()
        run.predictions.drop(run.predictions.index, inplace=True)
        run.clips["truth"] = "normal"
        run.attempts["outcome"] = None
        return f"{len(run.predictions)} are left"

    module = types.ModuleType("a_section_that_spoils")
    module.spoils = spoils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    run, before = read_run(rich_run), report_html(read_run(rich_run))
    spec = ReportSectionSpec(name="spoils", load=f"{module.__name__}:spoils", title="It spoils")
    for name in ("spoils", "again"):
        monkeypatch.setitem(registry().report_sections, name, spec)
    assert report_markdown(run).count("0 are left") == 2
    assert report_html(run).count("0 are left") == 2
    monkeypatch.undo()
    assert report_html(run) == before


@pytest.mark.usefixtures("sections")
def test_a_broken_section_costs_only_itself(rich_run: Path) -> None:
    page = report_html(read_run(rich_run))
    assert "This section could not be written: KeyError" in page
    assert "<h2>Summary</h2>" in page
