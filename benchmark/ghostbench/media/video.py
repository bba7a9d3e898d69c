"""Decodes a video file with PyAV: every frame in order, the sampled ones turned to RGB.

The whole clip is decoded, because containers lie about their length and a torn file raises nothing. Frames are turned
to RGB as they pass, by what the container declares; where the clip turns out otherwise, though not so short as to be
torn, a second pass takes the right ones.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Final

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.media.limits import MAX_FRAME_PIXELS, MAX_FRAMES, check_frame_size, check_sample_size
from ghostbench.media.sampling import Sampling
from ghostbench.records import Frames

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
_STATES_DURATION: Final = ("matroska", "mov")
"""Formats whose header states a duration; others' durations are estimates from the bytes that are there."""


def decode_video(file: str | IO[bytes], sampling: Sampling, *, threads: int = 1) -> Frames:
    """The sampled frames of a video file, given as a path or as an open binary file.

    Pixels are as stored (no correction of non-square pixels), turned as the file's rotation says.

    Raises `MissingMedia` if the file is not there, `DecodeFailed` with the decoder's own words, or saying how the clip
    is torn, damaged, empty or too large.
    """
    try:
        decoded = _decode_pass(file, threads, sampling, plan=None)
        wanted = decoded.wanted(sampling)
        if wanted != decoded.taken:
            decoded = _decode_pass(file, threads, sampling, plan=wanted)
            if decoded.taken != wanted or decoded.wanted(sampling) != wanted:
                raise DecodeFailed("two passes over the file gave different frames")
    except FileNotFoundError:
        raise MissingMedia("the media is no longer where it was when the clips were listed") from None
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise DecodeFailed(f"{type(error).__name__}: {words}") from None
    times = decoded.times_s
    return Frames(
        decoded.upright(),
        indices=wanted,
        times_s=tuple(times[index] for index in wanted),
        duration_s=decoded.duration_s,
        decoder=f"PyAV {av.__version__} ({decoded.codec})",
    )


@dataclass(slots=True)
class _Decoded:
    """One pass over a clip: every frame's time, and the pixels of the frames that the plan named."""

    codec: str
    time_base: Fraction
    rate: Fraction | None
    pts: list[int | None] = field(default_factory=list)
    last_duration: int = 0
    rotation: int = 0
    pixels: npt.NDArray[np.uint8] | None = None
    taken: tuple[int, ...] = ()
    _times: list[float] | None = None

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

    def upright(self) -> npt.NDArray[np.uint8]:
        """The pixels, turned as the file says that they are to be shown."""
        assert self.pixels is not None
        turns = round(self.rotation / 90) % 4
        if turns == 0:
            return self.pixels
        return np.ascontiguousarray(np.rot90(self.pixels, turns, axes=(1, 2)))


def _decode_pass(file: str | IO[bytes], threads: int, sampling: Sampling, *, plan: tuple[int, ...] | None) -> _Decoded:
    """Decode every frame and keep the pixels of those in the plan; without a plan, of those that seem to be wanted.

    `taken` is the plan, or () where the clip ended before all of it was seen.
    """
    if not isinstance(file, str):
        file.seek(0)
    source = os.path.abspath(file) if isinstance(file, str) else file
    with av.open(source, "r", options=dict(_CONTAINER_OPTIONS), metadata_errors="ignore") as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise DecodeFailed("the file holds no video")
        _set_up(stream, threads)
        decoded = _Decoded(
            codec=stream.codec_context.name,
            time_base=stream.time_base or Fraction(1, 1000),
            rate=stream.average_rate or stream.guessed_rate,
        )
        if plan is None:
            plan = _expected(stream, container, sampling)
        seen = _take(container, stream, decoded, plan)
        _check_complete(container, stream, decoded)
    decoded.taken = plan if seen == len(plan) else ()
    return decoded


def _set_up(stream: VideoStream, threads: int) -> None:
    context = stream.codec_context
    check_frame_size(context.width, context.height)
    context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    context.thread_count = threads
    context.thread_type = "AUTO" if threads > 1 else "SLICE"


def _take(container: InputContainer, stream: VideoStream, decoded: _Decoded, plan: tuple[int, ...]) -> int:
    """Decode to the end; return how many frames of the plan were kept."""
    reformatter = VideoReformatter()
    seen = 0
    size: tuple[int, int] | None = None
    frame = None
    for index, frame in enumerate(container.decode(stream)):
        if frame.is_corrupt:
            raise DecodeFailed(f"the decoder found frame {index} damaged and had to make up parts of it")
        if index >= MAX_FRAMES:
            raise DecodeFailed(f"the clip has more than the {MAX_FRAMES} frames that are decoded")
        if size is None:
            size = (frame.width, frame.height)
            check_frame_size(*size)
            decoded.rotation = frame.rotation
        elif (frame.width, frame.height) != size:
            raise DecodeFailed(f"the frames change size, from {size[0]}x{size[1]} to {frame.width}x{frame.height}")
        decoded.pts.append(frame.pts)
        if seen < len(plan) and index == plan[seen]:
            if decoded.pixels is None:
                check_sample_size(len(plan), *size)
                decoded.pixels = np.empty((len(plan), size[1], size[0], 3), np.uint8)
            decoded.pixels[seen] = _rgb(reformatter, frame)
            seen += 1
    if frame is None:
        raise DecodeFailed("the file holds no frame that can be decoded")
    decoded.last_duration = frame.duration or 0
    return seen


def _rgb(reformatter: VideoReformatter, frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """Pixels [height, width, 3], a view that lives as long as it is held."""
    plane = reformatter.reformat(frame, format="rgb24", threads=1).planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)


def _expected(stream: VideoStream, container: InputContainer, sampling: Sampling) -> tuple[int, ...]:
    """The frames that the sampler would take if the container told the truth; () where it says nothing useful."""
    rate = stream.average_rate or stream.guessed_rate
    count = stream.frames
    if count <= 0 and rate:
        count = round(_stated_duration_s(container, stream) * rate)
    if not rate or not 0 < count <= MAX_FRAMES:
        return ()
    if sampling.kind == "uniform":
        return sampling.indices(count)
    return sampling.nearest([float(index / rate) for index in range(count)], float(count / rate))


def _check_complete(container: InputContainer, stream: VideoStream, decoded: _Decoded) -> None:
    """Raises `DecodeFailed` if clearly less was decoded than the container declares."""
    count = len(decoded.pts)
    declared = stream.frames
    if declared > 0:
        if declared - count >= 2 and declared - count > SHORTFALL * declared:
            raise DecodeFailed(f"the file is torn: it declares {declared} frames and {count} could be decoded")
        return
    stated_s = _stated_duration_s(container, stream)
    start_s = float(max(decoded.pts[0] or 0, 0) * decoded.time_base)
    covered_s = start_s + decoded.duration_s
    frame_s = decoded.duration_s / count
    if stated_s - covered_s >= 2 * frame_s and stated_s - covered_s > SHORTFALL * stated_s:
        raise DecodeFailed(f"the file is torn: it declares {stated_s:.3f} s and {covered_s:.3f} s could be decoded")


def _stated_duration_s(container: InputContainer, stream: VideoStream) -> float:
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
