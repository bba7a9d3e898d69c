"""report.html goes to others: it names files, and not where they lay on the machine of the run."""

from __future__ import annotations

from pathlib import Path

from evidence_data import RunBuilder, clip

from ghostbench.report.data import read_run
from ghostbench.report.html import report_html
from ghostbench.scoring.score import score_run

PLACE = "/home/somebody/secret project"
HERE = f"{PLACE.partition(' ')[0]}/media"


def test_no_absolute_path_of_a_run_is_in_its_page(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", "ghost_probing", time_s=2.0), clip("b")])
    run.model(
        "local", settings={"checkpoint": f"{HERE}/weights"}, facts={"files": f"{HERE}/model.safetensors"},
        stopped={"outcome": "unavailable", "message": f"cannot open {HERE}/tokenizer.json"},
    )  # fmt: skip
    fault = {"type": "DecodeError", "message": f"{HERE}/a.avi is damaged"}
    run.row("local", "a", None, outcome="decode_failed", attempts=[{"raw": None, "error": fault}])
    run.row("local", "b", "normal", attempts=[{"notes": [f"read {HERE}/b.avi"]}])
    dataset = {
        "name": "test", "split": "all", "data_root": HERE, "labels": f"{HERE}/labels.csv", "labels_sha256": "a" * 64,
        "split_sha256": "b" * 64, "n": 2, "annotations": [f"{HERE}/more.csv"],
        "annotated": [{"form": "table", "sha256": "c" * 64, "matched": 2}],
        "filters": [f"clips @{HERE}/ids.txt"], "skipped_labels": [f"{HERE}/labels.csv, line 3: odd"],
    }  # fmt: skip
    command = [
        "bench",
        "run",
        "--data-root",
        HERE,
        f"--labels={HERE}/labels.csv",
        "--set",
        f"local.checkpoint={HERE}/w",
    ]
    folder = run.write(tmp_path / "r", dataset=dataset, command=command)
    score_run(folder)
    page = report_html(read_run(folder))
    assert "labels.csv" in page
    assert "is damaged" in page
    assert "somebody" not in page
    assert str(tmp_path) not in page
