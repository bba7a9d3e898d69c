"""`--annotations`: kept in the run's folder, told of in its report, and not another when the run is gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_annotations_are_accounted_for_and_are_the_same_on_resume(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    file.write_text(
        json.dumps({"images_1_001": {"weather": "rain", "contact_s": 0.5}, "images_9_999": {"weather": "sun"}})
    )
    words = ("--models", "always", "--annotations", str(file), "--run-id", "r")
    assert bench.run(*words).returncode == 0
    lines = {line["clip"]: line for line in bench.lines("r", "clips.jsonl")}
    assert lines["images_1_001"]["parameters"] == {"weather": "rain"}
    assert lines["images_1_001"]["labels"]["contact_s"] == 0.5
    (account,) = bench.manifest("r")["dataset"]["annotated"]
    assert (account["form"], account["matched"], len(account["unmatched"])) == ("JSON by clip", 1, 5)
    report = (bench.folder / "results" / "r" / "report.md").read_text(encoding="utf-8")
    assert "rows for 1 of 6 clips" in report
    moved = file.rename(tmp_path / "moved.json")
    gone_on = ("--models", "always", "--annotations", str(moved), "--run-id", "r", "--resume")
    assert bench.run(*gone_on).returncode == 0
    moved.write_text(json.dumps({"images_1_001": {"weather": "snow"}}))
    refused = bench.run(*gone_on)
    assert refused.returncode == 2
    assert "dataset.annotated" in refused.stderr
