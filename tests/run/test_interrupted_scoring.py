"""Stopped after the last answer, while scores and report are computed."""

from __future__ import annotations

import json
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "scored"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)]
)
def test_a_run_stopped_while_it_is_scored_is_scored_on_resume_and_asks_nobody(
    bench: Any, tmp_path: Path, number: int, scored: bool
) -> None:
    log = tmp_path / "log"
    held = bench.folder / "site" / "sitecustomize.py"
    held.write_text(
        "import time\nimport ghostbench.writing\nghostbench.writing.write_texts = lambda _: time.sleep(600)\n",
        encoding="utf-8",
    )
    process = bench.start("--models", "local-spy", "--set", f"local-spy.log={log}", "--run-id", "r")
    folder = bench.folder / "results" / "r"
    until = time.monotonic() + 60
    while not ((folder / "manifest.json").exists() and bench.manifest("r")["status"] == "complete"):
        assert time.monotonic() < until
        time.sleep(0.005)
    while scored and not (folder / "metrics.json").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert not (folder / "report.html").exists()
    held.unlink()
    command = shlex.split(err.partition("go on with: ")[2])
    assert command[:2] == ["bench", "run"]
    done = bench.run(*command[2:], dataset=False)
    assert done.returncode == 0, done.stderr
    assert "local-spy" in done.stdout
    assert (folder / "report.html").exists()
    assert json.loads((folder / "metrics.json").read_text())["models"]["local-spy"]["answered"] == 6
    assert len(log.read_text().splitlines()) == 6
