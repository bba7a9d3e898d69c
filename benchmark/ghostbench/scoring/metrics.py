"""What metrics.json holds, by type: who reads a row of a table reads these fields and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from ghostbench.scoring.rates import Estimate, Rates
from ghostbench.scoring.views import Basis, View

Cell = Literal["tp", "fp", "fn", "tn"]


class StoppedRow(TypedDict):
    """Why a model sent nothing more."""

    outcome: str
    message: str


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


class Agreement(TypedDict):
    """See `scoring.agreement.agreement`."""

    rate: float | None
    kappa: float | None
    unanimous: int | None
    clips: int


class Usage(TypedDict):
    """Tokens and US dollars over all attempts; null where no attempt reported any."""

    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    attempts_without_price: int


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


class Row(TypedDict):
    """One row of the tables. What only a ledger tells is not there for a baseline that the run did not name,
    and `twins` only where the clips have twins."""

    kind: str
    reference: bool
    baseline: bool
    mark: str | None
    of: str | None
    probe: str | None
    n: int
    rows: int
    answered: int
    coverage: float
    outcomes: dict[str, int]
    attempts: int | None
    retries: int | None
    fallbacks: dict[str, int] | None
    attempt_outcomes: NotRequired[dict[str, int]]
    served_models: list[str]
    asked_model: str | None
    stopped: StoppedRow | None
    confusion: dict[str, dict[str, int]]
    detection_rates: dict[str, float | None]
    false_alarms_per_hour: float | None
    false_alarms_per_hour_lenient: float | None
    prevalence: float
    views: dict[View, dict[Basis, Rates]]
    beats_trivial: Mapping[str, Any] | None
    precision_at: Mapping[View, Mapping[str, Mapping[str, Estimate | None]]]
    agreement: Agreement | None
    scores: Mapping[str, Any] | None
    event_time: Mapping[str, Any]
    early_warning: Mapping[str, Any] | None
    task: Mapping[str, Any]
    label_doubt: Mapping[str, Any] | None
    slices: Mapping[str, Mapping[str, Any]]
    twins: NotRequired[Mapping[str, Any]]
    latency: NotRequired[dict[str, Percentiles | None]]
    batch_size: NotRequired[BatchSize | None]
    throughput_clips_per_s: NotRequired[float | None]
    memory: NotRequired[dict[str, int | None]]
    usage: NotRequired[Usage]
    load_s: NotRequired[float | None]
    warm_up_s: NotRequired[dict[str, float] | None]
    warm_up_attempts: NotRequired[WarmUpAttempts | None]
    actors: NotRequired[Mapping[str, Any]]


class EventCoverage(TypedDict):
    """For how many positives a sampled frame lies within `window_s` of the event."""

    window_s: float
    positives: int
    with_time: int
    with_frames: int
    covered: int
    rate: Estimate | None


class Metrics(TypedDict):
    """The whole file."""

    schema_version: int
    run_id: str
    dataset: str
    split: str
    task: str
    n: int
    repeats: int
    intervals: Mapping[str, Any]
    event_coverage: EventCoverage
    slices_left_out: NotRequired[list[str]]
    models: dict[str, Row]
    reference: dict[str, Row]
