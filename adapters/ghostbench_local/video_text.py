"""A task's prompt for a model that is shown a clip as one video: text that names each frame's place."""

from __future__ import annotations

from ghostbench import FramePart, Prompt


def video_text(prompt: Prompt) -> str:
    """The parts in their order, one a line, each frame as "frame N of the video", N from 1, behind its time."""
    lines: list[str] = []
    for part in prompt.parts:
        if isinstance(part, FramePart):
            named = f"frame {part.position + 1} of the video"
            if lines and lines[-1].endswith(":"):
                lines[-1] += f" {named}"
            else:
                lines.append(f"{part.time_s:.2f} s: {named}")
        else:
            lines.append(part.text)
    return "\n".join(lines)
