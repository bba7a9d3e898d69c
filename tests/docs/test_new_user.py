"""A new user's walk: from the README's link to a paper's table, by the commands that the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.first

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, shared_data: Path) -> Path:
    """The user's folder: clips, labels and recorded answers under the names that the page uses."""
    (tmp_path / "DADA").symlink_to(shared_data / "dada2000" / "clips")
    (tmp_path / "labels.csv").symlink_to(shared_data / "dada2000" / "labels.csv")
    sheet = shared_data / "annotations" / "dada_text_annotations.xlsx"
    (tmp_path / sheet.name).symlink_to(sheet)
    (tmp_path / "recorded").symlink_to(shared_data / "recorded")
    (tmp_path / "bin").mkdir()
    bench = tmp_path / "bin" / "bench"
    bench.write_text(f'#!/bin/sh\nexec {sys.executable} -m ghostbench "$@"\n')
    bench.chmod(0o755)
    return tmp_path


def words(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


@pytest.mark.slow
def test_the_readme_leads_to_a_papers_table(home: Path, blocks: Callable[[str], list[Any]]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [page] = re.findall(r"\| get a paper's table from DADA-2000 \| \[[^\]]+\]\(docs/([^)]+)\)", readme)
    environment = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "COLUMNS": "80"}
    commands: list[str] = []
    printed: list[str] = []
    ran = 0
    for block in blocks(page):
        if block.language == "bash":
            # What one block exports, the next one finds, as in the user's shell.
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", "\n".join([*commands, block.text])],
                cwd=home, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
            commands += [line for line in block.text.splitlines() if line.startswith("export ")]
            printed = words(done.stdout + done.stderr)
            ran += 1
        elif block.language == "text" and ran > 1:
            joined = " ".join(printed)
            shown = [line for line in words(block.text) if not line.startswith("{")]
            assert [line for line in shown if line not in joined] == [], "\n".join(printed)
    assert ran == 8
    table = (home / "results" / "recorded" / "tables" / "rates_lenient_answered.tex").read_text(encoding="utf-8")
    for model, cells in (("GPT-4.1", "36 & 32 & 12 & 13"), ("GPT-4o", "40 & 33 & 10 & 13"), ("Claude-3.7", "19 & 20")):
        assert re.search(rf"^{re.escape(model)} & 99 & [\d.]+\\% & {re.escape(cells)} &", table, re.MULTILINE), table
    assert re.search(r"^always & 99 & 100\.0\\% & 50 & 49 & 0 & 0 &", table, re.MULTILINE)


def test_the_run_file_that_the_page_shows_is_read(blocks: Callable[[str], list[Any]], tmp_path: Path) -> None:
    from ghostbench.cli.run import command

    [shown] = [block for block in blocks("cli.md") if block.title == "study.yaml"]
    path = tmp_path / "study.yaml"
    path.write_text(shown.text, encoding="utf-8")
    given = command.make_context("run", [str(path)]).params
    assert (given["models"], given["run_id"]) == ("motion,always,never", "study")
    assert given["settings"] == ("motion.threshold=0.6",)
