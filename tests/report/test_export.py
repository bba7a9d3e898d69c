"""Runs listed, shown and exported: what other programs read is what the run's own files say."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from evidence_data import RunBuilder, attempt, clip, raw_answer

from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.report.export import Form, export_run
from ghostbench.report.overview import headline, overview
from ghostbench.scoring.score import score_run

G, N = "ghost_probing", "normal"
ODD = '=1+1,"quoted"\n\u6c49\x1b[31m'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunBuilder([clip("a", G, time_s=2.0, remark=ODD), clip("b"), clip("c", G), clip("d")])
    run.row("m", "a", G, score=0.1 + 0.2, event_time_s=2.5, raw=raw_answer(G, event_time_s=2.5, evidence=ODD))
    for name, said in (("b", N), ("c", N), ("d", G)):
        run.row("m", name, said)
    folder = run.write(tmp_path / "results" / "r")
    score_run(folder)
    return folder


def read(path: Path, form: Form) -> pd.DataFrame:
    if form == "parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path) if form == "csv" else pd.read_json(path, orient="records", lines=True, precise_float=True)


def call(*words: str) -> Result:
    return CliRunner().invoke(bench, words, catch_exceptions=False)


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_every_line_and_every_number_is_there_again(folder: Path, tmp_path: Path, form: Form) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files = {path.stem: read(path, form) for path in export_run(folder, form, tmp_path / "out")}
    assert {name: len(frame) for name, frame in files.items()} == {
        "clips": 4, "attempts": 4, "predictions": 4, "metrics": 5,
    }  # fmt: skip
    predictions = files["predictions"].set_index("clip")
    assert predictions.loc["a", "score"] == 0.1 + 0.2
    assert pd.isna(predictions.loc["b", "score"])
    assert list(files["attempts"]["stages.queue_s"]) == [0.01] * 4
    metrics = json.loads((folder / "metrics.json").read_text())["models"]["m"]["views"]["strict"]["answered"]["f1"]
    row = files["metrics"].set_index("model").loc["m"]
    assert row["strict.answered.f1.value"] == metrics["value"]
    assert row["strict.answered.f1.low"] == metrics["low"]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_csv_file_holds_nothing_that_a_spreadsheet_would_compute(folder: Path, tmp_path: Path) -> None:
    export_run(folder, "csv", tmp_path / "out")
    remark = pd.read_csv(tmp_path / "out" / "clips.csv").set_index("clip").loc["a", "remark"]
    assert not str(remark).startswith("=")


def test_a_runs_own_folder_is_no_place_for_an_export(folder: Path) -> None:
    with pytest.raises(BadInput, match="is a run's folder"):
        export_run(folder, "csv", folder)
    with pytest.raises(BadInput, match="is no run folder"):
        export_run(folder.parent, "csv", folder.parent / "x")


def test_runs_are_listed_a_line_each_and_broken_ones_named(folder: Path) -> None:
    results = folder.parent
    (results / "broken").mkdir()
    (results / "broken" / "manifest.json").write_text("{")
    found = {line["name"]: line for line in overview(results)}
    assert found["r"]["best"]["model"] == "m"
    assert (found["r"]["state"], found["broken"]["state"]) == ("complete", "broken")
    assert "best F1 lenient m .5" in headline(found["r"])
    said = call("ls", str(results)).output.splitlines()
    assert len(said) == 2
    assert all(line.isprintable() for line in said)
    assert {line["name"] for line in json.loads(call("ls", str(results), "--json").output)} == {"r", "broken"}
    assert call("ls", str(results), "--quiet").exit_code == 0


def test_a_run_and_a_clip_are_shown_finished_or_not(folder: Path) -> None:
    assert "r: complete" in call("show", str(folder)).output
    said = call("show", str(folder), "a").output
    assert "a: ghost_probing at 2 s" in said
    assert "m, repeat 0: ghost_probing at 2.5 s, score 0.300" in said
    assert "\x1b" not in said
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
    (folder / "predictions.jsonl").unlink()
    with (folder / "attempts.jsonl").open("a") as file:
        file.write(json.dumps(attempt("m", "b", attempt=2, outcome="refused")) + "\n{torn")
    shown = json.loads(call("show", str(folder), "b", "--json").output)
    assert ([line["outcome"] for line in shown["attempts"]], shown["predictions"]) == (["answered", "refused"], [])
    assert bench.main(["show", str(folder), "--quiet"], standalone_mode=False) == 1
