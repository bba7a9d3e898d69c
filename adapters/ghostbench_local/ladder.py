"""The fallback levels of a model that is computed here."""

from __future__ import annotations

from ghostbench import Level, Nonfinite, OutOfMemory, RequestTooLarge


def ladder(dtype: str) -> list[Level]:
    """The rungs below a model in this type: float32 where numbers ran over, fewer frames where they do not fit."""
    more: list[Level] = []
    if dtype != "float32":
        more.append(Level(name="float32", settings={"dtype": "float32"}, after=(Nonfinite,)))
    more += [
        Level(name=f"{frames} frames", max_frames=frames, after=(OutOfMemory, RequestTooLarge)) for frames in (5, 2)
    ]
    return more
