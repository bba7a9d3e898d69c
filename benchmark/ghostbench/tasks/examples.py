"""The examples of a wording: clips told with their answers before the question, in words or by their frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ghostbench.records import ExampleFramePart, ExampleFrames, Part, TextPart
from ghostbench.tasks.form import Form
from ghostbench.tasks.wording import Example

_FRAMES = "\0"
"""Where an example's frames stand in its words, in which there can be no such character."""


def shown_clips(form: Form) -> tuple[str, ...]:
    """Ids of the clips whose frames the wording shows, in order."""
    return tuple(example.clip for example in form.examples if example.frames)


def examples_as_told(form: Form) -> tuple[str, ...]:
    """The examples as people read them: what there is to see, and the answer as one line of JSON."""
    shown = f"{form.frames.opening}\n{form.frames.each} [a frame of the example]\n…"
    return _told(form, lambda example: example.shows or shown)


def examples_in_words(form: Form) -> tuple[Part, ...]:
    """The examples as a model gets them that is given no frames: of an example either."""
    return tuple(map(TextPart, _told(form, lambda example: example.shows or form.frames.none)))


def example_parts(form: Form, known: Mapping[str, ExampleFrames]) -> tuple[Part, ...]:
    """The examples as a model gets them that is shown frames: each as the clip in question is, and its answer.

    known : what is known of the frames of each of `shown_clips`. Raises `ValueError` where one is missing.
    """
    parts: list[Part] = []
    number = 0
    for example, told in zip(form.examples, _told(form, lambda example: example.shows or _FRAMES), strict=True):
        if not example.frames:
            parts.append(TextPart(told))
            continue
        frames = known.get(example.clip)
        if frames is None:
            raise ValueError("the frames of an example are not known: a wording that shows some is asked by a run")
        before, _, after = told.partition(_FRAMES)
        opening = form.frames.opening.format(duration=frames.duration_s, count=len(frames.frame_times_s))
        parts.append(TextPart(f"{before}{opening}"))
        for position, time_s in enumerate(frames.frame_times_s):
            parts.append(TextPart(form.frames.each.format(time=time_s)))
            parts.append(ExampleFramePart(number, position, time_s, frames.frames_sha256))
        if after.strip():
            parts.append(TextPart(after.strip()))
        number += 1
    return tuple(parts)


def _told(form: Form, shows: Callable[[Example], str]) -> tuple[str, ...]:
    return tuple(
        form.example.format(shows=shows(each), answer=json.dumps(each.answer, ensure_ascii=False))
        for each in form.examples
    )
