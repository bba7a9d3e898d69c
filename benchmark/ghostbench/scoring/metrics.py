"""What metrics.json holds, by type: who reads a row of a table reads these fields and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from ghostbench.scoring.account_metrics import BatchSize, ComparedWith, Percentiles, Usage, WarmUpAttempts, Workers
from ghostbench.scoring.rates import Estimate, RateName, Rates
from ghostbench.scoring.twin_metrics import TwinMetrics
from ghostbench.scoring.views import Basis, View
from ghostbench.scoring.warning_metrics import EarlyWarning
from ghostbench.scoring.wording_metrics import Change, Wordings

Verdict = Literal["beats", "undecided", "does_not_beat"]


class StoppedRow(TypedDict):
    """Why a model sent nothing more."""

    outcome: str
    message: str


class Agreement(TypedDict):
    """See `scoring.agreement.agreement`."""

    rate: float | None
    kappa: float | None
    unanimous: int | None
    clips: int


class BesideBaseline(TypedDict):
    """A baseline's F1 on the clips that a model answered, and the model's minus it; null without a denominator."""

    f1: float | None
    difference: Estimate | None


class HeldAgainst(TypedDict):
    """See `scoring.trivial.held_against`."""

    f1: float | None
    best: str | None
    best_f1: float | None
    verdict: Verdict
    baselines: dict[str, BesideBaseline]


class BeatsTrivial(TypedDict):
    """See `scoring.trivial.against_trivial`."""

    clips: int
    verdict: Verdict
    strict: HeldAgainst
    lenient: HeldAgainst


class Bin(TypedDict):
    """Scores in [low, high): how many, their mean, and how many of their clips are positive."""

    low: float
    high: float
    n: int
    mean_score: float
    positives: int
    share: Estimate


class OperatingPoint(TypedDict):
    """See `scoring.probabilities.operating_point`."""

    threshold: float
    tp: int | None
    fp: int | None
    fn: int | None
    tn: int | None
    recall: Estimate | None
    precision: Estimate | None
    specificity: Estimate | None


class Probabilities(TypedDict):
    """See `scoring.probabilities.score_probabilities`."""

    n: int
    positives: int
    auc: Estimate | None
    average_precision: Estimate | None
    average_precision_null: float
    brier: Estimate
    brier_null: float
    ece: float
    ece_null: float
    reliability: list[Bin]
    operating_points: dict[str, OperatingPoint]


class DatingErrors(TypedDict):
    """Over the rows where the label and the answer state a time: seconds, and shares within 1 and 2 s."""

    median_abs_error_s: float | None
    within_1s: Estimate | None
    within_2s: Estimate | None


class ConstantTime(DatingErrors):
    """The same rows dated by one time, seconds, and the model's share minus that one's."""

    time_s: float
    gain_1s: Estimate | None
    gain_2s: Estimate | None


class Misses(TypedDict):
    """Positives answered with no, by whether a frame could have shown the event."""

    event_not_sampled: int
    sampled_but_missed: int
    unknown: int


class EventTime(DatingErrors):
    """One view of `scoring.event_time.event_time`."""

    true_positives: int
    stated: int
    constant: ConstantTime | None
    misses: Misses


class SliceCounts(TypedDict):
    """One view of a part of the split; a rate is null for few clips."""

    tp: int
    fp: int
    fn: int
    tn: int
    accuracy: Estimate | None
    recall: Estimate | None
    specificity: Estimate | None


class Slice(TypedDict):
    """See `scoring.slices.score_slices`."""

    n: int
    rows: int
    answered: int
    strict: SliceCounts
    lenient: SliceCounts


class LabelDoubt(TypedDict):
    """See `scoring.label_doubt.score_doubt`. clips : the doubted ones. The ends of each rate are bounds."""

    clips: int
    views: dict[View, dict[Basis, dict[RateName, Estimate | None]]]


class ActorAlarms(TypedDict):
    """Alarms that name one kind of road user; see `scoring.actors.alarms_by_actor`."""

    alarms: int
    tp: int
    fp: int
    precision: Estimate | None


class TableRow(TypedDict):
    """One row of the tables. What only a ledger tells is not there for a baseline that the run did not name,
    `sees_video` only in the row of a model that sees the video, `compared` only in that of an approximation of another
    model, `twins` only where the clips have twins, and `change` only in the row of a probe or of another wording.
    `task` holds the numbers that only the run's task knows: JSON values under names of its own."""

    kind: str
    reference: bool
    baseline: bool
    mark: str | None
    of: str | None
    probe: str | None
    variant: str | None
    n: int
    rows: int
    answered: int
    coverage: float
    outcomes: dict[str, int]
    attempts: int | None
    retries: int | None
    fallbacks: dict[str, int] | None
    attempt_outcomes: NotRequired[dict[str, int]]
    from_cache: NotRequired[int]
    compared: NotRequired[ComparedWith]
    served_models: list[str]
    asked_model: str | None
    stopped: StoppedRow | None
    confusion: dict[str, dict[str, int]]
    detection_rates: dict[str, float | None]
    false_alarms_per_hour: float | None
    false_alarms_per_hour_lenient: float | None
    prevalence: float
    views: dict[View, dict[Basis, Rates]]
    beats_trivial: BeatsTrivial | None
    precision_at: Mapping[View, Mapping[str, Mapping[str, Estimate | None]]]
    agreement: Agreement | None
    scores: Probabilities | None
    event_time: dict[View, EventTime]
    early_warning: EarlyWarning | None
    task: Mapping[str, Any]
    label_doubt: LabelDoubt | None
    slices: dict[str, dict[str, Slice]]
    sees_video: NotRequired[bool]
    twins: NotRequired[TwinMetrics]
    change: NotRequired[dict[View, Change]]
    latency: NotRequired[dict[str, Percentiles | None]]
    batch_size: NotRequired[BatchSize | None]
    throughput_clips_per_s: NotRequired[float | None]
    workers: NotRequired[Workers]
    memory: NotRequired[dict[str, int | None]]
    usage: NotRequired[Usage]
    load_s: NotRequired[float | None]
    warm_up_s: NotRequired[dict[str, float] | None]
    warm_up_attempts: NotRequired[WarmUpAttempts | None]
    actors: NotRequired[dict[str, ActorAlarms]]


class EventCoverage(TypedDict):
    """For how many positives a sampled frame lies within `window_s` of the event."""

    window_s: float
    positives: int
    with_time: int
    with_frames: int
    covered: int
    rate: Estimate | None


class Intervals(TypedDict):
    """How intervals were made: their level and its z, how often clips were redrawn, and the prior of shares."""

    level: float
    z: float
    draws: int
    seed: int
    priors: list[float]


class Metrics(TypedDict):
    """The whole file. `wordings` is there where models were asked in several."""

    schema_version: int
    run_id: str
    dataset: str
    split: str
    task: str
    n: int
    repeats: int
    intervals: Intervals
    event_coverage: EventCoverage
    slices_left_out: NotRequired[list[str]]
    wordings: NotRequired[Wordings]
    models: dict[str, TableRow]
    reference: dict[str, TableRow]
