"""Probes in a report: meant to do badly, so warned of where they do well, and never among the models' own misses."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, dash_clips, watched_clip
from rich.console import Console

from ghostbench.report.brief import print_brief
from ghostbench.report.data import read_run
from ghostbench.report.marks import marks
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


def watched(folder: Path, said: dict[str, list[list[str | None]]], **model: Any) -> Path:
    """Thirty clips with a window from 1.2 to 3.0 s, and as many safe ones, asked about every half second."""
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.2, 3.0)) for n in range(30)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(30)]
    run = RunBuilder(clips)
    for name, each in said.items():
        run.model(name, **model)
        for place, grades in enumerate(each):
            run.watch(name, clips[place]["clip"], grades)
    task = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0}
    written = run.write(folder / "run", task=task, sampling="fps:2")
    score_run(written)
    write_report(written)
    return written


def test_whatever_says_of_warnings_that_they_are_no_more_than_chance_is_a_warning(tmp_path: Path) -> None:
    """The worse the verdict, the more so."""
    quiet, late = [N] * 8, [N] * 3 + [G] * 5
    now_and_then = [late, quiet] * 15
    said = {"worse": [quiet] * 30 + [late] * 15 + [quiet] * 15, "alike": [late] * 3 + [quiet] * 57}
    found = alerts(watched(tmp_path, {**said, "as often": now_and_then * 2}))
    assert "<b>worse</b> warns no more than chance" in found
    assert "<b>alike</b> not shown to warn more than chance" in found


def test_what_a_model_says_of_itself_is_no_warning(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(40, 0, 40))
    run.model("m", mark="stopped: does not beat, not shown, asked for, no answer at all")
    run.rows("m", [G] * 40 + [N] * 40)
    folder = run.write(tmp_path / "run")
    score_run(folder)
    write_report(folder)
    assert alerts(folder) == ""
    shown = io.StringIO()
    print_brief(read_run(folder), Console(file=shown, width=200))
    assert "m: stopped: does not beat" in shown.getvalue()


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
    assert list(map(str, marks(row))) == ["probe blank of m", "no answer at all"]


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
