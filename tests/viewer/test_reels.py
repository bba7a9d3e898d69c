"""Decoded clips are kept out of memory, and are not decoded on where nobody looks at them."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from ghostbench.errors import BadInput
from ghostbench.viewer import reels
from ghostbench.viewer.reels import Reel, Reels


@pytest.fixture
def filling() -> Iterator[Callable[[int], Callable[[Reel], None]]]:
    """`filling(frames)` gives what fills a reel with so many frames, each its own number; all threads end at last."""
    left: list[Reel] = []

    def of(frames: int) -> Callable[[Reel], None]:
        def fill(reel: Reel) -> None:
            left.append(reel)
            for number in range(frames):
                reel.add(str(number).encode())
            reel.times = [float(number) for number in range(frames)]

        return fill

    yield of
    for reel in left:
        reel.leave()


def test_every_frame_is_given_under_its_number_and_none_under_another(filling: Callable[..., object]) -> None:
    reel = Reels().of("a", filling(20))  # type: ignore[arg-type]
    reel.wait()
    assert [reel.picture(number) for number in range(20)] == [str(number).encode() for number in range(20)]
    assert (reel.picture(20), reel.picture(-1), reel.size) == (None, None, 30)
    assert reel.state()["times"][-1] == 19.0


def test_a_long_recording_is_not_kept_in_memory() -> None:
    tracemalloc.start()
    try:
        reel, before = Reel(), tracemalloc.get_traced_memory()[0]
        for number in range(64):
            reel.add(bytes([number]) * (1 << 20))
        assert tracemalloc.get_traced_memory()[0] - before < 1 << 20
        assert reel.picture(63) == bytes([63]) * (1 << 20)
    finally:
        tracemalloc.stop()


def test_a_clip_that_nobody_asks_for_waits_and_goes_on_when_it_is_asked_for(
    filling: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reels, "IDLE_S", 0.0)
    reel = Reels().of("a", filling(20_000))  # type: ignore[arg-type]
    assert reel.picture(5) == b"5"
    before = reel.count
    time.sleep(0.05)
    assert reel.count <= before + 1 < 20_000  # the thread that decodes may have been between two frames
    monkeypatch.setattr(reels, "IDLE_S", 1e9)
    reel.ask()
    reel.wait()
    assert (reel.count, reel.done) == (20_000, True)


def test_a_clip_for_which_there_is_no_room_is_left_and_the_newest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reels, "MOST_BYTES", 10)
    ended = threading.Event()

    def endless(reel: Reel) -> None:
        try:
            while True:
                reel.add(b"a picture")
        finally:
            ended.set()

    kept = Reels()
    assert kept.of("a", endless).picture(3) == b"a picture"
    second = kept.of("b", lambda reel: reel.add(b"another picture"))
    second.wait()
    assert ended.wait(60)
    assert kept.of("b", endless) is second
    assert second.picture(0) == b"another picture"


def test_what_cannot_be_decoded_is_said(filling: Callable[..., object]) -> None:
    def torn(error: Exception) -> Callable[[Reel], None]:
        def fill(reel: Reel) -> None:
            reel.add(b"one")
            raise error

        return fill

    for error, told in ((BadInput("no media"), "no media"), (OSError(28, "No space left"), "OSError: ")):
        reel = Reels().of("a", torn(error))
        reel.wait()
        assert (reel.error or "").startswith(told)
        assert (reel.picture(0), reel.picture(1)) == (b"one", None)
