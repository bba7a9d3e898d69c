"""`twins` of metrics.json, by type."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.views import View


class AlarmOnlyOn(TypedDict):
    """Pairs with an alarm on one side alone."""

    event: int
    twin: int


class PairRates(TypedDict):
    """See `scoring.pairs.score_pairs`: pairs of opposite truths."""

    pairs: int
    scenes: int
    rows: int
    answered: int
    both_right: Estimate | None
    both_right_worst_case: Estimate | None
    flip_rate: Estimate | None
    alarm_only_on: AlarmOnlyOn
    mcnemar_p: float | None


class Detection(TypedDict):
    """See `scoring.pairs.detection`."""

    d_prime: Estimate | None
    criterion: Estimate | None


class SameTruth(TypedDict):
    """Pairs whose truth is the same, such as mirror images."""

    pairs: int
    flip_rate: Estimate | None


class TwinView(PairRates, Detection):
    """One view of all pairs. by_twin : the rates for each kind of counterpart."""

    by_twin: dict[str, PairRates]
    same_truth: SameTruth


class OnTwins(TypedDict):
    """On the counterparts without the event, in the strict view: alarms among answers."""

    false_alarms: int
    twin_answers: int


class Dose(TypedDict):
    """levels : `[dose, alarms, answers]` of each; see `scoring.twins.levels_of`."""

    levels: list[list[float]]


class InLight(OnTwins, Dose):
    """The clips in one light, strict view. answers : of clips with the event."""

    answers: int
    says_event: Estimate | None
    on_twins: Estimate | None


class TwinMetrics(OnTwins):
    """See `scoring.twins.Twins.score`. lights : there where there are two or more."""

    views: dict[View, TwinView]
    doses: dict[str, Dose]
    lights: NotRequired[dict[str, InLight]]
