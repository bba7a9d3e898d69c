"""The lines of a run folder's files as a reader accepts them.

They have the fields of `ghostbench.records`' lines, with the ranges that a file must keep to: nothing in it is trusted.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ghostbench.outcomes import Outcome
from ghostbench.records import GRADES, MOST_COUNT, AnsweredBy, Grade, Truth

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""Up to thirty years: more is no measurement."""
Dollars = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MOST_COUNT)]

NO_ANSWER = "no_answer"
COLUMNS: tuple[str, ...] = (*GRADES, NO_ANSWER)
"""The columns of a confusion matrix."""
STAGES = ("queue_s", "video_decode_s", "preprocess_s", "vision_s", "prefill_s", "first_token_s", "generate_s")
MEMORY = ("peak_allocated_bytes", "peak_reserved_bytes", "process_bytes")


class ClipLine(TypedDict):
    """A line of clips.jsonl. Times are seconds from the clip's start; frame fields are null where nothing decoded."""

    clip: str
    truth: Truth
    truth_time_s: Seconds | None
    category: Count | None
    remark: str | None
    duration_s: Seconds | None
    frame_indices: list[Count] | None
    frame_times_s: list[Finite] | None
    decoder: str | None
    frames_sha256: str | None


class ErrorLine(TypedDict):
    """What went wrong in an attempt, in the words of whoever knew."""

    type: str
    message: str


class StagesLine(TypedDict):
    """Where an attempt's time went, seconds."""

    queue_s: NotRequired[Seconds | None]
    video_decode_s: NotRequired[Seconds | None]
    preprocess_s: NotRequired[Seconds | None]
    vision_s: NotRequired[Seconds | None]
    prefill_s: NotRequired[Seconds | None]
    first_token_s: NotRequired[Seconds | None]
    generate_s: NotRequired[Seconds | None]


class UsageLine(TypedDict):
    """Tokens and money of an attempt."""

    input_tokens: NotRequired[Count | None]
    cached_tokens: NotRequired[Count | None]
    output_tokens: NotRequired[Count | None]
    cost_usd: NotRequired[Dollars | None]


class MemoryLine(TypedDict):
    """Device memory of an attempt's batch, bytes."""

    peak_allocated_bytes: NotRequired[Count | None]
    peak_reserved_bytes: NotRequired[Count | None]
    process_bytes: NotRequired[Count | None]


class AttemptLine(TypedDict):
    """A line of attempts.jsonl."""

    model: str
    clip: str
    repeat: Count
    attempt: Annotated[int, Field(ge=1, le=MOST_COUNT)]
    fallback_level: Count
    outcome: Outcome
    error: ErrorLine | None
    started_at: str | None
    wall_s: Seconds | None
    wait_s: Seconds | None
    stages: StagesLine | None
    batch_size: Count | None
    usage: UsageLine | None
    memory: MemoryLine | None
    served_model: str | None
    system_fingerprint: NotRequired[str | None]
    request_id: NotRequired[str | None]
    server_request_id: NotRequired[str | None]
    finish_reason: str | None
    grade_probabilities: dict[str, Probability] | None
    frames_sha256: str | None
    prompt_sha256: str | None
    raw: str | None
    notes: NotRequired[list[str] | None]


class PredictionLine(TypedDict):
    """A line of predictions.jsonl."""

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
