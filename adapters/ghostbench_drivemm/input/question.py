"""A task's prompt in the form that DriveMM was trained on: one video first, then the text about it."""

from __future__ import annotations

from ghostbench import Prompt
from ghostbench_drivemm.input.prompt import IMAGE_MARK
from ghostbench_local.video_text import video_text


def user_text(prompt: Prompt, *, with_frames: bool) -> str:
    """The user turn: `<image>` for all frames together, then the parts, each frame's place named in the text.

    A mark inside the task's own words is broken up, so that it cannot stand for a picture.
    """
    text = video_text(prompt).replace(IMAGE_MARK, "< image >")
    return f"{IMAGE_MARK}\n{text}" if with_frames else text
