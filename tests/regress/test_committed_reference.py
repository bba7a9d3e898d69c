"""The reference that this project is held to, and the workflow that the documentation offers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from warm_process import run_bench

from ghostbench.evidence.snapshot import read_snapshot

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference" / "ghost5.json"


def test_the_reference_holds_five_clips_and_the_models_of_a_plain_run() -> None:
    reference = read_snapshot(REFERENCE)
    assert len(reference.frames) == 5
    assert None not in reference.frames.values()
    assert set(reference.models) == {"motion", "always", "never", "random"}
    assert all(set(model.answers) == set(reference.frames) for model in reference.models.values())


@pytest.mark.slow
def test_a_plain_run_passes_the_gate_and_verifies(tmp_path: Path) -> None:
    for words in (
        ["run", "--quiet", "--out", str(tmp_path), "--run-id", "ghost5"],
        ["regress", str(tmp_path / "ghost5"), "--against", str(REFERENCE)],
        ["verify", str(tmp_path / "ghost5")],
    ):
        done = run_bench(words, cwd=tmp_path, env=os.environ)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_in_the_documentation_is_one() -> None:
    text = (ROOT / "docs" / "ci.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    workflow = yaml.safe_load(block[1])
    assert set(workflow["jobs"]) == {"ghost5", "dada5"}
    for job in workflow["jobs"].values():
        assert all("run" in step or "uses" in step for step in job["steps"])
    commands = " ".join(step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"])
    assert "bench regress results/ghost5 --against results/reference/ghost5.json" in commands
    assert "--split dada5" in commands
