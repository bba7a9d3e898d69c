"""Counts a clip's frames as they decode, and says when each is shown: what annotations by frame number rest on."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.storage import Media, open_media
from ghostbench.media.decode import decode
from ghostbench.media.sampling import Sampling
from ghostbench.media.video import video_times

_ONE: Final = Sampling("uniform", Fraction(1))


def frame_times(media: str, credentials: Credentials = NO_CREDENTIALS) -> tuple[float, ...]:
    """The presentation time of every frame, seconds from the clip's start, ascending.

    media, credentials : as for `ghostbench.media.decode.decode`, whose errors it raises. A digest that the split
    states is checked when the clip is decoded for its frames.
    """
    source = Media.parse(media)
    if source.kind == "file":
        location = source.opened_with(credentials)
        with open_media(location, within=source.within) as file:
            return video_times(location.shown if location.is_local else file)
    fps = source.fps or 30.0
    return tuple(index / fps for index in range(round(decode(media, _ONE, credentials).duration_s * fps)))
