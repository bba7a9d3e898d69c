"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real clips, labels, recordings and tiny checkpoints; tests skip where it is absent."""
    given = os.environ.get("GHOSTBENCH_SHARED")
    root = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (root / "README.md").is_file():
        pytest.skip("shared data is not here")
    return root
