"""Runs in which rates are undefined still give complete tables, without a word from any library."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from evidence_data import RunBuilder, clip, dash_clips
from rich.console import Console

from ghostbench.evidence.compare import compare
from ghostbench.evidence.compare_tables import comparison_tables
from ghostbench.evidence.contenders import read_field
from ghostbench.outcomes import Outcome
from ghostbench.report.brief import print_brief
from ghostbench.report.data import read_run
from ghostbench.report.tables import run_tables
from ghostbench.report.terminal import chosen_tables, print_table
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


def every_outcome() -> RunBuilder:
    run = RunBuilder([clip(f"c{i}", G if i % 2 else N) for i in range(len(Outcome))])
    for place, outcome in enumerate(Outcome):
        answered = outcome is Outcome.ANSWERED
        run.row("m", f"c{place}", G if answered else None, outcome=str(outcome), attempts=None if answered else [{}])
    return run


def zero_positives() -> RunBuilder:
    run = RunBuilder(dash_clips(0, 2, 4))
    run.rows("m", [G, N, P, N, N, None], score=0.3)
    return run


def zero_negatives() -> RunBuilder:
    run = RunBuilder(dash_clips(5, 0, 0))
    run.rows("m", [G, N, P, None, G], score=0.7)
    return run


def one_clip() -> RunBuilder:
    run = RunBuilder(dash_clips(1, 0, 0))
    run.rows("m", [G], event_time_s=2.0, score=1.0)
    return run


def no_answers() -> RunBuilder:
    run = RunBuilder(dash_clips(3, 1, 3))
    run.model("m", stopped={"outcome": "auth_failed", "message": "401"})
    for line in run.clips:
        run.row("m", line["clip"], None, outcome="auth_failed", attempts=[])
    return run


def repeats_that_say_one_thing() -> RunBuilder:
    run = RunBuilder(dash_clips(2, 0, 2), repeats=2)
    for line in run.clips:
        for repeat in range(2):
            run.row("m", line["clip"], N, repeat=repeat)
    return run


def no_durations_no_categories() -> RunBuilder:
    run = RunBuilder(
        [clip("a", G, duration_s=None, category=None, frames=None), clip("b", N, duration_s=None, frames=None)]
    )
    run.rows("m", [N, N])
    return run


@pytest.mark.parametrize(
    "build",
    [
        every_outcome, zero_positives, zero_negatives, one_clip, no_answers, repeats_that_say_one_thing,
        no_durations_no_categories,
    ],
)  # fmt: skip
def test_tables_are_complete_and_silent(tmp_path: Path, build: object) -> None:
    folder = build().write(tmp_path / "run")  # type: ignore[operator]
    text = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score_run(folder)
        write_report(folder)
        for table in chosen_tables(read_run(folder)):
            print_table(table, Console(file=text, width=110))
        print_brief(read_run(folder), Console(file=text, width=80))
        field = read_field([folder, build().write(tmp_path / "again")])  # type: ignore[operator]
        for table in comparison_tables(compare(field)):
            print_table(table, Console(file=text, width=110))
    names = {table.name for table in run_tables(read_run(folder))}
    for name in ("summary", "confusion", "rates_strict_answered", "rates_lenient_worst_case", "outcomes", "attempts"):
        assert name in names
        assert (folder / "tables" / f"{name}.csv").read_text().count("\n") > 1
    shown = text.getvalue() + (folder / "report.md").read_text() + (folder / "report.html").read_text()
    assert "nan" not in shown.lower().replace("unanimous", "")
    assert "n/a" in text.getvalue()


def test_each_outcome_has_its_column(tmp_path: Path) -> None:
    folder = every_outcome().write(tmp_path / "run")
    score_run(folder)
    table = next(table for table in run_tables(read_run(folder)) if table.name == "outcomes")
    assert {column.key for column in table.columns} == {"model", *(str(outcome) for outcome in Outcome)}
    assert table.rows[0][1:] == (1,) * len(Outcome)


def test_a_model_without_answers_is_marked_and_has_no_rates(tmp_path: Path) -> None:
    folder = no_answers().write(tmp_path / "run")
    row = score_run(folder)["models"]["m"]
    assert (row["answered"], row["coverage"]) == (0, 0.0)
    assert row["views"]["strict"]["answered"]["f1"] is None
    assert row["views"]["strict"]["worst_case"]["accuracy"]["value"] == 0.0
    summary = run_tables(read_run(folder))[0]
    assert "no answer at all" in str(summary.rows[0][-1])
    assert "stopped: auth_failed" in str(summary.rows[0][-1])
