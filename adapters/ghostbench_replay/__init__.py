"""Recorded responses as a model: an earlier study's answers, read and scored by today's rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from ghostbench import ModelSpec, hookimpl


def row_name(file: str) -> str:
    """The row's name in the tables where the user gave none: the file's name without its last suffix."""
    return PurePath(file).stem or file


@hookimpl
def register_models(register: Callable[[ModelSpec], None]) -> None:
    """Register the family `replay:FILE`."""
    register(
        ModelSpec(
            name="replay",
            load="ghostbench_replay.model:Replay",
            kind="reference",
            summary="recorded responses: JSON lines with `clip` and `raw`",
            family="FILE",
            row_name=row_name,
            needs_frames=False,
            reads_words=True,
            mark="recorded",
        )
    )
