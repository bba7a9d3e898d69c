"""Videos and data sets that tests draw: small, so that decoding them is no part of what they prove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def write_video(path: Path, frames: Iterable[Pixels], *, fps: int = 24) -> None:
    """MPEG-4 of these pictures, uint8 [height, width, 3], all of one size."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=fps)
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def moving_square(level: int, *, frames: int = 24, step: int = 1) -> Iterable[Pixels]:
    """Pictures of 64 x 48 of this brightness, with a white bar that moves so many pixels a frame."""
    for index in range(frames):
        pixels = np.full((48, 64, 3), level, dtype=np.uint8)
        pixels[:, step * index : step * index + 8] = 255
        yield pixels


def write_dataset(root: Path, labels: Mapping[str, str]) -> Path:
    """The labels and the definition of a data set whose videos are in its folder `clips`; returns the definition."""
    rows = "".join(f"{clip}.avi,{label},remark of {clip}\n" for clip, label in labels.items())
    (root / "labels.csv").write_text("video_id,ground_truth_label,remark\n" + rows, encoding="utf-8")
    text = "name: drawn\nroot: clips\nlayout: files\nlabels: labels.csv\nsplits: {}\n"
    (root / "dataset.yaml").write_text(text, encoding="utf-8")
    return root / "dataset.yaml"
