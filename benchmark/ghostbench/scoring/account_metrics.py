"""What only a ledger tells of a row in metrics.json, by type: tries, time, tokens and workers."""

from __future__ import annotations

from typing import TypedDict

from ghostbench.scoring.rates import Estimate


class Percentiles(TypedDict):
    """Of `n` durations, seconds."""

    n: int
    p50: float
    p90: float
    p99: float
    max: float


class BatchSize(TypedDict):
    """Over a model's attempts."""

    median: float
    largest: int


class WorkerShare(TypedDict):
    """What one worker of a model did. attempts, answered : attempts, one a moment where moments are asked.
    clips_per_s : of whole clips. ended_s : when its last attempt ended, seconds from the first of them all."""

    attempts: int
    answered: int
    clips_per_s: float | None
    ended_s: float


class Workers(TypedDict):
    """The workers of a model with several. idle_at_the_end : the share of their time in which they had nothing left."""

    by_name: dict[str, WorkerShare]
    idle_at_the_end: float


class Usage(TypedDict):
    """Tokens and US dollars over all attempts; null where no attempt reported any."""

    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    attempts_without_price: int


class ComparedWith(TypedDict):
    """See `scoring.compared.compared`."""

    against: str
    answers: int
    changed_grades: int
    changed_share: Estimate | None
    largest_change: float | None


class WarmUpAttempts(TypedDict):
    """Attempts that were marked as warm-up, and their time together, seconds."""

    n: int
    wall_s: float | None


class AttemptCounts(TypedDict):
    """See `scoring.counts.attempt_counts`."""

    attempts: int
    retries: int
    fallbacks: dict[str, int]
    attempt_outcomes: dict[str, int]
