"""Drawn clips for the kit, as frames and as video: small, unlike each other, of different lengths, always the same."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ghostbench.frames import Frames
from ghostbench.records import Clip, Truth, Video

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_CLIPS: tuple[tuple[str, Truth, int], ...] = (
    ("images_1_001", "ghost_probing", 6),
    ("images_2_001", "normal", 6),
    ("images_1_002", "cut_in", 3),
    ("images_3_001", "normal", 5),
)
_HEIGHT, _WIDTH = 96, 160


def drawn_clips() -> tuple[Clip, ...]:
    """Four labelled clips; `drawn_frames` gives the frames of each."""
    return tuple(
        Clip(id=name, truth=truth, truth_time_s=0.5 if truth != "normal" else None, category=int(name.split("_")[1]))
        for name, truth, _ in _CLIPS
    )


def drawn_frames(clip: Clip) -> Frames:
    """New frames, 3 to 6 of 96 x 160 pixels: a bright box that moves over noise, in each clip its own way."""
    number = [name for name, _, _ in _CLIPS].index(clip.id)
    pixels = _pixels(number).copy()
    count = len(pixels)
    times = tuple(0.1 + 0.2 * index for index in range(count))
    return Frames(
        pixels,
        indices=tuple(range(3, 3 + 6 * count, 6)),
        times_s=times,
        duration_s=0.2 * count,
        decoder="drawn by ghostbench.conformance",
    )


@functools.cache
def _pixels(number: int) -> npt.NDArray[np.uint8]:
    """The pixels of a clip: to copy."""
    import numpy as np

    count = _CLIPS[number][2]
    noise = np.random.default_rng(number)
    pixels = noise.integers(0, 40 + 40 * number, (count, _HEIGHT, _WIDTH, 3), dtype=np.uint8)
    for index in range(count):
        left = (10 + 25 * number + index * (4 + 9 * number)) % (_WIDTH - 24)
        top = 20 + 12 * number
        pixels[index, top : top + 24, left : left + 24] = (250, 200 - 50 * number, 40 * number)
    return pixels


def drawn_video(clip: Clip) -> Video:
    """The same frames as a video file of five a second."""
    import io

    import av

    from ghostbench.media.own_file import video_of

    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for pixels in drawn_frames(clip).pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return video_of(file.getvalue(), clip.id)
