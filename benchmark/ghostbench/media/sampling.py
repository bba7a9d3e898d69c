"""Which frames of a clip the models see.

`uniform:N` takes the centres of N equal parts of the clip's n frames: frame numbers floor((i + 1/2) n / N) for
i = 0 … N-1, computed in integers. A clip with fewer than N frames gives each of its frames once.

`fps:R` takes the frames nearest in time to (k + 1/2) / R seconds for k = 0, 1, … below the clip's duration, the earlier
frame at equal distance, each frame once. A clip shorter than 1/(2R) seconds gives the frame nearest to its middle, so
that no clip is left without a frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ghostbench.errors import BadInput, DecodeFailed
from ghostbench.media.limits import MAX_FRAMES

MAX_UNIFORM = 256
"""The most frames that `uniform` gives."""
MAX_FPS = 60
"""The highest rate that `fps` takes."""

_TIE_S = 1e-9
"""Distances that differ by less are equal: the times are rounded fractions of a second."""
_FORM = re.compile(r"(?P<kind>uniform|fps):(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)")


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampler. `str` gives the form that `parse_sampling` reads.

    kind : "uniform" or "fps".
    value : N, a whole number in 1 … MAX_UNIFORM; or R in frames per second, 0 < R <= MAX_FPS, exact.
    """

    kind: Literal["uniform", "fps"]
    value: Fraction

    def __str__(self) -> str:
        number = str(int(self.value)) if self.value.denominator == 1 else f"{float(self.value):.9f}".rstrip("0")
        return f"{self.kind}:{number}"

    def indices(self, n_frames: int) -> tuple[int, ...]:
        """The frame numbers that `uniform` takes of a clip of n_frames >= 1 frames, ascending, without repeats."""
        if self.kind != "uniform":
            raise ValueError("the frames of an fps sampler depend on their times")
        n = int(self.value)
        if n_frames <= n:
            return tuple(range(n_frames))
        return tuple((2 * i + 1) * n_frames // (2 * n) for i in range(n))

    def targets(self) -> Iterator[float]:
        """The times that `fps` aims at, seconds, ascending without end."""
        if self.kind != "fps":
            raise ValueError("a uniform sampler aims at no times")
        k = 0
        while True:
            yield float((k + Fraction(1, 2)) / self.value)
            k += 1

    def nearest(self, times_s: Sequence[float], duration_s: float) -> tuple[int, ...]:
        """The frame numbers that `fps` takes of a clip whose frames have these ascending times, without repeats.

        Raises `DecodeFailed` for a clip so long, by its time stamps, that aiming at all targets would take for ever.
        """
        if duration_s * self.value > MAX_FRAMES:
            raise DecodeFailed(f"the clip lasts {duration_s:.0f} s by its time stamps, too long for {self}")
        chosen: dict[int, None] = {}
        at = 0
        for target in self.targets():
            if target >= duration_s and chosen:
                break
            aim = target if target < duration_s else duration_s / 2
            while at + 1 < len(times_s) and abs(times_s[at + 1] - aim) < abs(times_s[at] - aim) - _TIE_S:
                at += 1
            chosen[at] = None
            if target >= duration_s:
                break
        return tuple(chosen)


def parse_sampling(text: str) -> Sampling:
    """The sampler that "uniform:N" or "fps:R" names.

    N is a whole number in 1 … 256; R a decimal number, 0 < R <= 60. Raises `BadInput` for anything else.
    """
    match = _FORM.fullmatch(text)
    if match is not None:
        value = Fraction(match["number"])
        if match["kind"] == "uniform" and value.denominator == 1 and "." not in text and 1 <= value <= MAX_UNIFORM:
            return Sampling("uniform", value)
        if match["kind"] == "fps" and 0 < value <= MAX_FPS:
            return Sampling("fps", value)
    shown = ascii(text) if not text.isprintable() else f"'{text}'"
    raise BadInput(
        f"--sampling {shown[:80]}: give uniform:N with N from 1 to {MAX_UNIFORM}, "
        f"or fps:R with R above 0 and up to {MAX_FPS}"
    )
