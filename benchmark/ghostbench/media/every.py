"""Every frame of a clip, one after the other, by the decoder and with the pixels of a run."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import IO, TYPE_CHECKING

import av.error

from ghostbench.credentials import NO_CREDENTIALS, Credentials
from ghostbench.datasets.storage import Media, open_media
from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.media.decode import decode
from ghostbench.media.limits import MAX_FRAMES
from ghostbench.media.playback import Playback
from ghostbench.media.sampling import Sampling
from ghostbench.media.stream import open_video
from ghostbench.media.taker import Taker
from ghostbench.media.timeline import Timeline

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def every_frame(
    media: str, times: list[float], credentials: Credentials = NO_CREDENTIALS
) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames of one clip in order, RGB [height, width, 3]; of a video file one is in memory at a time.

    media, credentials : as for `decode`, whose frames have the same pixels under the same numbers. times : after the
    last frame it holds the presentation time of each, seconds from the clip's start: those of `ghostbench.media.count`.

    Raises what `decode` does.
    """
    source = Media.parse(media)
    if source.kind != "file":
        whole = decode(media, Sampling("uniform", Fraction(MAX_FRAMES)), credentials)
        yield from whole.pixels
        times += whole.times_s
        return
    location = source.opened_with(credentials)
    with open_media(location, within=source.within) as file:
        yield from _of_video(location.shown if location.is_local else file, times)


def _of_video(file: str | IO[bytes], times: list[float]) -> Iterator[npt.NDArray[np.uint8]]:
    try:
        with open_video(file) as (container, stream):
            timeline = Timeline.of(container, stream)
            playback = Playback(container, stream)
            for index, frame in enumerate(playback.frames()):
                if index >= MAX_FRAMES:
                    raise DecodeFailed(f"the clip has more than the {MAX_FRAMES} frames that are decoded")
                taker = Taker(1)
                taker.check(frame)
                timeline.add(frame.pts, frame.dts, frame.duration)
                taker.take(frame)
                yield taker.upright()[0]
            timeline.opening, timeline.late = playback.opening, playback.late
            times += timeline.times_s if timeline.stamps else ()
    except FileNotFoundError:
        raise MissingMedia("the media is no longer where it was when the clips were listed") from None
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeFailed(f"{type(error).__name__}: {error.strerror or error}") from None
