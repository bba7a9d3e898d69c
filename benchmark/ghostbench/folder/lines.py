"""The lines of a run folder's JSON-lines files: each kind of line is one record, written and read as that.

A reader takes nothing in a file on trust: `adapter_of` holds a line against the ranges that stand here. A field that an
earlier version did not write has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from annotated_types import Ge, Le

from ghostbench.frames import Frames
from ghostbench.label import UNSAID, Label
from ghostbench.outcomes import Outcome
from ghostbench.records import (
    GRADES,
    MOST_COUNT,
    AnsweredBy,
    Clip,
    Compared,
    Count,
    Dollars,
    Grade,
    Memory,
    Probability,
    Seconds,
    Stages,
    Truth,
    Usage,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

L = TypeVar("L")

_LARGEST = 1.7976931348623157e308
Finite = Annotated[float, Ge(-_LARGEST), Le(_LARGEST)]
Value = str | Annotated[int, Ge(-MOST_COUNT), Le(MOST_COUNT)] | Finite | bool
"""A parameter's."""

NO_ANSWER = "no_answer"
COLUMNS: tuple[str, ...] = (*GRADES, NO_ANSWER)
"""The columns of a confusion matrix."""
STAGES = tuple(stage.name for stage in fields(Stages))
"""Every stage whose time is noted, as `Stages` has them."""
USAGE = tuple(name.name for name in fields(Usage))
MEMORY = tuple(name.name for name in fields(Memory))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLine:
    """One question about a clip, in `clips.jsonl`. frames_sha256 : of the frames that it shows, None if it shows none.

    moment_s : when it is asked, seconds from the clip's start; None for one about the whole clip.
    """

    moment_s: Seconds | None
    frames_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLine:
    """One line of `clips.jsonl`: a clip of the split, and what was seen of its media.

    Times are seconds from the clip's start. Duration, frames and decoder are None where no model of the run needed
    frames, or the media failed. Lines of the first format have neither labels nor parameters.
    questions : what was asked of the clip, where a task does not simply show all frames; else None.
    """

    clip: str
    truth: Truth
    truth_time_s: Seconds | None
    category: Count | None
    remark: str | None
    duration_s: Seconds | None
    frame_indices: tuple[Count, ...] | None
    frame_times_s: tuple[Finite, ...] | None
    decoder: str | None
    frames_sha256: str | None
    labels: Label = UNSAID
    parameters: Mapping[str, Value] = field(default_factory=dict)
    questions: tuple[QuestionLine, ...] | None = None

    @classmethod
    def of(cls, clip: Clip, frames: Frames | None, questions: tuple[QuestionLine, ...] | None = None) -> ClipLine:
        """The line of a clip with its frames, or without where nobody looked or there are none."""
        return cls(
            clip=clip.id,
            truth=clip.truth,
            truth_time_s=clip.truth_time_s,
            category=clip.category,
            remark=clip.remark,
            duration_s=frames.duration_s if frames else None,
            frame_indices=frames.indices if frames else None,
            frame_times_s=frames.times_s if frames else None,
            decoder=frames.decoder if frames else None,
            frames_sha256=frames.sha256 if frames else None,
            labels=clip.labels,
            parameters=clip.parameters,
            questions=questions,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLine:
    """One line of `sent.jsonl`: a request about to be sent to a model with a price.

    request_id : as in `attempts.jsonl`. most_usd : the most that it can cost, US dollars >= 0; of several lines for one
        request the last counts, and 0 says that it was not sent after all.
    """

    request_id: str
    most_usd: Dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFault:
    """What went wrong in an attempt: the error's type name, and its message without secrets."""

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine:
    """One line of `attempts.jsonl`, the ledger: one attempt of one model at one clip.

    model : the row's name. repeat : from 0. attempt : from 1, over all levels. fallback_level : from 0.
    started_at : UTC, ISO 8601. wall_s : the attempt itself, without `wait_s` (the pause before it) and the queue.
    frames_sha256 : of the frames in this very request. prompt_sha256 : of system text, parts and schema.
    video_sha256 : of the clip's own media file, byte for byte, where that was sent in the place of frames.
    raw : the model's own words, untrusted. notes : events that changed nothing of the answer.
    moment_s : the moment that was asked about, seconds from the clip's start; None for the whole clip.
    worker : who computed it, where a local model has a process of its own.
    from_cache : SHA-256 of the reply cache's entry that the answer is from; None where the model was asked.
    compared : what a model gave to the same request that this one is an approximation of, where it was asked too.
    """

    model: str
    clip: str
    repeat: Count
    attempt: Annotated[int, Ge(1), Le(MOST_COUNT)]
    fallback_level: Count
    outcome: Outcome
    error: AttemptFault | None = None
    started_at: str | None
    wall_s: Seconds | None = None
    wait_s: Seconds | None = None
    stages: Stages = field(default_factory=Stages)
    batch_size: Count | None = None
    usage: Usage = field(default_factory=Usage)
    memory: Memory = field(default_factory=Memory)
    served_model: str | None = None
    system_fingerprint: str | None = None
    request_id: str | None = None
    server_request_id: str | None = None
    finish_reason: str | None = None
    grade_probabilities: Mapping[str, Probability] | None = None
    frames_sha256: str | None = None
    prompt_sha256: str | None = None
    raw: str | None = None
    notes: tuple[str, ...] = ()
    moment_s: Seconds | None = None
    worker: str | None = None
    from_cache: str | None = None
    video_sha256: str | None = None
    compared: Compared | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentLine:
    """What a model's row says of a clip at one moment, in `predictions.jsonl`. grade, score : None unless answered."""

    moment_s: Seconds
    grade: Grade | None
    score: Probability | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionLine:
    """One line of `predictions.jsonl`: what a model's row says of a clip in the end.

    grade, event_time_s, score : None unless `outcome` is answered; score is P(ghost_probing), None where not given.
    answered_by : "model", "substitute", or None where there is no answer.
    attempts : ledger lines of this model, clip and repeat; 0 for a clip that was never sent.
    actor, occluder, evidence : as the model stated them. alarm_time_s : the first moment of alarm.
    moments : in order; None, as `alarm_time_s`, where the task looks at the whole clip.
    """

    model: str
    clip: str
    repeat: Count
    truth: Truth
    truth_time_s: Seconds | None
    grade: Grade | None
    event_time_s: Seconds | None
    score: Probability | None
    answered_by: AnsweredBy | None
    fallback_level: Count | None
    outcome: Outcome
    attempts: Count
    actor: str | None = None
    occluder: str | None = None
    evidence: str | None = None
    alarm_time_s: Seconds | None = None
    moments: tuple[MomentLine, ...] | None = None


Line = AttemptLine | ClipLine | PredictionLine | SentLine
"""A line of any of the files."""


def names_of(kind: type[Line]) -> tuple[str, ...]:
    """The fields of a kind of line, in the file's order."""
    return tuple(each.name for each in fields(kind))


def adapter_of(kind: type[L]) -> TypeAdapter[L]:
    """What reads a kind of line, and raises pydantic's `ValidationError` for one that does not fit."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    found: TypeAdapter[L] = _ADAPTERS[kind]
    return found


_ADAPTERS: dict[type, Any] = {}


def as_mapping(record: Any) -> dict[str, Any]:
    """A record's fields by name, records within it likewise: `dataclasses.asdict` without its deep copies."""
    return {each.name: _as_value(getattr(record, each.name)) for each in fields(record)}


def _as_value(value: Any) -> Any:
    if type(value) is tuple:
        return [_as_value(each) for each in value]
    return as_mapping(value) if hasattr(value, "__dataclass_fields__") else value
