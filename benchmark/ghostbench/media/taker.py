"""Turns chosen frames to RGB, the way up that the file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from ghostbench.errors import DecodeFailed
from ghostbench.media.limits import check_frame_size, check_sample_size
from ghostbench.media.shared import new_pixels

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

_AS_STORED: Final = (False, False, False)


class Taker:
    """Turns chosen frames to RGB, into one array for all of them.

    Every frame must pass `check`; `pixels` is uint8 [count, height, width, 3] as stored, None before the first frame.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self.pixels: npt.NDArray[np.uint8] | None = None
        self._turn = _AS_STORED
        self._size: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()

    def check(self, frame: VideoFrame) -> None:
        """Raises `DecodeFailed` for a frame that is too large, or of another size than those before it."""
        size = (frame.width, frame.height)
        if self._size is None:
            check_frame_size(*size)
            self._size = size
        elif size != self._size:
            raise DecodeFailed(f"the frames change size, from {self._size[0]}x{self._size[1]} to {size[0]}x{size[1]}")

    def take(self, frame: VideoFrame) -> None:
        """Keep this frame, which has passed `check`, as the next one."""
        width, height = frame.width, frame.height
        if self.pixels is None:
            check_sample_size(self.count, width, height)
            self.pixels = new_pixels((self.count, height, width, 3))
            self._turn = turn_of(frame)
        elif turn_of(frame) != self._turn:
            raise DecodeFailed("the frames change the way up in which they are to be shown")
        try:
            plane = self._reformatter.reformat(frame, format="rgb24", threads=1).planes[0]
        except ValueError as error:  # what PyAV says of pixel formats that FFmpeg cannot convert
            raise DecodeFailed(f"the frames' {frame.format.name} cannot be turned to RGB: {error}") from None
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
        self.pixels[self.taken] = rows[:, : width * 3].reshape(height, width, 3)
        self.taken += 1

    def upright(self) -> npt.NDArray[np.uint8]:
        """The pixels, turned and mirrored as the file says that they are to be shown."""
        assert self.pixels is not None
        transposed, flipped_x, flipped_y = self._turn
        pixels = self.pixels.transpose(0, 2, 1, 3) if transposed else self.pixels
        pixels = pixels[:, :, ::-1] if flipped_x else pixels
        pixels = pixels[:, ::-1] if flipped_y else pixels
        return np.ascontiguousarray(pixels)


def turn_of(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """How a frame is to be shown: transposed, then mirrored from left to right, then from top to bottom.

    One of the eight ways in which a picture fits a rectangle, the nearest one to the file's display matrix: nine 32-bit
    numbers, of which the first, second, fourth and fifth say where a stored pixel (x, y) comes to lie
    (libavutil/display.h): x' = a x + c y, y' = b x + d y.
    """
    side_data = cast("Mapping[Type, SideData]", frame.side_data)
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return _AS_STORED
    matrix = np.frombuffer(bytes(data), np.int32)
    a, b, _, c, d = (int(number) for number in matrix[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
