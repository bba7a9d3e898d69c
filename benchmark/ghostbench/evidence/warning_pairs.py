"""Compare models that warn at moments, pair by pair on their common clips: warnings, false alarms, leads, precision.

Everything is of all common clips: a missing answer is a miss, a false alarm, and the worst score that there is. A model
alarms at the threshold that its own false alarms on the common clips leave, or by grade, as `early_warning` has it; the
sustain rule is the first run's for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ghostbench.evidence.contenders import Contender, Field
from ghostbench.scoring.alarm_thresholds import alarm_threshold, first_alarms_of
from ghostbench.scoring.before_event import BEFORE_MS, scores_before
from ghostbench.scoring.draws import LEVEL, SEED
from ghostbench.scoring.early_warning import early_warning
from ghostbench.scoring.paired import share_difference
from ghostbench.scoring.ranking import weighted_average_precision
from ghostbench.scoring.rates import Estimate, Floats
from ghostbench.scoring.references import trivial_rows
from ghostbench.scoring.significance import flipped_signs, holm, mcnemar_exact
from ghostbench.scoring.timed_alarms import timed_rows
from ghostbench.scoring.warning_metrics import EarlyWarning
from ghostbench.scoring.watched import Watched, watched
from ghostbench.tasks.sustain import Sustain

Measure = Literal["warned", "false_alarms", "lead_s", "ap_mean"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class WarningPair:
    """Two models by one measure.

    n : clips compared: with a window, safe, or (`ap_mean`) all. difference : the first's minus the second's, with a
    paired interval that knows a clip's repeats to be one clip. first_more, second_more : clips on which that model has
    more of it. p, p_holm : exact, and Holm's correction over all pairs by that measure; None for `ap_mean`, which has
    no exact test, and for false alarms of a model whose threshold was chosen by these very false alarms: how many it
    has was decided, not seen, and the difference has no interval either.
    """

    first: str
    second: str
    measure: Measure
    n: int
    difference: Estimate | None
    first_more: int
    second_more: int
    p: float | None
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What one model's alarms come to, by common clip. warned, false_alarms : alarms and rows, float [clips, 2]. lead :
    seconds, NaN where there is no window. ap : the value and redrawn ones, NaN where it is undefined. chosen : whether
    its threshold is one that its false alarms leave."""

    seen: tuple[Watched, ...]
    firsts: tuple[float | None, ...]
    warned: Floats
    false_alarms: Floats
    lead: Floats
    ap: Floats
    chosen: bool


class WarningComparison:
    """Everything `bench compare` says of runs that ask at moments."""

    def __init__(self, field: Field) -> None:
        self.field = field
        first = field.runs[0]
        self.rule: Sustain = first.manifest.task.sustained
        self.moments_per_s = first.manifest.task.moments_per_s
        place = {clip: at for at, clip in enumerate(field.clips)}
        clips = first.clips[first.clips["clip"].isin(place)].copy()
        clips.index = pd.Index(clips["clip"].map(place))
        self.clips = clips.sort_index()
        timed = timed_rows(first, trivial_rows(first)["category-prior"])
        self.baselines = {one.name: one.rows for one in field.baselines if one.name != "random"}
        named = {one.name for one in field.contenders}
        for name, rows in timed.items():
            if name in named:
                continue
            own = rows[rows["clip"].isin(place)].copy()
            own["at"] = own["clip"].map(place).astype("int64")
            self.baselines[name] = own

    @cached_property
    def measured(self) -> dict[str, EarlyWarning]:
        """`early_warning` of every model and baseline on the common clips, by name; models first."""
        rows = {one.name: one.rows for one in self.field.contenders} | self.baselines
        found = {name: early_warning(each, self.clips, self.rule, self.moments_per_s) for name, each in rows.items()}
        return {name: numbers for name, numbers in found.items() if numbers is not None}

    @cached_property
    def pairs(self) -> tuple[WarningPair, ...]:
        """Every pair of models by every measure."""
        found: list[WarningPair] = []
        for measure in MEASURES:
            pairs = [
                self._pair(one, other, measure) for one, other in combinations(self._told, 2)
            ]  # in the order of the models
            tested = [pair.p for pair in pairs if pair.p is not None]
            adjusted = iter(holm(tested))
            found += [pair if pair.p is None else replace(pair, p_holm=next(adjusted)) for pair in pairs]
        return tuple(found)

    @cached_property
    def said(self) -> dict[str, dict[str, str]]:
        """For each common clip on which two models do not do the same, what each does, in words."""
        words = {name: _in_words(told, len(self.field.clips)) for name, told in self._told.items()}
        found = {}
        for at, clip in enumerate(self.field.clips):
            each = {name: words[name][at] for name in words}
            if len(set(each.values())) > 1:
                found[clip] = each
        return found

    @cached_property
    def _told(self) -> dict[str, _Told]:
        return {one.name: self._of(one) for one in self.field.contenders}

    def _of(self, one: Contender) -> _Told:
        count = len(self.field.clips)
        seen = list(watched(one.rows, self.clips, self.moments_per_s))
        threshold = alarm_threshold(seen, self.rule)
        firsts = first_alarms_of(seen, threshold, self.rule)
        warned, false, lead, rows = np.zeros((count, 2)), np.zeros((count, 2)), np.zeros(count), np.zeros(count)
        for each, first in zip(seen, firsts, strict=True):
            if each.has_window(self.rule):
                warned[each.at] += (each.warned(first), 1)
                lead[each.at] += each.lead_s(first)
                rows[each.at] += 1
            elif each.safe:
                false[each.at] += (each.false_alarm(first), 1)
        leads = np.divide(lead, rows, out=np.full(count, np.nan), where=rows > 0)
        precisions = self._precisions(seen)
        return _Told(tuple(seen), tuple(firsts), warned, false, leads, precisions, chosen=threshold is not None)

    def _precisions(self, seen: list[Watched]) -> Floats:
        """Mean average precision of the clips as they are, and of each redrawn set, the same for all models."""
        weights = np.concatenate([np.ones((1, len(self.field.clips))), self._redrawn])
        parts = []
        for before in BEFORE_MS:
            scores, truths, at = scores_before(seen, before / 1000)
            if len(set(truths)) < 2 or not any(each.whole for each in seen):
                return np.full(len(weights), np.nan)
            parts.append(
                weighted_average_precision(np.array(scores), np.array(truths), weights[:, np.array(at, dtype=np.int64)])
            )
        mean: Floats = np.mean(parts, axis=0)
        return mean

    @cached_property
    def _redrawn(self) -> Floats:
        """How often each clip is in each redrawn set, float [draws, clips]: clips with the event, and the others, among
        themselves."""
        rng = np.random.default_rng(SEED)
        drawn = np.zeros((_DRAWS, len(self.field.clips)))
        for part in (self.field.positive, ~self.field.positive):
            places = np.flatnonzero(part)
            if len(places):
                drawn[:, places] = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), size=_DRAWS)
        return drawn

    def _pair(self, one: str, other: str, measure: Measure) -> WarningPair:
        first, second = self._told[one], self._told[other]
        p: float | None
        if measure == "ap_mean":
            apart = first.ap - second.ap
            n = len(self.field.clips)
            return WarningPair(one, other, measure, n, _of_draws(apart[0], apart[1:]), 0, 0, None, None)
        if measure == "lead_s":
            both = ~(np.isnan(first.lead) | np.isnan(second.lead))
            apart = (first.lead - second.lead)[both]
            difference, p = _mean_of(apart), flipped_signs(apart)
        else:
            difference, apart = _shares_apart(getattr(first, measure), getattr(second, measure))
            p = mcnemar_exact(int((apart > 0).sum()), int((apart < 0).sum()))
        if not len(apart):
            p = None
        if measure == "false_alarms" and (first.chosen or second.chosen):
            p = None
            if difference is not None:
                difference = {"value": difference["value"], "low": None, "high": None}
        more, fewer = int((apart > 0).sum()), int((apart < 0).sum())
        return WarningPair(one, other, measure, len(apart), difference, more, fewer, p, p)


def _shares_apart(first: Floats, second: Floats) -> tuple[Estimate | None, Floats]:
    """The difference of two shares of the same clips, hits and rows by clip, and the difference in each."""
    both = (first[:, 1] > 0) & (second[:, 1] > 0)
    if not both.any():
        return None, np.zeros(0)
    a, b = (each[both, 0] / each[both, 1] for each in (first, second))
    rows = np.minimum(first[both, 1], second[both, 1])
    joint = np.stack([a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)], axis=1) * rows[:, None]
    return share_difference(joint), a - b


def _mean_of(apart: Floats) -> Estimate | None:
    if not len(apart):
        return None
    drawn = apart[np.random.default_rng(SEED).integers(0, len(apart), (_DRAWS, len(apart)))].mean(axis=1)
    return _of_draws(float(apart.mean()), drawn if len(apart) > 1 else np.full(1, np.nan))


def _of_draws(value: float, drawn: Floats) -> Estimate | None:
    if np.isnan(value):
        return None
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return {"value": float(value), "low": None, "high": None}
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, (tail, 1 - tail))
    return {"value": float(value), "low": min(float(low), float(value)), "high": max(float(high), float(value))}


def _in_words(told: _Told, clips: int) -> list[str]:
    """Per clip what a model does; with repeats, how often it does what."""
    counted: list[dict[str, int]] = [{} for _ in range(clips)]
    for each, first in zip(told.seen, told.firsts, strict=True):
        word = _deed(each, first)
        counted[each.at][word] = counted[each.at].get(word, 0) + 1
    return [
        next(iter(each)) if len(each) == 1 else ", ".join(f"{word} ×{each[word]}" for word in sorted(each))
        for each in counted
    ]


def _deed(each: Watched, first: float | None) -> str:
    if not each.whole:
        return "no media" if each.unasked_step_s else "an answer is missing" if each.times_s else "not asked"
    if first is None:
        return "no alarm"
    if not each.event:
        return f"false alarm at {first:g} s"
    if each.start_s is None or each.event_s is None:
        return f"alarm at {first:g} s"
    if each.warned(first):
        return f"warned at {first:g} s"
    return f"{'too early' if each.early(first) else 'too late'}, at {first:g} s"
