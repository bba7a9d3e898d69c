"""A clip that grows costs one comparison a new frame, and is answered as if it had never been looked at before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostbench import Frames
from ghostbench_motion.emergence import Looks, find_emergence
from ghostbench_motion.road import Road

if TYPE_CHECKING:
    from conftest import MakeFrames, Motion

SCENES = np.random.default_rng(5).integers(0, 256, (4, 24, 48, 3), dtype=np.uint8)


@settings(max_examples=12)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=3),
    st.sampled_from([0.3, 0.45]),
)
def test_what_is_remembered_changes_nothing(clips: list[list[int]], horizon: float) -> None:
    kept = Looks()
    for clip in clips:
        for seen in range(1, len(clip) + 1):
            pixels, times = SCENES[clip[:seen]], tuple(place / 2 for place in range(seen))
            assert find_emergence(pixels, times, horizon, kept) == find_emergence(pixels, times, horizon)


def test_each_pair_of_neighbours_is_compared_once(
    make_motion: type[Motion], ghost5: dict[str, Frames], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    plain = Road.motion
    monkeypatch.setattr(Road, "motion", lambda *given: compared.append(1) or plain(*given))
    clip = ghost5["ghost5_02"]
    moments = [clip.until(time_s) for time_s in clip.times_s]
    growing, whole = make_motion(), make_motion()
    scores = [growing.score(frames) for frames in moments]
    assert len(compared) == len(clip) - 1
    assert scores == [make_motion().score(frames) for frames in moments]
    assert scores[-1] == whole.score(clip)


def test_one_pixel_is_enough_to_look_again(make_motion: type[Motion], frames_of: MakeFrames) -> None:
    """Two answers to nearly the same frames are each their own."""
    dark = np.zeros((3, 96, 128, 3), np.uint8)
    lit = dark.copy()
    lit[2, 40:80, 50:80] = 255
    model = make_motion()
    assert model.score(frames_of(dark)) == 0.0
    assert model.score(frames_of(lit)) == make_motion().score(frames_of(lit)) > 0.0
    assert model.score(frames_of(dark)) == 0.0


def test_little_is_kept(frames_of: MakeFrames) -> None:
    kept = Looks()
    frames = np.random.default_rng(1).integers(0, 256, (40, 24, 48, 3), dtype=np.uint8)
    find_emergence(frames, tuple(map(float, range(40))), 0.45, kept)
    assert len(kept.views._values) <= 32
