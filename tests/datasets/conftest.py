"""What watches over the files and the network while others' files are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_WATCHED: list[set[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _WATCHED and isinstance(arguments[0], (str, bytes)):
        name = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode("utf-8", "replace")
        for opened in _WATCHED:
            opened.add(name)


@pytest.fixture
def opened() -> Iterator[set[str]]:
    """The path of everything that Python opens during the test."""
    if not hasattr(sys, "_ghostbench_watched"):
        sys.addaudithook(_note)  # stays for the process, and does nothing while no test watches
        sys._ghostbench_watched = True  # type: ignore[attr-defined]
    paths: set[str] = set()
    _WATCHED.append(paths)
    yield paths
    _WATCHED.remove(paths)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the user's, outside of every folder that a test hands over."""
    path = tmp_path / "private" / "labels.csv"
    path.parent.mkdir()
    path.write_text("video_id,ground_truth_label\na,none\n")
    return path
