"""The task `ghost-probing`: one of three grades for a clip, as JSON that fits a schema."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from jsonschema import Draft202012Validator

from ghostbench.records import GRADES, Answer, Verdict
from ghostbench.tasks.base import WHOLE_CLIP, Task
from ghostbench.tasks.json_text import read_answer, write_answer

DEFINITIONS: Final = """\
Ego vehicle: the vehicle that carries the camera.
Occluder: whatever hides part of the scene from the camera, such as a parked or waiting vehicle, a bus, a wall, a \
hedge, a queue of traffic, or the crest of a road.
Ghost probing: a road user (pedestrian, cyclist, motorbike or vehicle) that an occluder was hiding suddenly comes out \
from behind it into the path of the ego vehicle, so near that the driver must react in an emergency, by braking hard \
or swerving. All of this has to be true.
Not ghost probing: a cut-in, where a vehicle that could be seen all along moves into the ego lane; a road user who \
crosses in plain view, however recklessly; an accident among others that leaves the path of the ego vehicle free."""

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "grade": {"type": "string", "enum": list(GRADES)},
        "event_time_s": {"type": ["number", "null"], "minimum": 0, "maximum": 3600},
        "actor": {"type": ["string", "null"], "maxLength": 60},
        "occluder": {"type": ["string", "null"], "maxLength": 60},
        "evidence": {"type": "string", "maxLength": 240},
    },
    "required": ["grade", "event_time_s", "actor", "occluder", "evidence"],
    "additionalProperties": False,
}
"""Draft 2020-12 without $ref; every property is required and none may be added, as OpenAI's strict mode demands.

Strict modes of hosted models differ in the bounds they take (`minimum`, `maximum`, `maxLength`), while llguidance takes
all of them. An adapter leaves out what its server refuses; the parser checks the whole schema in any case, and the
system text asks for answers well within the bounds.
"""

_SYSTEM: Final = f"""\
You look at a dashcam clip, given as still frames in order of time, and decide whether it shows ghost probing.

{DEFINITIONS}

Grades:
ghost_probing: the clip shows ghost probing as defined.
potential_ghost_probing: a road user comes out from behind an occluder and ghost probing is plausible, but not \
certain, or the emergence is not sudden or not near enough to demand an emergency reaction.
normal: anything else, cut-ins and crossings in plain view included.

Answer with one JSON object and nothing else, with these keys in this order:
grade: one of the three grades.
event_time_s: when the road user begins to come out, in seconds from the start of the clip; null if nobody does.
actor: who or what comes out, in a few words; null if nobody does.
occluder: what was hiding the road user, in a few words; null if nothing was.
evidence: one sentence of at most 20 words that says what in the frames decided the grade."""

_VALIDATOR: Final = Draft202012Validator(SCHEMA)


class GhostProbing(Task):
    """Three grades, in a schema without free choice in the verdict."""

    name: ClassVar[str] = "ghost-probing"
    version: ClassVar[str] = "1"
    opening: ClassVar[str] = WHOLE_CLIP
    system: ClassVar[str] = _SYSTEM
    question: ClassVar[str] = "Grade this clip. Answer with the JSON object only."
    schema: ClassVar[dict[str, Any]] = SCHEMA
    schema_name: ClassVar[str] = "ghost_probing"
    verdict_field: ClassVar[str | None] = "grade"
    verdict_values: ClassVar[tuple[str, ...]] = GRADES

    def parse(self, text: str) -> Answer:
        """Read JSON, fenced JSON or JSON inside prose. Unknown keys, missing keys and bounds count: all must fit."""
        return read_answer(text, "grade", _VALIDATOR, _read)

    def write(self, verdict: Verdict) -> str:
        """One line of JSON; see `write`."""
        return write(verdict)


def write(verdict: Verdict) -> str:
    """The verdict as JSON that `GhostProbing.parse` reads back. Raises `ValueError` if it does not fit the schema."""
    answer = {
        "grade": verdict.grade,
        "event_time_s": verdict.event_time_s,
        "actor": verdict.actor,
        "occluder": verdict.occluder,
        "evidence": verdict.evidence,
    }
    return write_answer(answer, _VALIDATOR)


def seconds(stated: float | None) -> float | None:
    """A time as JSON states it, where 2 and 2.0 are the same number, as a float."""
    return None if stated is None else float(stated)


def _read(answer: dict[str, Any]) -> Answer:
    return Answer(
        grade=answer["grade"],
        event_time_s=seconds(answer["event_time_s"]),
        actor=answer["actor"],
        occluder=answer["occluder"],
        evidence=answer["evidence"],
    )
