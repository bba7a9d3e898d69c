"""Whether a task that asks at moments lets slip at one of them what comes after, the clip's length above all.

Frames later than a moment make no question. What the words say is the task's own affair, so the task is asked, before
anything runs, about two drawn clips that are one until a moment and then go on differently, for longer in one of them:
it must ask the same at every moment until then.
"""

from __future__ import annotations

from typing import Final

from ghostbench.errors import BadInput
from ghostbench.frames import Frames
from ghostbench.plugins.registry import printable
from ghostbench.question import Question
from ghostbench.tasks.base import Task

_ALIKE_S: Final = 4.0
_APART_S: Final = 0.25
_LENGTHS_S: Final = (5.0, 8.5)


def check_causal(task: Task) -> None:
    """Raise `BadInput` for a task that asks at moments, and otherwise where the clip goes on otherwise.

    Of a task that cannot ask about drawn clips, or does not ask the same twice, nothing is said.
    """
    if not task.at_moments:
        return
    try:
        one, again, other = (_asked(task, length_s) for length_s in (_LENGTHS_S[0], *_LENGTHS_S))
    except Exception:  # noqa: BLE001 - a plugin's task, which the run itself will say of
        return
    if one != again:
        return
    for moment_s, question in one.items():
        if moment_s <= _ALIKE_S and other.get(moment_s, question) != question:
            raise BadInput(
                f"task '{printable(task.name)}' tells at {moment_s:g} s what comes after in the clip, such as its "
                "length: build each question of Frames.until(moment_s) alone"
            )


def _asked(task: Task, length_s: float) -> dict[float, tuple[object, ...]]:
    questions = [each for each in task.questions(_drawn(length_s)) if each.moment_s is not None]
    return {each.moment_s: _shown(each) for each in questions if each.moment_s is not None}


def _shown(question: Question) -> tuple[object, ...]:
    frames = question.frames
    seen = None if frames is None else (frames.sha256, frames.indices, frames.times_s, frames.duration_s)
    return question.prompt.sha256, question.prompt.max_output_tokens, seen


def _drawn(length_s: float) -> Frames:
    """A clip of noise, of which the first `_ALIKE_S` are those of every other."""
    import numpy as np

    count = int(length_s / _APART_S)
    alike = int(_ALIKE_S / _APART_S) + 1
    parts = ((0, alike), (int(length_s * 10), count - alike))
    noise = [np.random.default_rng(seed).integers(0, 256, (many, 8, 8, 3), dtype=np.uint8) for seed, many in parts]
    return Frames(
        np.concatenate(noise),
        indices=tuple(range(count)),
        times_s=tuple(place * _APART_S for place in range(count)),
        duration_s=length_s,
        decoder="drawn",
    )
