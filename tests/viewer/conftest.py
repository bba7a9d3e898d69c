"""`bench view` as a real server on a port of its own, over runs of every state, and a headless browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evidence_builder"))
sys.path.insert(0, str(Path(__file__).parent / "runs_to_view"))

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from viewing import Viewer, growing_run, hostile_run, serving, two_models, warned_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are finished, growing, broken and hostile."""
    from ghostbench.folder.tags import write_tags
    from ghostbench.scoring.score import score_run

    place = tmp_path_factory.mktemp("results")
    score_run(two_models(place / "first"))
    score_run(two_models(place / "second", "GGGNPN"))
    growing_run(place / "growing")
    write_tags(warned_run(place / "warned"), add=["early"], note="by moments")
    hostile_run(place / "hostile")
    (place / "broken").mkdir()
    (place / "broken" / "manifest.json").write_text("{")
    return place


@pytest.fixture(scope="module")
def viewer(results: Path) -> Iterator[Viewer]:
    with serving(results) as server:
        yield server
