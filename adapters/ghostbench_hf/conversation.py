"""A task's prompt as a conversation for a checkpoint's own chat template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ghostbench import ExampleFramePart, FramePart, Frames, Prompt, Request, TextPart
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import one_line
from ghostbench_local.video_text import texts_and_videos, video_text

_SYSTEM, _BEFORE, _AFTER = "Xsystemtext", "Xtextbefore", "Xtextafter"
_PLACES = ("image_token", "video_token", "boi_token", "eoi_token")
_BRACKETED = re.compile(r"[<\[].*[>\]]", re.DOTALL)
_TICKS = 1000
"""A frame's time in thousandths of a second is its number in a video of a thousand frames a second, which is how its
time is told to processors that reckon times from numbers."""


class Conversation:
    """How a checkpoint's chat template takes a prompt, found out by rendering a sample.

    frames_as : "images" or "video". has_system : whether the template writes a system text; if not, it begins the
    user's turn. gathers : whether the template sets all pictures before the text, wherever they stand in it.

    Raises `CheckpointError` where there is no template, or none that shows pictures and text.
    """

    def __init__(self, processor: Any, frames_as: str) -> None:
        self._processor, self._kind = processor, "video" if frames_as == "video" else "image"
        self._marks = _marks_of(processor)
        if not getattr(processor, "chat_template", None):
            raise CheckpointError("the checkpoint has no chat template, so that nothing says how it is asked")
        user = {"role": "user", "content": [_text(_BEFORE), {"type": self._kind}, _text(_AFTER)]}
        alone = self._rendered([user])
        without = self._rendered([{"role": "user", "content": [_text(_BEFORE), _text(_AFTER)]}])
        if _BEFORE not in alone or _AFTER not in alone:
            raise CheckpointError("the checkpoint's chat template leaves out the text that it is given")
        if len(alone) <= len(without):
            raise CheckpointError(f"the checkpoint's chat template has no place for {self._kind}s")
        self.has_system = self._writes_system(user)
        # What stands between the texts is the picture, or it stands elsewhere.
        self.gathers = self._between(alone) == self._between(without)

    @property
    def facts(self) -> dict[str, Any]:
        """How the template takes a prompt, for the manifest."""
        return {
            "system_text": "a turn of its own" if self.has_system else "at the beginning of the user's turn",
            "frames": "before the text" if self.gathers or self._kind == "video" else "between their times",
        }

    def of(self, request: Request) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The conversation of a request, with its pictures, and what the processor must be told of them."""
        prompt, frames = request.prompt, request.frames
        told: dict[str, Any] = {}
        if frames is None:
            content = [self._own(video_text(prompt))]
        elif self._kind == "video":
            videos = (*request.examples, frames)
            content = self._between_videos(prompt, videos)
            told = {"do_sample_frames": False, "video_metadata": [[_metadata(video.times_s) for video in videos]]}
        else:
            # Those of examples before the clip's, as they are told.
            pictures = [[Image.fromarray(pixels) for pixels in shown.pixels] for shown in (*request.examples, frames)]
            content = self._between_times(prompt, pictures)
            if self.gathers:
                content = [{"type": "image", "image": picture} for shown in pictures for picture in shown]
                content.append(self._own(video_text(prompt, "the pictures")))
        if not self.has_system:
            content = [self._own(f"{prompt.system}\n\n"), *content]
        turns = [{"role": "user", "content": content}]
        if self.has_system:
            turns.insert(0, {"role": "system", "content": [self._own(prompt.system)]})
        return turns, told

    def _own(self, text: str) -> dict[str, Any]:
        """A task's own words, in which a mark of the checkpoint's is broken up, so that it stands for nothing else."""
        while self._marks is not None and self._marks.search(text):
            text = self._marks.sub(_broken, text)
        return _text(text)

    def _between_videos(self, prompt: Prompt, videos: Sequence[Frames]) -> list[dict[str, Any]]:
        """One video before all of the text; of several, each where it stands in the text."""
        if len(videos) == 1:
            return [{"type": "video", "video": np.array(videos[0].pixels)}, self._own(video_text(prompt))]
        return [
            self._own(_line(piece))
            if isinstance(piece, str)
            else {"type": "video", "video": np.array(videos[piece].pixels)}
            for piece in texts_and_videos(prompt)
        ]

    def _between_times(self, prompt: Prompt, pictures: Sequence[Sequence[Image.Image]]) -> list[dict[str, Any]]:
        """Texts and pictures in the prompt's order. pictures : those of each example, and the clip's at the end."""
        content = []
        for part in prompt.parts:
            if isinstance(part, TextPart):
                content.append(self._own(_line(part.text)))
            elif isinstance(part, FramePart):
                content.append({"type": "image", "image": pictures[-1][part.position]})
            elif isinstance(part, ExampleFramePart):
                content.append({"type": "image", "image": pictures[part.example][part.position]})
        return content

    def _writes_system(self, user: dict[str, Any]) -> bool:
        try:
            rendered = self._rendered([{"role": "system", "content": [_text(_SYSTEM)]}, user])
        except CheckpointError:
            return False
        return _SYSTEM in rendered and _BEFORE in rendered

    def _rendered(self, turns: list[dict[str, Any]]) -> str:
        try:
            return str(self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
        except Exception as error:  # a checkpoint's template may raise anything
            raise CheckpointError(f"the checkpoint's chat template cannot be used: {one_line(error)}") from error

    @staticmethod
    def _between(rendered: str) -> str:
        before, after = rendered.find(_BEFORE) + len(_BEFORE), rendered.find(_AFTER)
        return rendered[before:after].strip()


def _line(text: str) -> str:
    """A text that ends its line, as templates join parts without a space."""
    return text if text.endswith(("\n", " ")) else f"{text}\n"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _marks_of(processor: Any) -> re.Pattern[str] | None:
    """What stands for something else than its letters in this checkpoint's prompts: turns, pictures, ends."""
    added = getattr(processor.tokenizer, "added_tokens_decoder", {}).values()
    marks = {token.content for token in added if token.special or _BRACKETED.fullmatch(token.content)}
    marks |= {str(token) for token in processor.tokenizer.all_special_tokens}
    marks |= {str(mark) for name in _PLACES if (mark := getattr(processor, name, None)) is not None}
    # A space more breaks up no mark of spaces, or of one character and spaces.
    listed = sorted((mark for mark in marks if len(mark.strip(" ")) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, listed))) if listed else None


def _broken(found: re.Match[str]) -> str:
    """A mark with a space behind its first character that is none, where it cannot be a further space of its own."""
    first = len(found[0]) - len(found[0].lstrip(" ")) + 1
    return f"{found[0][:first]} {found[0][first:]}"


def _metadata(times_s: tuple[float, ...]) -> dict[str, Any]:
    """What a video's processor reckons times from: numbers of frames, and how many there are to a second."""
    numbers = [round(time_s * _TICKS) for time_s in times_s]
    return {
        "total_num_frames": max(numbers) + 1,
        "fps": float(_TICKS),
        "frames_indices": np.array(numbers),
        "duration": (max(numbers) + 1) / _TICKS,
    }
