"""A task's prompt for a model that is shown all of a clip's frames at once: text that names each frame's place."""

from __future__ import annotations

from ghostbench import FramePart, Prompt, TextPart


def video_text(prompt: Prompt, shown_as: str = "the video") -> str:
    """The parts in their order, one a line, each frame as "frame N of the video", N from 1, behind its time.

    shown_as : what the frames are, e.g. "the pictures".
    """
    lines: list[str] = []
    for part in prompt.parts:
        if isinstance(part, FramePart):
            named = f"frame {part.position + 1} of {shown_as}"
            if lines and lines[-1].endswith(":"):
                lines[-1] += f" {named}"
            else:
                lines.append(f"{part.time_s:.2f} s: {named}")
        elif isinstance(part, TextPart):
            lines.append(part.text)
    return "\n".join(lines)
