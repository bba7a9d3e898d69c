"""Decodes a video file with PyAV: every frame in order, the sampled ones turned to RGB.

The whole clip is decoded, because containers lie about their length and a torn file raises nothing. Frames are turned
to RGB as they pass, by what the container declares; where the clip turns out otherwise, though not so short as to be
torn, a second pass takes the right ones. Clips whose coding allows it take a shorter way to the same pixels
(`ghostbench.media.groups`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING

import av
import av.error

from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.frames import Frames
from ghostbench.media.groups import decode_groups
from ghostbench.media.limits import MAX_FRAMES
from ghostbench.media.playback import Playback
from ghostbench.media.sampling import Sampling
from ghostbench.media.stream import check_complete, open_video, stated_duration_s
from ghostbench.media.taker import Taker
from ghostbench.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def decode_video(file: str | IO[bytes], sampling: Sampling, *, every_frame: bool = False) -> Frames:
    """The sampled frames of a video file, given as a path or as an open binary file.

    Pixels are as stored (no correction of non-square pixels), turned as the file's rotation says. `every_frame` decodes
    the whole clip even where its coding allows less; the result is the same.

    Raises `MissingMedia` if the file is not there, `DecodeFailed` with the decoder's own words, or saying how the clip
    is torn, damaged, empty or too large.
    """
    codec, timeline, taker, indices = _decoded(file, sampling, every_frame=every_frame)
    times = timeline.times_s
    return Frames(
        taker.upright(),
        indices=indices,
        times_s=tuple(times[index] for index in indices),
        duration_s=timeline.duration_s,
        decoder=f"PyAV {av.__version__} ({codec})",
    )


def video_times(file: str | IO[bytes]) -> tuple[float, ...]:
    """The presentation time of every frame of a video file; raises as `decode_video` does."""
    _, timeline, _, _ = _decoded(file, Sampling("uniform", Fraction(1)), every_frame=False)
    return tuple(timeline.times_s)


def _decoded(
    file: str | IO[bytes], sampling: Sampling, *, every_frame: bool
) -> tuple[str, Timeline, Taker, tuple[int, ...]]:
    """Codec, every frame's time, the sampled frames' pixels and their numbers, the short way where that is the same."""
    try:
        found = None if every_frame else decode_groups(file, sampling)
        return _decode_all(file, sampling) if found is None else found
    except FileNotFoundError:
        raise MissingMedia("the media is no longer where it was when the clips were listed") from None
    except (av.error.FFmpegError, OSError) as error:
        words = error.strerror or str(error)
        raise DecodeFailed(f"{type(error).__name__}: {words}") from None


def _decode_all(file: str | IO[bytes], sampling: Sampling) -> tuple[str, Timeline, Taker, tuple[int, ...]]:
    """Codec, every frame's time, the sampled frames' pixels and their numbers."""
    first = _one_pass(file, sampling, plan=None)
    wanted = first.timeline.wanted(sampling)
    if first.taken == wanted:
        return first.codec, first.timeline, first.taker, wanted
    del first
    second = _one_pass(file, sampling, plan=wanted)
    if second.taken != wanted or second.timeline.wanted(sampling) != wanted:
        raise DecodeFailed("two passes over the file gave different frames")
    return second.codec, second.timeline, second.taker, wanted


@dataclass(frozen=True, slots=True)
class _Pass:
    """`taken` is the plan, or () where the clip ended before all of it was seen."""

    codec: str
    timeline: Timeline
    taker: Taker
    taken: tuple[int, ...]


def _one_pass(file: str | IO[bytes], sampling: Sampling, *, plan: tuple[int, ...] | None) -> _Pass:
    """Decode every frame and keep those in the plan; without a plan, those that the container's word suggests."""
    with open_video(file) as (container, stream):
        timeline = Timeline.of(container, stream)
        if plan is None:
            plan = _expected(stream, container, sampling)
        taker = Taker(len(plan))
        playback = Playback(container, stream)
        for index, frame in enumerate(playback.frames()):
            if index >= MAX_FRAMES:
                raise DecodeFailed(f"the clip has more than the {MAX_FRAMES} frames that are decoded")
            taker.check(frame)
            timeline.add(frame.pts, frame.dts, frame.duration)
            if taker.taken < len(plan) and index == plan[taker.taken]:
                taker.take(frame)
        if not timeline.stamps:
            raise DecodeFailed("the file holds no frame that can be decoded")
        timeline.opening, timeline.late = playback.opening, playback.late
        check_complete(container, stream, timeline, playback.decoded_to)
        return _Pass(stream.codec_context.name, timeline, taker, plan if taker.taken == len(plan) else ())


def _expected(stream: VideoStream, container: InputContainer, sampling: Sampling) -> tuple[int, ...]:
    """The frames that the sampler would take if the container told the truth; () where it says nothing useful."""
    rate = stream.average_rate or stream.guessed_rate
    counts = [stream.frames, round(stated_duration_s(container, stream) * rate) if rate else 0]
    count = min((count for count in counts if count > 0), default=0)
    if not rate or not 0 < count <= MAX_FRAMES:
        return ()
    if sampling.kind == "uniform":
        return sampling.indices(count)
    if count / rate * sampling.value > MAX_FRAMES:
        return ()
    return sampling.nearest([float(index / rate) for index in range(count)], float(count / rate))
