"""Probes: the same question with the pixels taken away or made worse, to see how an answer depends on them."""

from __future__ import annotations

import random
from collections.abc import Callable

from ghostbench.errors import BadInput
from ghostbench.frames import Frames
from ghostbench.plugins.registry import printable

MID_GREY = 128
_OF_ALL_FRAMES = ("shuffled", "text-only", "frame-drop")
"""Probes that do not change each frame by itself."""


def blank(frames: Frames) -> Frames:
    """The same number of frames at the same times, each pixel mid-grey."""
    import numpy as np

    return frames.with_pixels(np.full_like(frames.pixels, MID_GREY))


def shuffled(frames: Frames) -> Frames:
    """The clip's own frames in another order under the old timestamps; the order depends on their number alone.

    No order is needed for fewer than two frames, and a permutation that changes nothing is never chosen.
    """
    import numpy as np

    order = list(range(len(frames)))
    draw = random.Random(len(order))  # noqa: S311 - not for security
    while len(order) > 1 and order == sorted(order):
        draw.shuffle(order)
    return frames.with_pixels(np.ascontiguousarray(frames.pixels[order]))


def text_only(frames: Frames) -> None:
    """No frames at all: the question without anything to look at."""
    del frames


PROBES: dict[str, Callable[[Frames], Frames | None]] = {"blank": blank, "shuffled": shuffled, "text-only": text_only}
"""What the probes that take something away make of a clip's frames, by the name used in `--probe` and in the row's name
MODEL+PROBE. The others, which make frames worse, are `ghostbench.media.corruptions.CORRUPTIONS`."""


def parse_probes(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated list of probe names. Raises `BadInput`."""
    if text is None:
        return ()
    from ghostbench.media.corruptions import CORRUPTIONS, USUAL

    names = tuple(name.strip() for name in text.split(","))
    known = [_parts(name) for name in names]
    for name, parts in zip(names, known, strict=True):
        if parts is None:
            choices = ", ".join([*PROBES, *CORRUPTIONS])
            raise BadInput(f"--probe '{printable(name)}' is not known; choose from {choices}")
        if known.count(parts) > 1:
            usual = f" (without a severity it has {USUAL})" if parts[1] else ""
            raise BadInput(f"--probe names {parts[0]} twice{usual}; name each probe once")
    return names


def is_slow(probe: str | None) -> bool:
    """Whether it takes long enough to be done in a thread."""
    return probe is not None and probe not in PROBES


def _parts(name: str) -> tuple[str, int] | None:
    """The probe and its severity, 0 for one that has none; None for one that is not known. Raises `BadInput`."""
    from ghostbench.media.corruptions import parts_of

    if name in PROBES:
        return name, 0
    try:
        return parts_of(name)
    except KeyError:
        return None
    except ValueError as error:
        raise BadInput(f"--probe '{printable(name)}': {name.partition(':')[0]} {error}; e.g. blur:3, flip") from None


def change_of(probe: str) -> Callable[[Frames], Frames | None]:
    """What a probe makes of frames. Raises `KeyError` for one that is not known."""
    from ghostbench.media.corruptions import changed

    return PROBES[probe] if probe in PROBES else changed(probe)


def probed(frames: Frames | None, probe: str | None, clip: Frames | None = None) -> Frames | None:
    """The frames as the probe leaves them, made once per clip; unchanged without a probe.

    clip : the frames of the whole clip, where `frames` may be the first of them: what was done to those is not done
        again, and lies in the same memory.
    """
    if frames is None or probe is None:
        return frames
    changed = _changed_at_once(frames, probe, clip)
    made = changed.memo(_key(probe), change_of(probe))
    if made is None or changed is frames:
        return made
    return made.take(tuple(range(len(frames)))).lasting(frames.duration_s)


def make_ready(frames: Frames, probe: str, clip: Frames | None = None) -> None:
    """Make what `probed` returns, where it is not there yet, without keeping others from the frames meanwhile."""
    changed = _changed_at_once(frames, probe, clip)
    if not changed.remembers(_key(probe)):
        made = change_of(probe)(changed)
        changed.memo(_key(probe), lambda _: made)


def _changed_at_once(frames: Frames, probe: str, clip: Frames | None) -> Frames:
    """The frames that the probe is done to: the whole clip's where it does to each frame the same, whichever others are
    shown, and these are the first of them."""
    if clip is None or probe.partition(":")[0] in _OF_ALL_FRAMES or frames.indices != clip.indices[: len(frames)]:
        return frames
    return clip


def _key(probe: str) -> tuple[str, str]:
    return ("probe", probe)


def thinned(frames: Frames | None, most: int | None) -> Frames | None:
    """At most that many of the frames, spread evenly over the clip (the centres of equal parts)."""
    if frames is None or most is None or len(frames) <= most:
        return frames
    count = len(frames)
    positions = tuple(int((i + 0.5) * count / most) for i in range(most))
    return frames.memo(("thinned", most), lambda whole: whole.take(positions))
