"""The pictures that a report holds of free clips, drawn by the run while their frames are in hand."""

from __future__ import annotations

from collections.abc import Callable

from ghostbench.datasets.storage import Media
from ghostbench.frames import Frames
from ghostbench.media.sampling import Sampling
from ghostbench.plugins.registry import registry

FEW = 8
"""Clips up to which they are: the frames of all are held until that is done."""


def drawing_ahead(dataset: str, clips: int, sampling: Sampling) -> Callable[[str, Frames], None] | None:
    """What is to be called with the media and the frames of each clip; None for media that are not free, or many."""
    spec = registry().datasets.get(dataset)
    if spec is None or not spec.free_media or clips > FEW:
        return None

    def draw(media: str, frames: Frames) -> None:
        from ghostbench.report.frame_strips import draw_ahead

        draw_ahead(Media.parse(media), sampling, frames)

    return draw
