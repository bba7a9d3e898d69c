"""A task's prompt for a model that is shown frames together: text that names each frame's place.

Where a wording shows examples, each of them is a video of its own, and the clip in question is the last one.
"""

from __future__ import annotations

from ghostbench import ExampleFramePart, FramePart, Prompt, TextPart


def video_text(prompt: Prompt, shown_as: str = "the video") -> str:
    """The parts in their order, one a line, each frame as "frame N of the video", N from 1, behind its time.

    shown_as : what the frames are, e.g. "the pictures". They are counted through, those of examples before the clip's.
    """
    counts = _frames_of_examples(prompt)
    first = [sum(counts[:number]) for number in range(len(counts) + 1)]
    lines: list[str] = []
    for part in prompt.parts:
        if isinstance(part, TextPart):
            lines.append(part.text)
        elif isinstance(part, FramePart | ExampleFramePart):
            place = first[_video_of(part, counts)] + part.position
            _name(lines, part, f"frame {place + 1} of {shown_as}")
    return "\n".join(lines)


def texts_and_videos(prompt: Prompt) -> list[str | int]:
    """The parts as texts, and each video by its number, from 0, where it stands: before its first frame is named.

    Of one video alone, its frames are of "the video"; of several, of "video K", K from 1.
    """
    counts = _frames_of_examples(prompt)
    pieces: list[str | int] = []
    lines: list[str] = []
    for part in prompt.parts:
        if isinstance(part, TextPart):
            lines.append(part.text)
        elif isinstance(part, FramePart | ExampleFramePart):
            number = _video_of(part, counts)
            if number not in pieces:
                introduced = [lines.pop()] if lines and lines[-1].endswith(":") else []
                pieces += ["\n".join(lines)] * bool(lines) + [number]
                lines = introduced
            _name(lines, part, f"frame {part.position + 1} of {f'video {number + 1}' if counts else 'the video'}")
    return [*pieces, "\n".join(lines)] if lines else pieces


def _video_of(part: FramePart | ExampleFramePart, counts: list[int]) -> int:
    return len(counts) if isinstance(part, FramePart) else part.example


def _frames_of_examples(prompt: Prompt) -> list[int]:
    """How many frames each example shows, in their order."""
    shown: dict[int, set[int]] = {}
    for part in prompt.parts:
        if isinstance(part, ExampleFramePart):
            shown.setdefault(part.example, set()).add(part.position)
    return [len(shown[number]) for number in sorted(shown)]


def _name(lines: list[str], part: FramePart | ExampleFramePart, named: str) -> None:
    if lines and lines[-1].endswith(":"):
        lines[-1] += f" {named}"
    else:
        lines.append(f"{part.time_s:.2f} s: {named}")
