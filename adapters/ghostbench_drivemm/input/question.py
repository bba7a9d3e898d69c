"""A task's prompt in the form that DriveMM was trained on: the video first, then the text about it."""

from __future__ import annotations

from ghostbench import ExampleFramePart, Prompt
from ghostbench_drivemm.input.prompt import IMAGE_MARK
from ghostbench_local.video_text import texts_and_videos, video_text


def user_text(prompt: Prompt, *, with_frames: bool) -> str:
    """The user turn: `<image>` for all frames together, then the parts, each frame's place named in the text.

    Where examples are shown, each of them is a video of its own, and there is an `<image>` for each in its place and
    for the clip in its. A mark inside the task's own words is broken up, so that it cannot stand for a picture.
    """
    if any(isinstance(part, ExampleFramePart) for part in prompt.parts):
        return "\n".join(
            _unmarked(piece) if isinstance(piece, str) else IMAGE_MARK for piece in texts_and_videos(prompt)
        )
    text = _unmarked(video_text(prompt))
    return f"{IMAGE_MARK}\n{text}" if with_frames else text


def _unmarked(text: str) -> str:
    return text.replace(IMAGE_MARK, "< image >")
