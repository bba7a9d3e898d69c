"""A task's prompt in the form that DriveMM was trained on: one video first, then the text about it."""

from __future__ import annotations

from ghostbench import FramePart, Prompt
from ghostbench_drivemm.input.prompt import IMAGE_MARK


def user_text(prompt: Prompt, *, with_frames: bool) -> str:
    """The user turn: `<image>` for all frames together, then the parts, each frame's place named in the text.

    A mark inside the task's own words is broken up, so that it cannot stand for a picture.
    """
    lines: list[str] = []
    for part in prompt.parts:
        if isinstance(part, FramePart):
            named = f"frame {part.position + 1} of the video"
            if lines and lines[-1].endswith(":"):
                lines[-1] += f" {named}"
            else:
                lines.append(f"{part.time_s:.2f} s: {named}")
        else:
            lines.append(part.text.replace(IMAGE_MARK, "< image >"))
    text = "\n".join(lines)
    return f"{IMAGE_MARK}\n{text}" if with_frames else text
