"""Tags and notes on runs: shown wherever runs are listed, and of no digest."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence_builder"))

from evidence_data import RunBuilder, clip
from warm_process import run_bench

from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.evidence.verify import verify
from ghostbench.folder.tags import Tags, read_tags, write_tags
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunBuilder([clip("a", "ghost_probing", time_s=2.0), clip("b")])
    run.rows("m", ["ghost_probing", "normal"])
    folder = run.write(tmp_path / "results" / "r")
    score_run(folder)
    write_report(folder)
    return folder


def call(*words: str) -> Result:
    return CliRunner().invoke(bench, words, catch_exceptions=False)


def test_tags_are_put_on_and_taken_off_and_verify_finds_what_it_found_before(folder: Path) -> None:
    before = verify(folder).findings
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    call("tag", str(folder), "paper", "汉字", "--note", "before the fix")
    call("tag", str(folder), "v1.2", "--remove", "汉字")
    assert read_tags(folder) == Tags(("paper", "v1.2"), "before the fix")
    assert verify(folder).findings == before
    assert {path: path.read_bytes() for path in folder.rglob("*") if path in files} == files
    assert call("tag", str(folder)).output.splitlines() == ["tags: paper, v1.2", "note: before the fix"]
    (line,) = json.loads(call("ls", str(folder.parent), "--json", "--tag", "paper").output)
    assert (line["tags"], line["note"]) == (["paper", "v1.2"], "before the fix")
    assert "#paper  #v1.2  “before the fix”" in call("ls", str(folder.parent)).output
    assert "paper, v1.2 “before the fix”" in call("show", str(folder)).output
    assert json.loads(call("ls", str(folder.parent), "--json", "--tag", "other").output) == []
    call("tag", str(folder), "--note", "")
    assert read_tags(folder).note == ""


def test_a_torn_or_strange_line_costs_no_other(folder: Path) -> None:
    write_tags(folder, add=["a"])
    with (folder / "tags.jsonl").open("ab") as file:
        file.write(b'{"add": ["b"\n[]\n{"add": "c", "note": 3, "remove": [null, "\\u0000"]}\n{"add": ["d\\u001b"]')
    write_tags(folder, add=["e"])
    assert read_tags(folder) == Tags(("a", "e"), "")


@pytest.mark.parametrize("tag", ["", "two words", "-x", "a\x1b[31m", "x" * 65])
def test_what_is_no_tag_is_refused_before_anything_is_written(folder: Path, tag: str) -> None:
    with pytest.raises(BadInput, match="is no tag"):
        write_tags(folder, add=["good", tag])
    assert read_tags(folder) == Tags()


def test_what_stands_in_the_files_place_is_said_in_a_line(folder: Path) -> None:
    (folder / "tags.jsonl").mkdir()
    with pytest.raises(BadInput, match=r"tags\.jsonl is a folder"):
        write_tags(folder, add=["a"])
    assert read_tags(folder) == Tags()


def test_a_run_is_tagged_as_it_begins_and_not_asked_at_the_end_of_it(tmp_path: Path) -> None:
    words = ["run", "--models", "always", "--limit", "1", "--out", str(tmp_path), "--run-id", "r", "--quiet"]
    refused = run_bench([*words, "--tag", "two words"], cwd=tmp_path, env=dict(os.environ), timeout=120)
    assert refused.returncode == 2
    assert "'two words' is no tag" in refused.stderr
    assert not (tmp_path / "r").exists()
    tags = ("--tag", "first", "--tag", "second")
    assert run_bench([*words, *tags], cwd=tmp_path, env=dict(os.environ), timeout=120).returncode == 0
    assert read_tags(tmp_path / "r").tags == ("first", "second")
    assert "first" not in json.dumps(json.loads((tmp_path / "r" / "manifest.json").read_text())["options"])
    assert verify(tmp_path / "r").findings == ()
