"""A video file opened with PyAV: what it declares, and whether what was decoded is all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import av
import av.error
from av.stream import Disposition
from av.video.stream import VideoStream

from ghostbench.datasets.other_files import ENOUGH, what_else
from ghostbench.errors import DecodeFailed
from ghostbench.media.complaints import complaints, listen
from ghostbench.media.limits import MAX_FRAME_PIXELS, check_frame_size
from ghostbench.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext

SHORTFALL: Final = 0.01
"""A clip is torn if more than this share of its declared length, and at least two frames, cannot be decoded."""

_CONTAINER_OPTIONS: Final = {
    # Playlists and scripts name other files and addresses: only self-contained formats are opened.
    "format_whitelist": "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,flv,asf,ogg,m4v,h264,hevc",
    "protocol_whitelist": "file",
    # Presentation stamps that PyAV would have made up: ffmpeg does not, and chooses others in their place.
    "fflags": "-genpts",
}
# Titles in other encodings than UTF-8 are no fault of a clip. From PyAV 19 on they never raise, and cannot be set to.
_FOREIGN_METADATA: Final[dict[str, Any]] = (
    {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "ignore"}
)
_ERR_DETECT: Final = "crccheck+bitstream+buffer+careful"
_STATES_DURATION: Final = ("matroska", "mov")
"""Formats whose header states a duration; others' durations are estimates from the bytes that are there."""


@contextmanager
def open_video(file: str | IO[bytes]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its best video stream, ready to decode. `file` is a path or an open binary file.

    Raises `DecodeFailed` if there is no video or its frames are too large, and PyAV's errors.
    """
    if not isinstance(file, str):
        file.seek(0)
    listen()
    source = os.path.abspath(file) if isinstance(file, str) else file
    try:
        with complaints():  # which this one is not asked about: what matters of them comes again while decoding
            opened = av.open(source, "r", options=dict(_CONTAINER_OPTIONS), **_FOREIGN_METADATA)
    except (av.error.InvalidDataError, av.error.EOFError):
        other = _other(file)
        if other is None:
            raise
        raise DecodeFailed(f"this is no video: {other}") from None
    with opened as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise DecodeFailed("the file holds no video")
        if stream.disposition & Disposition.attached_pic:
            raise DecodeFailed("the file holds no video, only a picture that goes with its sound")
        context: VideoCodecContext | None = stream.codec_context
        if context is None:
            raise DecodeFailed("the file holds no video that can be decoded: its coding is unknown")
        check_frame_size(context.width, context.height)
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS), "err_detect": _ERR_DETECT}
        context.thread_count = 1
        context.thread_type = "SLICE"
        yield container, stream


def _other(file: str | IO[bytes]) -> str | None:
    """What a file is that does not open as a video, in words; None where that cannot be told."""
    if isinstance(file, str):
        with open(file, "rb") as opened:
            first = opened.read(ENOUGH)
    else:
        file.seek(0)
        first = file.read(ENOUGH)
    if not first:
        return "the file is empty"
    if not first.strip(b"\0"):
        return "the file begins with zeros alone, as one whose copy was broken off does"
    what = what_else(first)
    return f"it is {what}" if what else None


def check_complete(container: InputContainer, stream: VideoStream, timeline: Timeline, decoded_to: int | None) -> None:
    """Raises `DecodeFailed` if clearly less was decoded than the container declares.

    Lengths are compared and not numbers of frames: an edit list hides frames, and an AVI counts those that were dropped
    while recording. decoded_to : the end of the last packet by its decoding stamp, in the stream's time base.
    """
    count = len(timeline.stamps)
    stated_s = stated_duration_s(container, stream)
    # The stamps of AVI are places in the order of decoding, and so is its length.
    end = decoded_to if container.format.name == "avi" else timeline.end
    if not stated_s or end is None:
        return
    begin = 0 if "matroska" in container.format.name else stream.start_time or 0
    covered_s = float((end - begin) * timeline.time_base)
    frame_s = float(1 / timeline.rate) if timeline.rate else timeline.duration_s / count
    # Half a frame is for rounding.
    if stated_s - covered_s >= 1.5 * frame_s and stated_s - covered_s > SHORTFALL * stated_s:
        if stream.frames > count:
            raise DecodeFailed(f"the file is torn: it declares {stream.frames} frames and {count} could be decoded")
        raise DecodeFailed(f"the file is torn: it declares {stated_s:.3f} s and {covered_s:.3f} s could be decoded")


def stated_duration_s(container: InputContainer, stream: VideoStream) -> float:
    """How long the header says that the video stream is, seconds; 0.0 where it does not say."""
    stated = 0.0
    if container.format.name == "avi":
        # What FFmpeg gives as the duration is what it found of it; in this format one tick is one frame.
        stated = float(stream.frames * (stream.time_base or 0))
    elif any(name in container.format.name for name in _STATES_DURATION):
        if stream.duration is not None and stream.time_base is not None:
            stated = float(stream.duration * stream.time_base)
        else:
            stated = _tagged_s(stream)
            if not stated and container.duration is not None and len(container.streams) == 1:
                stated = container.duration / av.time_base
    return stated


def _tagged_s(stream: VideoStream) -> float:
    """The duration that a Matroska file states of one stream (hours:minutes:seconds); 0.0 where it does not."""
    tag = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in tag)
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + seconds
