"""A frame is known again by its pixels, and hashed once however many moments of its clip are asked about."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from ghostbench import Frames
from ghostbench_drivemm.input import frame_digests
from ghostbench_drivemm.input.frame_digests import FrameDigests


def clip(seed: int = 0) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
    times = tuple(place / 2 for place in range(6))
    return Frames(pixels, indices=tuple(range(6)), times_s=times, duration_s=3.0, decoder="made")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every frame that is hashed."""
    seen: list[Any] = []
    make = frame_digests._digest

    def digest(frame: Any) -> bytes:
        seen.append(frame)
        return make(frame)

    monkeypatch.setattr(frame_digests, "_digest", digest)
    return seen


@pytest.mark.parametrize("in_threads", [False, True])
def test_the_moments_of_a_clip_hash_each_frame_once(in_threads: bool, hashed: list[Any]) -> None:
    shown = clip()
    with ThreadPoolExecutor(2) as threads:
        found = [
            FrameDigests(shown.until(moment).private().original().pixels, threads if in_threads else None)
            for moment in (0.5, 1.0, 2.5, 1.5)
        ]
        listed = [each.all() for each in found]
    assert len(hashed) == 6
    assert [len(each) for each in listed] == [2, 3, 6, 4]
    assert all(each == listed[2][: len(each)] for each in listed)
    assert len(set(listed[2])) == 6
    # The same pixels in other memory, in another order.
    turned = np.ascontiguousarray(shown.pixels[::-1])
    assert FrameDigests(turned).all() == listed[2][::-1]
    assert len(hashed) == 12


def test_what_can_be_written_to_is_hashed_every_time(hashed: list[Any]) -> None:
    pixels = clip().pixels.copy()
    before = FrameDigests(pixels).all()
    pixels[3, 0, 0, 0] += 1
    view = pixels[:]
    view.flags.writeable = False
    after = FrameDigests(view).all()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, True, False, True, True]
    assert len(hashed) == 12


def test_shape_counts_and_nothing_outlives_the_frames() -> None:
    shown = clip()
    pixels = shown.pixels
    same = pixels.reshape(6, 10, 8, 3)
    assert not set(FrameDigests(pixels).all()) & set(FrameDigests(same).all())
    kept = len(frame_digests._OWNERS)
    del shown, pixels, same
    gc.collect()
    assert len(frame_digests._OWNERS) == kept - 1


def test_hashing_that_was_called_off_is_done_when_it_is_asked_for_again(hashed: list[Any]) -> None:
    shown = clip()
    threads = ThreadPoolExecutor(1)
    threads.submit(gc.collect)
    FrameDigests(shown.pixels, threads)
    threads.shutdown(cancel_futures=True)
    assert len(FrameDigests(shown.pixels).all()) == 6
    assert FrameDigests(shown.pixels).all() == FrameDigests(shown.pixels.copy()).all()
