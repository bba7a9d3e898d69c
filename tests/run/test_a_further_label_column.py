"""A label column is one field in one file: read, written, shown by its values and verified without another line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ghostbench

ADDED = """\
    surface: str | None = field(default=None, metadata=_WORDS)
    gap_s: _Seconds | None = field(default=None, metadata=_SECONDS)
"""
"""Two columns that nobody has thought of."""


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder / "changed")}
    command = [sys.executable, "-m", "ghostbench", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_further_column_touches_one_file(tmp_path: Path) -> None:
    package = Path(ghostbench.__file__).parent
    copy = tmp_path / "changed" / "ghostbench"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(package.parents[1] / "datasets", copy / "embedded")
    label = copy / "label.py"
    text = label.read_text(encoding="utf-8")
    last = "    doubt: bool | None = field(default=None, metadata=_YES_NO)\n"
    assert text.count(last) == 1
    label.write_text(text.replace(last, last + ADDED), encoding="utf-8")

    rows = "".join(
        f"c{n},{'none' if n % 2 else 'ghost probing'},{'wet' if n < 4 else 'dry'},{n / 4}\n" for n in range(8)
    )
    (tmp_path / "labels.csv").write_text(f"video_id,ground_truth_label,surface,gap_s\n{rows}")
    (tmp_path / "set.yaml").write_text("name: some\nlabels: labels.csv\n")
    done = bench(tmp_path, "run", "--models", "always", "--dataset", "set.yaml", "--run-id", "r", "--quiet")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results" / "r"
    lines = [json.loads(line) for line in (run / "clips.jsonl").read_text().splitlines()]
    assert [(line["labels"]["surface"], line["labels"]["gap_s"]) for line in lines[3:5]] == [
        ("wet", 0.75),
        ("dry", 1.0),
    ]
    slices = json.loads((run / "metrics.json").read_text())["models"]["always"]["slices"]
    assert {part: found["n"] for part, found in slices["labels.surface"].items()} == {"dry": 4, "wet": 4}

    (tmp_path / "second.csv").write_text((tmp_path / "labels.csv").read_text())
    both = bench(tmp_path, "agree", "labels.csv", "second.csv", "--json")
    assert both.returncode == 0, both.stderr
    agreed = json.loads(both.stdout)
    assert agreed["times"]["gap_s"]["clips"] == agreed["words"]["surface"]["clips"] == 8
    changed = (tmp_path / "labels.csv").read_text().replace("wet", "icy", 1)
    (tmp_path / "labels.csv").write_text(changed)
    told = bench(tmp_path, "verify", str(run), "--labels", "labels.csv")
    assert "surface is 'wet', the label file says 'icy'" in told.stdout + told.stderr
