"""What is committed is the project's own: no link out of it, which would be there on one machine alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_no_link_is_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = listed.stdout.splitlines()
    assert len(lines) > 100
    assert [line for line in lines if line.startswith("120000")] == []
