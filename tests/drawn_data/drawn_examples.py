"""Requests in a wording that shows frames of examples, as a run makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ghostbench import ExampleFrames, Frames, Request
from ghostbench.question import Question, examples_shown
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.wording import Example
from ghostbench.tasks.written_task import WrittenTask, task_of_form


def grey_frames(level: int, count: int, size: tuple[int, int] = (64, 48)) -> Frames:
    """`count` frames of one brightness, and of the size (width, height)."""
    pixels = np.full((count, size[1], size[0], 3), level, dtype=np.uint8)
    times = tuple(index / 2 for index in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=9.0, decoder="drawn")


def task_with_examples(*examples: Frames) -> WrittenTask:
    """`ghost-probing` in a wording that shows these frames, each as an example of ghost probing."""
    task = GhostProbing()
    answer = {"grade": "ghost_probing", "event_time_s": 1.0, "actor": None, "occluder": None, "evidence": "x"}
    answer = {name: answer[name] for name in task.schema["properties"]}
    told = tuple(Example(clip=f"clip_{number}", frames=True, answer=answer) for number in range(len(examples)))
    made = task_of_form(task.form.model_copy(update={"examples": told, "variants": {}, "variant": "shown"}))
    made.examples = {f"clip_{number}": ExampleFrames.of(frames) for number, frames in enumerate(examples)}
    return made


def with_examples(request: Request, *examples: Frames) -> Request:
    """The same request in a wording that shows these frames before the question."""
    task = task_with_examples(*examples)
    prompt = Question.about(task.build(request.frames), request.frames).prompt
    known = {frames.sha256: frames for frames in examples}
    name = f"{request.id}-behind-{'-'.join(digest[:6] for digest in known)}"
    return replace(request, id=name, prompt=prompt, variant="shown", examples=examples_shown(prompt, known))
