"""The coverage that the documentation states is what the simulation gives, and no interval covers too seldom."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "what-the-numbers-mean.md"


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    path = ROOT / "benchmark" / "statistics" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_simulation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def stated() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    inside = text.partition("<!-- coverage: begin -->")[2].partition("<!-- coverage: end -->")[0]
    return [line for line in inside.splitlines() if line.startswith("| ") and re.search(r"\| \d+ \| [.1]", line)]


def test_every_figure_covers_92_percent_at_least_at_every_size_and_prevalence(simulation: ModuleType) -> None:
    lines = stated()
    names = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in lines}
    singles = [simulation.TITLES[name] for name in (*simulation.SINGLE, "auc", "ap", "brier")]
    wanted = [*singles, *(f"Δ {simulation.TITLES[name]}" for name in simulation.PAIRED)]
    assert names == {(name, str(n)) for name in wanted for n in (5, 20, 99, 200)}
    for line in lines:
        means = [float(cell) for cell in line.split("|")[3:8]]
        assert min(means) >= 0.92, line


def test_the_enumerated_lines_are_what_the_page_says(simulation: ModuleType) -> None:
    found = list(simulation.lines(simulation.one_model((5,))))
    assert len(found) == len(simulation.SINGLE)
    assert [line for line in found if line not in stated()] == []


@pytest.mark.slow
def test_simulated_lines_are_what_the_page_says(simulation: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first prevalence of the scores: their draws come first."""
    monkeypatch.setattr(simulation, "PREVALENCES", (0.1,))
    found = [line.split("|")[1:4] for line in simulation.lines(simulation.scores())]
    page = [line.split("|")[1:4] for line in stated()]
    assert [cells for cells in found if cells not in page] == []
