"""Frames and verdicts for the tests of tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ghostbench import Frames

MakeFrames = Callable[..., Frames]


@pytest.fixture(scope="session")
def make_frames() -> MakeFrames:
    """Builds `Frames` of a few grey pixels at the given times."""

    def make(*times_s: float, duration_s: float = 8.0, decoder: str = "test") -> Frames:
        pixels = np.zeros((len(times_s), 2, 2, 3), dtype=np.uint8)
        return Frames(
            pixels, indices=tuple(range(len(times_s))), times_s=times_s, duration_s=duration_s, decoder=decoder
        )

    return make
