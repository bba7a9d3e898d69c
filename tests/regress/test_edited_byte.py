"""A run as `bench run` leaves it: whichever file has one byte changed, `bench verify` names it and exits with 1."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from warm_process import run_bench

from ghostbench.cli.verify import command

KINDS = (
    "manifest.json",
    "clips.jsonl",
    "attempts.jsonl",
    "predictions.jsonl",
    "metrics.json",
    "report.md",
    "report.html",
    "tables/summary.csv",
    "tables/time.tex",
    "SHA256SUMS",
)


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return run_bench(words, cwd=Path.cwd(), env=os.environ)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on embedded clips, its report with frames."""
    out = tmp_path_factory.mktemp("out")
    words = ("--models", "motion,always", "--limit", "2", "--out", str(out), "--run-id", "r", "--quiet")
    assert bench("run", *words).returncode == 0
    assert bench("report", str(out / "r"), "--embed-frames").returncode == 0
    return out / "r"


@pytest.mark.slow
def test_the_run_as_it_was_left_holds_and_its_frames_and_charts_were_compared(finished: Path) -> None:
    done = bench("verify", str(finished))
    assert done.returncode == 0, done.stdout
    assert "note:" not in done.stdout
    assert "every table, chart and embedded frame" in done.stdout


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_the_digests_are_in_the_form_that_sha256sum_reads(finished: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=finished, capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_one_byte_of_any_kind_of_file_is_found_and_the_file_named(finished: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "r"
    shutil.copytree(finished, folder)
    content = (folder / name).read_bytes()
    for place in (len(content) // 3, len(content) - 1):
        (folder / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        done = CliRunner().invoke(command, [str(folder)], standalone_mode=False)
        assert done.return_value == 1, place
        assert name in done.output
