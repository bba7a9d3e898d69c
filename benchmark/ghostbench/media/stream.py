"""A video file opened with PyAV: what it declares, what one pass over it gave, and whether that is all of it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ghostbench.errors import DecodeFailed
from ghostbench.media.limits import MAX_FRAME_PIXELS, check_frame_size, check_sample_size
from ghostbench.media.sampling import Sampling

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

SHORTFALL: Final = 0.01
"""A clip is torn if more than this share of its declared frames, and at least two, cannot be decoded."""

_CONTAINER_OPTIONS: Final = {
    # Playlists and scripts name other files and addresses: only self-contained formats are opened.
    "format_whitelist": "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,flv,asf,ogg,m4v,h264,hevc",
    "protocol_whitelist": "file",
    # A packet cut off by the file's end would be decoded to a frame that is partly made up.
    "fflags": "+discardcorrupt",
}
# Titles in other encodings than UTF-8 are no fault of a clip. From PyAV 19 on they never raise, and cannot be set to.
_FOREIGN_METADATA: Final[dict[str, Any]] = (
    {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "ignore"}
)
_STATES_DURATION: Final = ("matroska", "mov")
"""Formats whose header states a duration; others' durations are estimates from the bytes that are there."""


@contextmanager
def open_video(file: str | IO[bytes], threads: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its best video stream, ready to decode. `file` is a path or an open binary file.

    Raises `DecodeFailed` if there is no video or its frames are too large, and PyAV's errors.
    """
    if not isinstance(file, str):
        file.seek(0)
    source = os.path.abspath(file) if isinstance(file, str) else file
    with av.open(source, "r", options=dict(_CONTAINER_OPTIONS), **_FOREIGN_METADATA) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise DecodeFailed("the file holds no video")
        context = stream.codec_context
        check_frame_size(context.width, context.height)
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        context.thread_count = threads
        context.thread_type = "AUTO" if threads > 1 else "SLICE"
        yield container, stream


class Taker:
    """Turns chosen frames to RGB, into one array for all of them.

    Every frame must pass `check`; `pixels` is uint8 [count, height, width, 3], None before the first frame taken.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self.pixels: npt.NDArray[np.uint8] | None = None
        self.rotation = 0
        self._size: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()

    def check(self, frame: VideoFrame, index: int) -> None:
        """Raises `DecodeFailed` for a frame that is damaged, too large, or of another size than those before it."""
        if frame.is_corrupt:
            raise DecodeFailed(f"the decoder found frame {index} damaged and had to make up parts of it")
        size = (frame.width, frame.height)
        if self._size is None:
            check_frame_size(*size)
            self._size = size
            self.rotation = frame.rotation
        elif size != self._size:
            raise DecodeFailed(f"the frames change size, from {self._size[0]}x{self._size[1]} to {size[0]}x{size[1]}")

    def take(self, frame: VideoFrame) -> None:
        """Keep this frame, which has passed `check`, as the next one."""
        width, height = frame.width, frame.height
        if self.pixels is None:
            check_sample_size(self.count, width, height)
            self.pixels = np.empty((self.count, height, width, 3), np.uint8)
        plane = self._reformatter.reformat(frame, format="rgb24", threads=1).planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
        self.pixels[self.taken] = rows[:, : width * 3].reshape(height, width, 3)
        self.taken += 1

    def upright(self) -> npt.NDArray[np.uint8]:
        """The pixels, turned as the file says that they are to be shown."""
        assert self.pixels is not None
        turns = round(self.rotation / 90) % 4
        if turns == 0:
            return self.pixels
        return np.ascontiguousarray(np.rot90(self.pixels, turns, axes=(1, 2)))


@dataclass(slots=True)
class Timeline:
    """When each frame of a clip is shown, in time stamps and in seconds."""

    time_base: Fraction
    rate: Fraction | None
    pts: list[int | None] = field(default_factory=list)
    last_duration: int = 0
    _times: list[float] | None = None

    @classmethod
    def of(cls, stream: VideoStream) -> Timeline:
        """The timeline of a stream, still without frames."""
        rate = stream.average_rate or stream.guessed_rate
        return cls(time_base=stream.time_base or Fraction(1, 1000), rate=rate)

    @property
    def times_s(self) -> list[float]:
        """Every frame's presentation time, seconds from the first frame, ascending.

        From the time stamps; where a frame has none, or they do not ascend, from the frame rate.
        """
        if self._times is None:
            stamps = [stamp for stamp in self.pts if stamp is not None]
            ascending = all(a < b for a, b in itertools.pairwise(stamps))
            if len(stamps) == len(self.pts) and ascending:
                self._times = [float((stamp - stamps[0]) * self.time_base) for stamp in stamps]
            elif self.rate:
                self._times = [float(index / self.rate) for index in range(len(self.pts))]
            else:
                raise DecodeFailed("the file states neither the frames' times nor a frame rate")
        return self._times

    @property
    def duration_s(self) -> float:
        """From the first frame's time to the end of the last frame's showing."""
        times = self.times_s
        if self.last_duration > 0:
            last = float(self.last_duration * self.time_base)
        elif self.rate:
            last = float(1 / self.rate)
        else:
            last = times[-1] / (len(times) - 1) if len(times) > 1 else 1.0
        return times[-1] + last

    def wanted(self, sampling: Sampling) -> tuple[int, ...]:
        """The frame numbers that the sampler takes of the clip as it really is."""
        if sampling.kind == "uniform":
            return sampling.indices(len(self.pts))
        return sampling.nearest(self.times_s, self.duration_s)


def check_complete(container: InputContainer, stream: VideoStream, timeline: Timeline) -> None:
    """Raises `DecodeFailed` if clearly less was decoded than the container declares."""
    count = len(timeline.pts)
    declared = stream.frames
    if declared > 0:
        if declared - count >= 2 and declared - count > SHORTFALL * declared:
            raise DecodeFailed(f"the file is torn: it declares {declared} frames and {count} could be decoded")
        return
    stated_s = stated_duration_s(container, stream)
    start_s = float(max(timeline.pts[0] or 0, 0) * timeline.time_base)
    covered_s = start_s + timeline.duration_s
    frame_s = timeline.duration_s / count
    if stated_s - covered_s >= 2 * frame_s and stated_s - covered_s > SHORTFALL * stated_s:
        raise DecodeFailed(f"the file is torn: it declares {stated_s:.3f} s and {covered_s:.3f} s could be decoded")


def stated_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """How long the header says that the video stream is, seconds; 0.0 where it does not say."""
    if not any(name in container.format.name for name in _STATES_DURATION):
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "").split(":")
    if len(tag) == 3:
        try:
            return float(tag[0]) * 3600 + float(tag[1]) * 60 + float(tag[2])
        except ValueError:
            return 0.0
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return 0.0
