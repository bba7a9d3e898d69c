"""What is left out at a request's beginning, because its keys and values are there already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.input.lengths import frame_length, video_length
from ghostbench_drivemm.input.prepared import Prepared
from ghostbench_drivemm.input.prompt import IMAGE_ID


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left out at a request's beginning.

    text : positions of its text, wherever they stand. visuals : whole visual items. frames : of the video that follows.
    """

    text: int
    visuals: int
    frames: int

    @classmethod
    def of(cls, request: Prepared, skip: int, config: DriveMMConfig) -> Cut:
        """What a skip of so many positions leaves out.

        Raises `ValueError` for one that ends inside a frame, or goes beyond the first of several pictures.
        """
        marks = [int(mark) for mark in np.flatnonzero(request.input_ids == IMAGE_ID)]
        left, text, begin = skip, 0, 0
        for number, mark in enumerate(marks):
            if left <= mark - begin:
                return cls(text + left, number, 0)
            left, text, begin = left - (mark - begin), text + mark - begin, mark + 1
            length = _length(request, number, config)
            if left < length:
                if not request.video or left % frame_length(config):
                    raise ValueError("a beginning ends inside a frame")
                return cls(text, number, left // frame_length(config))
            left -= length
        return cls(text + left, len(marks), 0)


def _length(request: Prepared, number: int, config: DriveMMConfig) -> int:
    """Positions of one of a request's visual items."""
    if request.video:
        return video_length(len(request.visuals[number]), config)
    if len(request.visuals) > 1:
        raise ValueError("a beginning goes beyond the first of several pictures")
    return request.length - len(request.input_ids) + 1
