"""What a clip's frames are replaced by, to see whether the answer follows."""

from __future__ import annotations

from collections.abc import Sequence

from ghostbench.frames import Frames
from ghostbench.running.plan.probes import blank, shuffled

VARIANTS = ("blank", "shuffled", "another clip's")
"""The names of the variants, as the report calls the frames."""


def variant(name: str, own: int, frames: Sequence[Frames]) -> Frames | None:
    """The frames that stand in for those of clip `own`, at its own times: the question stays the same to the letter.

    None where there is nothing to replace them by: no second clip.
    """
    if name == "blank":
        return blank(frames[own])
    if name == "shuffled":
        return shuffled(frames[own])
    if len(frames) < 2:
        return None
    return _transplanted(frames[own], frames[(own + 1) % len(frames)])


def _transplanted(frames: Frames, donor: Frames) -> Frames:
    """The donor's pixels, as many as there were, spread evenly over the donor, under the clip's own times."""
    import numpy as np

    count = len(frames)
    positions = [int((i + 0.5) * len(donor) / count) for i in range(count)]
    return Frames(
        np.ascontiguousarray(donor.pixels[positions]),
        indices=frames.indices,
        times_s=frames.times_s,
        duration_s=frames.duration_s,
        decoder=donor.decoder,
    )
