"""Pixels in memory that other processes can look at: their file goes with them, in a thread that nobody waits for."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ghostbench.media.shared import handle_of, look_at, shared

SHAPE = (2, 30, 40, 3)


def files() -> set[str]:
    """This process's files without a name, by number."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        try:
            if "ghostbench-frames" in os.readlink(number):
                found.add(number.name)
        except OSError:
            continue
    return found


def gone(numbers: set[str]) -> bool:
    """Whether these files are gone, before long."""
    until = time.monotonic() + 60
    while numbers & files() and time.monotonic() < until:
        time.sleep(0.01)
    return not numbers & files()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are counted in /proc")


@linux
def test_a_file_is_there_as_long_as_its_pixels_and_goes_with_them() -> None:
    before = files()
    pixels = shared(SHAPE)
    part = pixels[1:]
    part[:] = 7
    its = files() - before
    assert its
    del pixels
    assert its <= files(), "a part is still held"
    assert part.sum() == 7 * part.size
    del part
    assert gone(its)


@linux
def test_another_holder_keeps_the_memory_when_the_first_lets_go() -> None:
    before = files()
    pixels = shared(SHAPE)
    pixels[:] = np.arange(pixels.size, dtype=np.uint8).reshape(SHAPE)
    its = files() - before
    number, handle = handle_of(pixels)
    seen = look_at(os.dup(number), handle)
    wanted = pixels.copy()
    del pixels
    assert gone(its)
    assert np.array_equal(seen, wanted)
    assert not seen.flags.writeable


@linux
def test_what_waits_to_be_given_back_is_bounded() -> None:
    before = files()
    for _ in range(400):
        shared((1, 16, 16, 3))
        # Two files each, one of which Python's own memory map holds.
        assert len(files() - before) <= 2 * 130
    assert gone(files() - before)
