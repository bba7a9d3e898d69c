"""A dataset of drawn clips, small enough that decoding them is no part of what is measured."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

LABELS = ("1.0s: ghost probing", "none", "ghost probing", "0.5s: cut-in")


def draw_clips(root: Path, count: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Draw `count` clips of 12 frames, no two alike, with labels; return the dataset's YAML file."""
    (root / "clips").mkdir()
    for number in range(count):
        _draw(root / "clips" / f"images_{number % 5 + 1}_{number:03}.avi", number, size)
    names = sorted(path.name for path in (root / "clips").iterdir())
    rows = "".join(f"{name},{LABELS[index % 4]},remark\n" for index, name in enumerate(names))
    (root / "labels.csv").write_text("video_id,ground_truth_label,remark\n" + rows, encoding="utf-8")
    (root / "dataset.yaml").write_text("name: drawn\nroot: clips\nlayout: files\nlabels: labels.csv\nsplits: {}\n")
    return root / "dataset.yaml"


def _draw(path: Path, number: int, size: tuple[int, int]) -> None:
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        background = np.random.default_rng(number).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
        for index in range(12):
            pixels = background.repeat(8, axis=0).repeat(8, axis=1)
            pixels[:, 4 * index : 4 * index + 8] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
