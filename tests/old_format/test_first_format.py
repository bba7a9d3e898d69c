"""A run folder of the first format: still reported, verified, compared, and never taken for one of today's."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ghostbench.cli.main import bench
from ghostbench.evidence.verify import verify

ARCHIVE = Path(__file__).parent / "first-format.tar.gz"
"""`bench run --models motion,always,never --repeats 2 --probe blank` on the embedded clips, as version 0.1.0 was."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "first-format"


def call(*words: str) -> Result:
    return CliRunner().invoke(bench, words, catch_exceptions=True)


def test_its_scores_are_said_to_be_of_another_version_in_one_line(folder: Path) -> None:
    verdict = verify(folder)
    (finding,) = verdict.findings
    assert finding.file == "metrics.json"
    assert f"bench report {folder}" in finding.message
    assert "predictions from the attempts" in verdict.checked


def test_a_changed_ledger_is_noticed_all_the_same(folder: Path) -> None:
    path = folder / "attempts.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"outcome":"answered"', b'"outcome":"refused"', 1))
    assert "attempts.jsonl" in {finding.file for finding in verify(folder).findings}


def test_scored_anew_it_holds_and_says_what_it_said(folder: Path) -> None:
    before = json.loads((folder / "metrics.json").read_text())["models"]
    done = call("report", str(folder))
    assert done.exit_code == 0, done.output
    assert verify(folder).findings == ()
    after = json.loads((folder / "metrics.json").read_text())["models"]
    assert {name: row["confusion"] for name, row in after.items()} == {
        name: row["confusion"] for name, row in before.items()
    }
    for name, row in after.items():
        now, then = (entry["views"]["strict"]["answered"] for entry in (row, before[name]))
        assert all(now[key] == then[key] for key in ("tp", "fp", "fn", "tn"))


def test_it_is_compared_with_another_run(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "again", filter="data")
    done = call("compare", str(folder), str(tmp_path / "again" / "first-format"))
    assert done.exit_code == 0, done.output
    assert "motion" in done.output
