"""The task `ghost-probing-summary`: the older action summary, whose `key_actions` says in free text what happens."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from jsonschema import Draft202012Validator

from ghostbench.records import Answer, Grade, Verdict
from ghostbench.tasks.base import WHOLE_CLIP, Task
from ghostbench.tasks.ghost_probing import DEFINITIONS, seconds
from ghostbench.tasks.json_text import read_answer, write_answer
from ghostbench.tasks.negation import stated_grade

_TIME: Final = {"type": ["number", "null"], "minimum": 0, "maximum": 3600}

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "key_actions": {"type": "string", "minLength": 1, "maxLength": 160},
        "event_time_s": _TIME,
        "actor": {"type": ["string", "null"], "maxLength": 60},
        "occluder": {"type": ["string", "null"], "maxLength": 60},
        "summary": {"type": "string", "maxLength": 400},
    },
    "required": ["key_actions", "event_time_s", "actor", "occluder", "summary"],
    "additionalProperties": False,
}
"""What a model is asked for; as to servers that take fewer keywords, see `ghostbench.tasks.ghost_probing.SCHEMA`."""

RECORDED_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "key_actions": {"type": "string", "pattern": r"\S"},
        "event_time_s": _TIME,
        "actor": {"type": ["string", "null"]},
        "occluder": {"type": ["string", "null"]},
        "summary": {"type": "string"},
    },
    "required": ["key_actions"],
}
"""What is read: earlier studies asked for many more keys, of any length, and only `key_actions` decides."""

_SYSTEM: Final = f"""\
You look at a dashcam clip, given as still frames in order of time, and summarise what the driver has to deal with.

{DEFINITIONS}

Answer with one JSON object and nothing else, with these keys in this order:
key_actions: the decisive events in a few words. If the clip shows ghost probing as defined, write "ghost probing". If \
a road user comes out from behind an occluder and ghost probing is plausible, but not certain, or not sudden or not \
near enough to demand an emergency reaction, write "potential ghost probing". Otherwise name what happens, such as \
"cut-in", "pedestrian crossing in plain view" or "normal driving", without the words ghost probing.
event_time_s: when the road user begins to come out, in seconds from the start of the clip; null if nobody does.
actor: who or what comes out, in a few words; null if nobody does.
occluder: what was hiding the road user, in a few words; null if nothing was.
summary: what happens in the clip, in at most 40 words."""

_WRITTEN: Final[dict[Grade, str]] = {
    "ghost_probing": "ghost probing",
    "potential_ghost_probing": "potential ghost probing",
    "normal": "no ghost probing",
}

_VALIDATOR: Final = Draft202012Validator(SCHEMA)
_RECORDED_VALIDATOR: Final = Draft202012Validator(RECORDED_SCHEMA)


class GhostProbingSummary(Task):
    """Free text decides: each mention of ghost probing is judged with the negation of its own clause."""

    name: ClassVar[str] = "ghost-probing-summary"
    version: ClassVar[str] = "1"
    opening: ClassVar[str] = WHOLE_CLIP
    system: ClassVar[str] = _SYSTEM
    question: ClassVar[str] = "Summarise this clip. Answer with the JSON object only."
    schema: ClassVar[dict[str, Any]] = SCHEMA
    schema_name: ClassVar[str] = "ghost_probing_summary"
    verdict_field: ClassVar[str | None] = None
    verdict_values: ClassVar[tuple[str, ...]] = ()

    def parse(self, text: str) -> Answer:
        """Read `key_actions` of JSON, fenced JSON or JSON inside prose; other keys are allowed, and not consulted.

        The grade is that of `ghostbench.tasks.negation.stated_grade`. A `key_actions` that is missing, blank or no
        string is `Unparseable`.
        """
        return read_answer(text, "key_actions", _RECORDED_VALIDATOR, _read)

    def write(self, verdict: Verdict) -> str:
        """One line of JSON; see `write`."""
        return write(verdict)


def write(verdict: Verdict) -> str:
    """The verdict as JSON that `GhostProbingSummary.parse` reads back. Raises `ValueError` if it does not fit."""
    answer = {
        "key_actions": _WRITTEN[verdict.grade],
        "event_time_s": verdict.event_time_s,
        "actor": verdict.actor,
        "occluder": verdict.occluder,
        "summary": verdict.evidence,
    }
    return write_answer(answer, _VALIDATOR)


def _read(answer: dict[str, Any]) -> Answer:
    return Answer(
        grade=stated_grade(answer["key_actions"]),
        event_time_s=seconds(answer.get("event_time_s")),
        actor=answer.get("actor"),
        occluder=answer.get("occluder"),
        evidence=answer.get("summary"),
    )
