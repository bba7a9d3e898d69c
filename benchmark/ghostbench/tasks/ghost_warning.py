"""The task `ghost-warning`: at moments of a clip, what is known by then of an emergency about to arise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from jsonschema import Draft202012Validator

from ghostbench.frames import Frames
from ghostbench.question import Question
from ghostbench.records import GRADES, Answer, Verdict
from ghostbench.tasks.base import Task
from ghostbench.tasks.ghost_probing import DEFINITIONS
from ghostbench.tasks.json_text import read_answer, write_answer

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "grade": {"type": "string", "enum": list(GRADES)},
        "actor": {"type": ["string", "null"], "maxLength": 60},
        "occluder": {"type": ["string", "null"], "maxLength": 60},
        "evidence": {"type": "string", "maxLength": 240},
    },
    "required": ["grade", "actor", "occluder", "evidence"],
    "additionalProperties": False,
}

_SYSTEM: Final = f"""\
You watch the road through a dashcam while the ego vehicle drives. You get still frames of what has been seen so far, \
in order of time; the last one is of now. You decide whether the driver must be warned now of ghost probing that is \
about to happen or has just begun.

{DEFINITIONS}

Grades:
ghost_probing: warn now. An emergency with a hidden road user is arising: somebody is coming out from behind an \
occluder into the path of the ego vehicle, or clearly about to.
potential_ghost_probing: an occluder may hide somebody and calls for care, but nothing shows yet that anybody comes.
normal: anything else.
A warning that nothing in the frames supports is a false alarm, even if something happens later.

Answer with one JSON object and nothing else, with these keys in this order:
grade: one of the three grades.
actor: who or what comes out or is about to, in a few words; null if nobody does.
occluder: what hides or was hiding the road user, in a few words; null if nothing does.
evidence: one sentence of at most 20 words that says what in the frames decided the grade."""

_VALIDATOR: Final = Draft202012Validator(SCHEMA)


class GhostWarning(Task):
    """Asks every so often, with the frames up to then and nothing of what comes after.

    most_frames : of a long clip at most so many of the latest frames are shown at a moment. A third of them is left out
        at once when there are more, so that in between each moment's frames begin like those of the one before.
    """

    name: ClassVar[str] = "ghost-warning"
    version: ClassVar[str] = "1"
    claim: ClassVar[str] = (
        "At each moment a model sees what was before it and nothing else: this is early warning, on clips chosen for "
        "their events, so that its false alarms say little of everyday driving."
    )
    left_out: ClassVar[tuple[str, ...]] = (
        "event_time",
        # What counts yes and no of whole clips: an alarm that never stops would score there.
        *(
            f"rates_{view}_{basis}"
            for view in ("strict", "lenient")
            for basis in ("answered", "worst_case", "best_case")
        ),
        *("trivial", "confusion", "detection", "precision_at", "scores", "operating_points", "label_doubt", "slices"),
    )
    at_moments: ClassVar[bool] = True
    sampling: ClassVar[str] = "fps:2"
    opening: ClassVar[str] = "Frames of the drive so far follow in order of time."
    """The same at every moment, so that the request of one moment begins like that of the one before."""
    system: ClassVar[str] = _SYSTEM
    question: ClassVar[str] = "Must the driver be warned now? Answer with the JSON object only."
    schema: ClassVar[dict[str, Any]] = SCHEMA
    schema_name: ClassVar[str] = "ghost_warning"
    verdict_field: ClassVar[str | None] = "grade"
    verdict_values: ClassVar[tuple[str, ...]] = GRADES
    most_frames: ClassVar[int] = 60

    def __init__(self) -> None:
        self.moments_per_s: float | None = 2.0

    def questions(self, frames: Frames) -> Sequence[Question]:
        """One at each moment k / `moments_per_s` for k = 1, 2, … within the clip by which a frame has been seen."""
        rate = self.moments_per_s or 2.0
        moments = [count / rate for count in range(1, int(frames.duration_s * rate + 1e-9) + 1)]
        return [self._at(frames.until(moment), moment) for moment in moments if frames.times_s[0] <= moment] or [
            self._at(frames.until(frames.duration_s), frames.duration_s)
        ]

    def _at(self, seen: Frames, moment_s: float) -> Question:
        together = max(1, self.most_frames // 3)
        first = max(0, -(-(len(seen) - self.most_frames) // together)) * together
        latest = seen.take(tuple(range(first, len(seen))))
        return Question.about(self.build(latest), latest, moment_s)

    def parse(self, text: str) -> Answer:
        """Read JSON, fenced JSON or JSON inside prose. Unknown keys, missing keys and bounds count: all must fit."""
        return read_answer(text, "grade", _VALIDATOR, _read)

    def write(self, verdict: Verdict) -> str:
        """The verdict as one line of JSON, without a time, as an answer is of now.

        Raises `ValueError` if it does not fit the schema.
        """
        answer = {
            "grade": verdict.grade,
            "actor": verdict.actor,
            "occluder": verdict.occluder,
            "evidence": verdict.evidence,
        }
        return write_answer(answer, _VALIDATOR)


def _read(answer: dict[str, Any]) -> Answer:
    return Answer(
        grade=answer["grade"], actor=answer["actor"], occluder=answer["occluder"], evidence=answer["evidence"]
    )
