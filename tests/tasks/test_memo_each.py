"""What is made of a frame is made once for its clip, in whatever part of it the frame is shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench import Frames


def film(count: int = 6) -> Frames:
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    times = tuple((place + 0.5) / 2 for place in range(count))
    return Frames(pixels, indices=tuple(range(0, 3 * count, 3)), times_s=times, duration_s=count / 2, decoder="drawn")


@given(st.data())
def test_each_frame_is_worked_on_once_in_all_parts_of_its_clip(data: st.DataObject) -> None:
    built: list[int] = []

    def brightness(image: np.ndarray) -> str:  # type: ignore[type-arg]
        built.append(int(image[0, 0, 0]))
        return f"frame {image[0, 0, 0]}"

    clip = film()
    for _ in range(data.draw(st.integers(1, 5))):
        part = clip.until(data.draw(st.floats(0.25, 3)))
        shown = tuple(data.draw(st.lists(st.integers(0, len(part) - 1), unique=True, max_size=6)))
        seen = part.take(shown) if data.draw(st.booleans()) else part
        seen = seen.private() if data.draw(st.booleans()) else seen
        expected = tuple(f"frame {index // 3}" for index in seen.indices)
        assert seen.memo_each("brightness", brightness) == expected
    assert len(built) == len(set(built))


def test_what_a_model_writes_into_its_own_copy_is_not_what_is_kept_for_others() -> None:
    clip = film()
    own = clip.private()
    own.pixels.flags.writeable = True
    own.pixels[:] = 99

    def spoil(image: np.ndarray) -> int:  # type: ignore[type-arg]
        value = int(image.max())
        image[:] = 77
        return value

    assert own.memo_each("max", spoil) == (0, 1, 2, 3, 4, 5)
    assert clip.memo_each("max again", lambda image: int(image.max())) == (0, 1, 2, 3, 4, 5)
    assert own.take((0,)).memo_each("max", lambda image: int(image.max())) == (99,), "altered pixels are no clip's"


def test_other_pixels_under_the_same_numbers_are_another_clip() -> None:
    clip = film()
    dark = Frames(
        np.zeros_like(clip.pixels), indices=clip.indices, times_s=clip.times_s, duration_s=3.0, decoder="drawn"
    )
    assert clip.memo_each("max", lambda image: int(image.max()))[-1] == 5
    assert dark.memo_each("max", lambda image: int(image.max()))[-1] == 0


def test_what_was_made_of_later_frames_cannot_be_reached_from_a_moment() -> None:
    clip = film()
    clip.memo_each("word", lambda image: f"frame {image.max()}")
    seen = clip.until(1.0)
    assert [list(one.made.values()) for one in seen._each] == [["frame 0"], ["frame 1"]]


def test_only_what_cannot_be_changed_is_shared() -> None:
    with pytest.raises(TypeError, match="constant"):
        film().memo_each("list", lambda image: [int(image.max())])
