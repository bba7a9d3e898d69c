"""The evidence commands as processes, and run folders in which anything may have been changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warm_process import run_bench

from ghostbench.errors import BadInput
from ghostbench.folder.run_records import read_run_records
from ghostbench.report.data import RunData
from ghostbench.report.html import report_html
from ghostbench.report.write import report_files
from ghostbench.scoring.score import compute_metrics

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return run_bench(words, cwd=Path.cwd(), env=os.environ, timeout=240)


def test_tables_are_printed_on_demand_and_nothing_is_written(rich_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(rich_run, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    everything = bench("report", str(folder), "--all")
    for title in ("Confusion matrices", "Slices", "Models as they were run", "Why there was no answer"):
        assert title in everything.stdout
    one = bench("report", str(folder), "--table", "confusion", "--json")
    assert json.loads(one.stdout)["rows"][0] == {
        "model": "gpt-4.1", "truth": "ghost probing",
        "ghost_probing": 1, "potential_ghost_probing": 0, "normal": 1, "no_answer": 0,
    }  # fmt: skip
    wrong = bench("report", str(folder), "--table", "confusoin")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean confusion?" in wrong.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_report_writes_the_reports_again_and_prints_the_run_in_short(rich_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(rich_run, folder)
    for name in ("metrics.json", "report.md", "report.html"):
        (folder / name).unlink()
    shutil.rmtree(folder / "tables")
    done = bench("report", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert "gpt-4.1 gave no answer for 1 of 6 clips: 1 refused" in " ".join(done.stdout.split())
    assert len(done.stdout.splitlines()) <= 30
    for name in ("metrics.json", "report.md", "report.html"):
        assert (folder / name).read_bytes() == (rich_run / name).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["report", "nowhere"],
        ["compare", "nowhere"],
        ["verify", "nowhere"],
        ["regress", "nowhere", "--against", "reference.json"],
        ["report"],
        ["report", "nowhere", "--quiet", "--json"],
        ["report", "nowhere", "--all", "--table", "summary"],
        ["compare"],
        ["regress", "nowhere"],
    ],
)
def test_bad_input_is_exit_status_2_and_one_line(words: list[str]) -> None:
    done = bench(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2**63, 10**30, 0.5, 1e300, -0.0]),
    st.text(max_size=8),
    st.sampled_from(
        [G, P, N, "cut_in", "a", "m", "answered", "model", "substitute", "refused", "2026-01-01T00:00:00Z"]
    ),
    st.sampled_from([[], {}, [1.0], {"x": 1}, [None], {"type": "T", "message": "\x1b"}]),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_one_field_of_a_run_is_changed_to_it_is_reported_or_refused(tmp_path: Path, data: Any) -> None:
    run = RunBuilder([clip("a", G, time_s=2.0), clip("b", "cut_in"), clip("c", N)])
    run.rows("m", [G, P, None], score=0.4, event_time_s=2.0)
    folder = run.write(tmp_path / "run")
    file = data.draw(st.sampled_from(["clips.jsonl", "attempts.jsonl", "predictions.jsonl", "manifest.json"]))
    text = (folder / file).read_text()
    lines = [json.loads(text)] if file == "manifest.json" else [json.loads(line) for line in text.splitlines()]
    line = data.draw(st.sampled_from(lines))
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(values)
    (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        records = read_run_records(folder)
    except BadInput as error:
        refused = str(error)
    else:
        refused = ""
        found = RunData(folder, records, compute_metrics(records))
        assert report_files(found)["report.md"]
        assert "</html>" in report_html(found)
    assert refused.isprintable()
