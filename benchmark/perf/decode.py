"""Decoding a folder of clips: ghostbench against OpenCV reading frame by frame, in one run.

Both give the same frames of `uniform:10` as RGB; that they are the same pixels is checked before anything is timed.
OpenCV is measured twice: `read` decodes and converts every frame, which is reading frame by frame; `grab` converts only
the frames that are kept. ghostbench's time includes the SHA-256 of the pixels, OpenCV's does not. The rounds of all
contestants alternate, and a contestant's time is its median round.

    python benchmark/perf/decode.py DIR [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ghostbench.media.sampling import parse_sampling
from ghostbench.media.video import decode_video

SAMPLING = parse_sampling("uniform:10")


def frame_counts(clips: list[Path]) -> dict[Path, int]:
    """The peer is told each clip's length, so that it need not hold frames or read twice."""
    counts = {}
    for clip in clips:
        capture = cv2.VideoCapture(str(clip))
        counts[clip] = 0
        while capture.grab():
            counts[clip] += 1
    return counts


def opencv_read(clip: Path, count: int) -> np.ndarray[Any, Any]:
    wanted = set(SAMPLING.indices(count))
    capture = cv2.VideoCapture(str(clip))
    kept: list[Any] = []
    index = 0
    while True:
        there, frame = capture.read()
        if not there:
            return np.stack(kept)
        if index in wanted:
            kept.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        index += 1


def opencv_grab(clip: Path, count: int) -> np.ndarray[Any, Any]:
    wanted = set(SAMPLING.indices(count))
    capture = cv2.VideoCapture(str(clip))
    kept: list[Any] = []
    index = 0
    while capture.grab():
        if index in wanted:
            kept.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
        index += 1
    return np.stack(kept)


def ours(clip: Path, _count: int) -> np.ndarray[Any, Any]:
    return decode_video(str(clip), SAMPLING).pixels


def ours_every_frame(clip: Path, _count: int) -> np.ndarray[Any, Any]:
    return decode_video(str(clip), SAMPLING, every_frame=True).pixels


CONTESTANTS: dict[str, Callable[[Path, int], np.ndarray[Any, Any]]] = {
    "opencv read": opencv_read,
    "opencv grab": opencv_grab,
    "ghostbench": ours,
    "ghostbench, every frame": ours_every_frame,
}


def seconds(contestant: Callable[[Path, int], Any], counts: dict[Path, int], workers: int) -> float:
    begin = time.perf_counter()
    if workers == 1:
        for clip, count in counts.items():
            contestant(clip, count)
    else:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda item: contestant(*item), counts.items()):
                pass
    return time.perf_counter() - begin


def measure(counts: dict[Path, int], rounds: int) -> dict[str, Any]:
    cv2.setNumThreads(1)
    for clip, count in counts.items():
        if not np.array_equal(opencv_read(clip, count), ours(clip, count)):
            raise SystemExit(f"{clip.name}: the two decoders give different pixels; there is nothing to compare")
    taken: dict[int, dict[str, list[float]]] = {n: {name: [] for name in CONTESTANTS} for n in (1, 2)}
    for _ in range(rounds):
        for workers, table in taken.items():
            for name, contestant in CONTESTANTS.items():
                table[name].append(seconds(contestant, counts, workers))
    medians = {n: {name: statistics.median(times) for name, times in table.items()} for n, table in taken.items()}
    return {
        "clips": len(counts),
        "frames": sum(counts.values()),
        "sampling": str(SAMPLING),
        "same_pixels": True,
        "rounds": rounds,
        "cores": len(os.sched_getaffinity(0)),
        "versions": {"av": av.__version__, "opencv": cv2.__version__, "numpy": np.__version__},
        "seconds": {str(n): {name: taken[n][name] for name in CONTESTANTS} for n in taken},
        "times_faster_than_opencv_read": {
            str(n): {name: medians[n]["opencv read"] / medians[n][name] for name in CONTESTANTS} for n in medians
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of .avi files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    options = parser.parse_args()
    clips = sorted(options.folder.glob("*.avi"))
    if not clips or options.rounds < 1:
        sys.exit(f"{options.folder}: give a folder with .avi files, and --rounds of 1 or more")
    found = measure(frame_counts(clips), options.rounds)
    if not options.json:
        print(f"{found['clips']} clips, {found['frames']} frames, {SAMPLING}, median of {options.rounds} rounds")
        for workers, table in found["times_faster_than_opencv_read"].items():
            print(f"{workers} clip(s) at a time")
            for name, ratio in table.items():
                typical = statistics.median(found["seconds"][workers][name])
                print(f"  {name:26s}{typical:8.2f} s  {found['clips'] / typical:7.1f} clips/s  {ratio:5.2f} x")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
