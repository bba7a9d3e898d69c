"""Fixtures around the tiny checkpoints in the authors' layout."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra ghostbench[drivemm]")
pytest.importorskip("transformers", reason="needs the extra ghostbench[drivemm]")


@pytest.fixture(scope="session")
def drivemm_data(shared_data: Path) -> Path:
    """The folder with tiny checkpoints and the golden values that the authors' own code gave for them."""
    folder = shared_data / "drivemm"
    if not (folder / "README.md").is_file():
        pytest.skip("the tiny DriveMM checkpoints are not here")
    return folder
