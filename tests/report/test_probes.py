"""Probes in a report: meant to do badly, so warned of where they do well, and never among the models' own misses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, dash_clips

from ghostbench.report.data import read_run
from ghostbench.report.tables import marks
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run

G, N = "ghost_probing", "normal"


def probed(folder: Path, blank: list[str | None]) -> Path:
    """A model that is right but for one false alarm, with a probe that says this."""
    run = RunBuilder(dash_clips(3, 0, 3))
    run.rows("m", [G, G, G, G, N, N])
    run.model("m+blank", probe="blank", of="m")
    run.rows("m+blank", blank)
    written = run.write(folder / "run")
    score_run(written)
    write_report(written)
    return written


def alerts(folder: Path) -> str:
    page = (folder / "report.html").read_text()
    found = re.search(r'<ul class="alerts">(.*?)</ul>', page, re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("blank", [[N] * 6, [None] * 6], ids=["wrong", "silent"])
def test_a_probe_that_fails_as_it_should_is_no_warning(tmp_path: Path, blank: list[str | None]) -> None:
    said = alerts(probed(tmp_path, blank))
    assert "<b>m</b> not shown to beat always (strict, lenient)" in said
    assert "m+blank" not in said


def test_a_probe_that_does_as_well_as_its_model_is_a_warning(tmp_path: Path) -> None:
    said = alerts(probed(tmp_path, [G, G, G, G, N, N]))
    assert "<b>m+blank</b>" in said
    assert "F1 over all clips no lower than m’s (strict, lenient)" in said


def test_a_row_without_an_answer_is_said_to_have_none_and_nothing_of_its_f1(tmp_path: Path) -> None:
    row = read_run(probed(tmp_path, [None] * 6)).rows["m+blank"]
    assert marks(row) == ["probe blank of m", "no answer at all"]


def test_the_page_knows_which_rows_are_probes_and_looks_for_misses_in_the_others(tmp_path: Path) -> None:
    page = (probed(tmp_path, [N] * 6) / "report.html").read_text()
    data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    probes = {model["name"]: model["probe"] for model in json.loads(data[1])["models"]}
    assert probes == {"m": False, "m+blank": True}


def test_a_chart_says_how_many_rows_it_leaves_out(tmp_path: Path) -> None:
    page = (probed(tmp_path, [None] * 6) / "report.html").read_text()
    assert "1 without an F1 is left out" in page


def test_filters_leave_probes_to_those_who_choose_them(browser: Any, tmp_path: Path) -> None:
    folder = probed(tmp_path, [N] * 6)
    browser.get((folder / "report.html").as_uri())
    script = """
        const form = document.getElementById('filters').elements;
        form.show.value = 'misses'; form.model.value = arguments[0];
        document.getElementById('filters').dispatchEvent(new Event('input', {bubbles: true}));
        return document.querySelectorAll('article.clip').length;
    """
    assert browser.execute_script(script, "") == 0
    assert browser.execute_script(script, "1") == 3
