"""Tasks that do not simply show a whole clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ghostbench import FramePart, Frames, Question, Task
from ghostbench.tasks.form import Form, form_of, shipped_form
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.summary import GhostProbingSummary
from ghostbench.tasks.written_task import WrittenTask


class FiveOfTen(GhostProbing):
    """Names every other frame, and overrides `build` alone."""

    name = "five-of-ten"
    claim = "A model sees every other frame: this is half a look."

    def build(self, frames: Frames | None) -> Any:
        prompt = super().build(frames)
        if frames is None:
            return prompt
        parts = [part for part in prompt.parts if not isinstance(part, FramePart) or part.position % 2 == 0]
        return replace(prompt, parts=tuple(parts))


class Study(GhostProbingSummary):
    """The prompts of the earlier study, whose words are not here: for its recorded answers."""

    name = "study"

    def variants(self) -> Mapping[str, Task]:
        return {"balanced": Balanced()}


class Balanced(GhostProbingSummary):
    name = "study"
    system = "The study's other prompt."


class ThreeMoments(GhostProbing):
    """Asks when a third, two thirds and all of a second have passed."""

    name = "three-moments"
    claim = "A model sees a clip as far as it has come: this is half a warning."
    at_moments = True
    sampling = "fps:10"
    opening = "The clip has lasted {duration:.2f} s so far. Frames from it follow in order of time ({count} in all)."

    def questions(self, frames: Frames) -> Sequence[Question]:
        prefixes = [(moment, frames.until(moment)) for moment in (0.25, 0.5, 0.875)]
        return [Question.about(self.build(prefix), prefix, moment) for moment, prefix in prefixes]


_EXAMPLE = {"time_s": None, "grade": "normal", "actor": None, "occluder": None, "evidence": "nobody comes out"}


def _worded() -> Form:
    stated = shipped_form("ghost-probing").stated()
    example = {"clip": "images_3_002", "shows": "An empty road.", "answer": _EXAMPLE}
    variants = {"bold": {"system": "Be bold. " + stated["system"]}, "few": {"examples": [example]}}
    return form_of({**stated, "name": "worded-moments", "variants": variants}, "worded-moments")


class WordedMoments(WrittenTask):
    """Asks at three moments, in three wordings, of which one tells of an example."""

    form = _worded()
    claim = ThreeMoments.claim
    at_moments = True
    sampling = ThreeMoments.sampling
    questions = ThreeMoments.questions

    def variants(self) -> Mapping[str, Task]:
        return {"bold": BoldMoments(), "few": FewMoments()}


class BoldMoments(WordedMoments):
    form = WordedMoments.form.worded("bold")

    def variants(self) -> Mapping[str, Task]:
        return {}


class FewMoments(BoldMoments):
    form = WordedMoments.form.worded("few")
