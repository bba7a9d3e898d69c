"""When each frame of a clip is shown: on which clock, from which stamps, and for how long."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from ghostbench.errors import DecodeFailed
from ghostbench.media.sampling import Sampling

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_MICROSECOND: Final = Fraction(1, 1_000_000)
_NEVER: Final = -(1 << 63)
"""Before every time stamp."""


@dataclass(slots=True)
class Timeline:
    """When each frame of a clip is shown, in time stamps and in seconds.

    start_s : where the file's clock begins, in the stamps' own seconds; None where it does not say.
    decoding_order : the stamps say when frames are decoded, and nothing says when they are shown (AVI).
    opening : the decoding stamp of the first packet.
    late : frames at the clip's beginning could not be decoded, so that the first one here is not the first packet's.
    stamps : of each frame, in `time_base`; None where nothing states one.
    """

    time_base: Fraction
    rate: Fraction | None
    start_s: Fraction | None = None
    decoding_order: bool = False
    opening: int | None = None
    late: bool = False
    stamps: list[int | None] = field(default_factory=list)
    last_duration: int = 0
    _last_pts: int = _NEVER
    _last_dts: int = _NEVER
    _faulty_pts: int = 0
    _faulty_dts: int = 0
    _times: list[float] | None = None

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> Timeline:
        """The timeline of a stream, still without frames.

        The clock begins with the first of the file's streams, as players and ffmpeg have it: a picture that comes half
        a second after the sound is shown at 0.5 s.
        """
        time_base = stream.time_base or Fraction(1, 1000)
        start_s = None if container.start_time is None else container.start_time * _MICROSECOND
        if start_s is not None and stream.start_time is not None:
            own = stream.start_time * time_base
            # The container's start is rounded to microseconds; where it is this stream's, that one is exact.
            start_s = own if abs(own - start_s) <= _MICROSECOND else start_s
        return cls(
            time_base=time_base,
            rate=stream.average_rate or stream.guessed_rate,
            start_s=start_s,
            decoding_order=container.format.name == "avi",
        )

    def add(self, pts: int | None, dts: int | None, duration: int) -> None:
        """The next frame: its presentation and decoding stamps and its duration, in `time_base`.

        The stamp is chosen as FFmpeg chooses `best_effort_timestamp` (`guess_correct_pts` in libavcodec/decode.c): the
        presentation stamp, unless those were found out of order more often than the decoding stamps. A frame that has
        neither follows on the one before it.
        """
        if dts is not None:
            self._faulty_dts += dts <= self._last_dts
            self._last_dts = dts
        elif pts is not None:
            self._last_dts = pts
        if pts is not None:
            self._faulty_pts += pts <= self._last_pts
            self._last_pts = pts
        elif dts is not None:
            self._last_pts = dts
        stamp = pts if pts is not None and (self._faulty_pts <= self._faulty_dts or dts is None) else dts
        if stamp is None and self.stamps and (before := self.stamps[-1]) is not None:
            stamp = before + self._ticks(self.last_duration)
        self.stamps.append(stamp)
        self.last_duration = duration

    @property
    def end(self) -> int | None:
        """The stamp at which the last frame's showing ends; None where its own stamp is not known."""
        last = self.stamps[-1] if self.stamps else None
        return None if last is None else last + self._ticks(self.last_duration)

    @property
    def times_s(self) -> list[float]:
        """Every frame's presentation time, seconds from the clip's beginning, ascending.

        From the time stamps; where a frame has none, or they do not ascend, from the frame rate.
        """
        if self._times is None:
            stamps = [stamp for stamp in self.stamps if stamp is not None]
            ascending = all(a < b for a, b in itertools.pairwise(stamps))
            if len(stamps) == len(self.stamps) and ascending:
                # Division of integers rounds once, as fractions do, and takes a tenth of their time.
                zero, base = self._zero(stamps[0]), self.time_base
                n, z, d = base.numerator, zero.numerator, zero.denominator
                self._times = [(stamp * d - z) * n / (d * base.denominator) for stamp in stamps]
            elif self.rate:
                n, d = self.rate.numerator, self.rate.denominator
                self._times = [index * d / n for index in range(len(self.stamps))]
            else:
                raise DecodeFailed("the file states neither the frames' times nor a frame rate")
        return self._times

    @property
    def duration_s(self) -> float:
        """From the clip's beginning to the end of the last frame's showing."""
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
            return sampling.indices(len(self.stamps))
        return sampling.nearest(self.times_s, self.duration_s)

    def _zero(self, first: int) -> int | Fraction:
        """The stamp at which the clip's clock begins, never after the first frame."""
        if self.start_s is None:
            return first
        exact = self.start_s / self.time_base
        begin = exact.numerator if exact.denominator == 1 else exact
        if self.decoding_order and not self.late:
            # The first frame is shown when its packet comes; that the decoder holds it back is no part of the clip.
            begin += first - (begin if self.opening is None else self.opening)
        return min(first, begin)

    def _ticks(self, duration: int) -> int:
        """A frame's duration, by the frame rate where the file states none."""
        if duration > 0 or not self.rate:
            return duration
        return round(1 / (self.rate * self.time_base))
