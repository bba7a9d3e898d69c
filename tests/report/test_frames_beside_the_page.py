"""The frames of a large run lie with its rows in files beside report.html: the page says so, and `bench verify` finds
an untouched run to hold and looks at every frame."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from evidence_data import raw_answer
from warm_process import run_bench

from ghostbench.cli.verify import command
from ghostbench.evidence.verify import verify
from ghostbench.folder.sums import write_sums
from ghostbench.report import clip_rows
from ghostbench.report.write import write_report

LONG = clip_rows.MOST_TEXT * 2 // 3
"""Characters of one answer: two of them are more than a page holds."""
PICTURE = re.compile(r'data:image/jpeg;base64,[^"]+')


@pytest.fixture(scope="module")
def as_it_was_left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over two clips of ghost5 whose answers are longer than a page holds."""
    out = tmp_path_factory.mktemp("out")
    raw = raw_answer("normal") + " " * LONG
    lines = [{"clip": f"ghost5_{number:02d}", "raw": raw} for number in (1, 2)]
    (out / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["run", "--models", f"replay:{out / 'long.jsonl'}=long,motion", "--limit", "2", "--out", str(out)]
    assert run_bench([*words, "--run-id", "r", "--quiet"], cwd=out, env=dict(os.environ), timeout=120).returncode == 0
    return out / "r"


@pytest.fixture
def run(as_it_was_left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(as_it_was_left, tmp_path / "r"))


def sampled(folder: Path) -> int:
    return sum(len(json.loads(line)["frame_indices"]) for line in (folder / "clips.jsonl").read_text().splitlines())


def pictures(folder: Path) -> int:
    return sum(len(PICTURE.findall(path.read_text())) for path in (folder / "report_rows").glob("*.js"))


def findings(folder: Path) -> list[str]:
    """What `bench verify` finds after every digest was written anew."""
    write_sums(folder)
    return [str(finding) for finding in verify(folder).findings]


@pytest.mark.slow
def test_a_run_of_long_answers_holds_as_it_was_left_and_its_frames_were_compared(run: Path) -> None:
    assert pictures(run) == sampled(run) > 4
    page = (run / "report.html").read_text()
    assert "holds frames of ghost5, which anybody may pass on" in page
    assert not PICTURE.search(page)
    done = CliRunner().invoke(command, [str(run)], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert "note:" not in done.output
    assert "every table, chart and embedded frame" in done.output


def test_it_holds_without_its_frames_too(run: Path) -> None:
    write_report(run, embed_frames=False)
    assert pictures(run) == 0
    assert "holds frames of" not in (run / "report.html").read_text()
    assert verify(run).findings == ()


def test_a_run_of_many_rows_holds(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_rows, "MOST_TEXT", 1 << 30)
    monkeypatch.setattr(clip_rows, "MOST_ROWS", 3)
    monkeypatch.setattr(clip_rows, "_PART_CLIPS", 1)
    write_report(run)
    assert pictures(run) == sampled(run)
    assert verify(run).findings == ()


@pytest.mark.slow
def test_an_edited_line_of_the_page_or_of_a_file_of_rows_is_found(run: Path) -> None:
    page = run / "report.html"
    text = page.read_text()
    number = 1 + text[: text.index("This page holds frames of ghost5")].count("\n")
    page.write_text(text.replace("which anybody may pass on", "which nobody may pass on", 1))
    assert findings(run) == [f"report.html: line {number} is not what the ledger gives"]
    page.write_text(text)
    rows = run / "report_rows/000001.js"
    rows.write_text(rows.read_text().replace("normal", "ghost_probing", 1))
    assert findings(run) == ["report_rows/000001.js: line 2 is not what the ledger gives"]


def test_another_picture_in_a_frames_place_is_found_in_the_file_that_holds_it(run: Path) -> None:
    rows = run / "report_rows/000001.js"
    text = rows.read_text()
    first, second, *_ = dict.fromkeys(PICTURE.findall(text))
    rows.write_text(text.replace(first, second, 1))
    assert findings(run) == [
        "report_rows/000001.js: the frames of ghost5_02 are not those whose digest clips.jsonl records"
    ]


def test_frames_that_were_taken_out_are_found(run: Path) -> None:
    for name in ("000000", "000001"):
        rows = run / f"report_rows/{name}.js"
        rows.write_text(re.sub(r'"frames":\[[^\]]*\]', '"frames":null', rows.read_text()))
        found = findings(run)
        if name == "000000":
            assert found == ["report_rows/000000.js: does not hold the frames of ghost5_01, but those of other clips"]
    assert len(found) == 2  # the line that says that frames are held, and the one that says what they are
    assert all(words.startswith("report.html: line ") for words in found)
