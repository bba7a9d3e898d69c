"""Probes: the same question with the pixels taken away, to see whether an answer depends on them."""

from __future__ import annotations

import random
from collections.abc import Callable

from ghostbench.errors import BadInput
from ghostbench.plugins.registry import printable
from ghostbench.records import Frames

MID_GREY = 128


def blank(frames: Frames) -> Frames:
    """The same number of frames at the same times, each pixel mid-grey."""
    import numpy as np

    return _with_pixels(frames, np.full_like(frames.pixels, MID_GREY))


def shuffled(frames: Frames) -> Frames:
    """The clip's own frames in another order under the old timestamps; the order depends on their number alone.

    No order is needed for fewer than two frames, and a permutation that changes nothing is never chosen.
    """
    import numpy as np

    order = list(range(len(frames)))
    draw = random.Random(len(order))  # noqa: S311 - not for security
    while len(order) > 1 and order == sorted(order):
        draw.shuffle(order)
    return _with_pixels(frames, np.ascontiguousarray(frames.pixels[order]))


def text_only(frames: Frames) -> None:
    """No frames at all: the question without anything to look at."""
    del frames


PROBES: dict[str, Callable[[Frames], Frames | None]] = {"blank": blank, "shuffled": shuffled, "text-only": text_only}
"""What each probe makes of a clip's frames, by the name used in `--probe` and in the row's name MODEL+PROBE."""


def parse_probes(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated list of probe names. Raises `BadInput`."""
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in PROBES:
            raise BadInput(f"--probe '{printable(name)}' is not known; choose from {', '.join(PROBES)}")
        if names.count(name) > 1:
            raise BadInput(f"--probe names {name} twice; name each probe once")
    return names


def probed(frames: Frames | None, probe: str | None) -> Frames | None:
    """The frames as the probe leaves them, made once per clip; unchanged without a probe."""
    if frames is None or probe is None:
        return frames
    return frames.memo(("probe", probe), PROBES[probe])


def thinned(frames: Frames | None, most: int | None) -> Frames | None:
    """At most that many of the frames, spread evenly over the clip (the centres of equal parts)."""
    if frames is None or most is None or len(frames) <= most:
        return frames
    count = len(frames)
    positions = tuple(int((i + 0.5) * count / most) for i in range(most))
    return frames.memo(("thinned", most), lambda whole: whole.take(positions))


def _with_pixels(frames: Frames, pixels: object) -> Frames:
    return Frames(
        pixels,  # type: ignore[arg-type]
        indices=frames.indices,
        times_s=frames.times_s,
        duration_s=frames.duration_s,
        decoder=frames.decoder,
    )
