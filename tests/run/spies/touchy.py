"""A task that cannot ask about every clip."""

from __future__ import annotations

from typing import Any

from ghostbench.tasks.ghost_probing import GhostProbing


class Touchy(GhostProbing):
    name = "touchy"

    def build(self, frames: Any) -> Any:
        if frames is not None and frames.pixels.mean() > 150:
            raise ValueError("too bright to ask about")
        return super().build(frames)
