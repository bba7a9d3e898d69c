"""Counts a clip's frames as they decode, and says when each is shown: what annotations by frame number rest on."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from ghostbench.datasets.storage import Media, is_local, open_media
from ghostbench.media.decode import decode
from ghostbench.media.sampling import Sampling
from ghostbench.media.video import video_times

_ONE: Final = Sampling("uniform", Fraction(1))


def frame_times(media: str) -> tuple[float, ...]:
    """The presentation time of every frame, seconds from the clip's start, ascending.

    media : `Clip.media`, as for `ghostbench.media.decode.decode`, whose errors it raises. A digest that the split
    states is checked when the clip is decoded for its frames.
    """
    source = Media.parse(media)
    if source.kind == "file":
        with open_media(source.location, within=source.within) as file:
            return video_times(source.location if is_local(source.location) else file)
    fps = source.fps or 30.0
    return tuple(index / fps for index in range(round(decode(media, _ONE).duration_s * fps)))
