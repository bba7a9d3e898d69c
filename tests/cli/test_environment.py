"""What notebooks, CI and containers leave in the environment is no hindrance."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from evidence_data import RunBuilder, dash_clips

from ghostbench.cli import environment

SCRIPT = Path(sysconfig.get_path("scripts")) / "bench"


def test_a_notebook_s_charts_and_a_terminal_without_a_size_keep_no_report_from_being_written(tmp_path: Path) -> None:
    """In a process of its own: matplotlib reads the variable once, when it is imported."""
    built = RunBuilder(dash_clips(1, 0, 1))
    built.rows("m", ["ghost_probing", "normal"])
    built.write(tmp_path / "r")
    odd = {"MPLBACKEND": "module://some_notebook.backend_inline", "COLUMNS": "0", "LINES": "0"}
    done = subprocess.run(
        [SCRIPT, "report", "r"], cwd=tmp_path, env=os.environ | odd, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "<svg" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.parametrize(("said", "left"), [("0", None), ("", None), ("00", None), ("20", "20"), ("wide", "wide")])
def test_only_a_size_that_is_none_is_left_out(monkeypatch: pytest.MonkeyPatch, said: str, left: str | None) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("COLUMNS", said)
    environment.settle()
    assert os.environ.get("COLUMNS") == left
