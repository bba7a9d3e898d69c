"""What is left out at a request's beginning, because its keys and values are there already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.input.lengths import frame_length
from ghostbench_drivemm.input.prepared import Prepared
from ghostbench_drivemm.input.prompt import IMAGE_ID


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left out at a request's beginning.

    text : positions of text: at its beginning, or where `past` of what follows its only visual item. frames : of its
    video.
    """

    text: int
    frames: int
    past: bool

    @classmethod
    def of(cls, request: Prepared, skip: int, config: DriveMMConfig) -> Cut:
        """What a skip of so many positions leaves out.

        Raises `ValueError` for one that ends inside a frame, or goes beyond the first of several visual items.
        """
        marks = np.flatnonzero(request.input_ids == IMAGE_ID)
        if not marks.size or skip <= marks[0]:
            return cls(skip, 0, past=False)
        visual = request.length - len(request.input_ids) + len(request.visuals)
        inside = skip - int(marks[0])
        if len(marks) > 1:
            raise ValueError("a beginning goes beyond the first of several visual items")
        if inside >= visual:
            return cls(inside - visual, 0, past=True)
        if not request.video or inside % frame_length(config):
            raise ValueError("a beginning ends inside a frame")
        return cls(int(marks[0]), inside // frame_length(config), past=False)
