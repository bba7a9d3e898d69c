"""Recordings written for a test, and the model that replays them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ghostbench import ReferenceModel

WriteRecording = Callable[..., Path]
OpenReplay = Callable[[Path], ReferenceModel]


@pytest.fixture
def write_recording(tmp_path: Path) -> WriteRecording:
    """Writes rows as JSON lines and returns the file's path."""

    def write(*rows: Any, name: str = "recorded.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def open_replay() -> OpenReplay:
    """The model `replay:FILE`, as a run builds it."""

    def open_(path: Path) -> ReferenceModel:
        from ghostbench.plugins.choose import build_model, build_settings, parse_model

        choice = parse_model(f"replay:{path}")
        model = build_model(choice, build_settings(choice, {}))
        assert isinstance(model, ReferenceModel)
        return model

    return open_
