"""Compare models pair by pair on the clips that both answered, rank them on the clips that all answered, and hold each
against the trivial baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, permutations
from typing import Literal

import numpy as np

from ghostbench.errors import BadInput
from ghostbench.evidence.contenders import Contender, Field
from ghostbench.evidence.label_flips import PairLead, Places, pair_leads, possible_places
from ghostbench.scoring.intervals import Ints, estimate_rates
from ghostbench.scoring.metrics import BeatsTrivial
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.significance import (
    ALPHA,
    Power,
    clip_scores,
    holm,
    letters,
    mcnemar_exact,
    places,
    power,
)
from ghostbench.scoring.trivial import against_trivial
from ghostbench.scoring.views import VIEWS, Basis, Bools, View

Side = Literal["answered", "worst_case", "against_first", "for_first"]
SIDES: Mapping[Side, tuple[Basis, Basis]] = {
    "answered": ("answered", "answered"),
    "worst_case": ("worst_case", "worst_case"),
    "against_first": ("worst_case", "best_case"),
    "for_first": ("best_case", "worst_case"),
}
"""How missing answers of the first and of the second count; a difference over all clips lies between the last two."""
FLOOR = 0.5
"""A model that answered less than this share of the clips that the best covered model did would take clips away from
the others, and does not rank."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models in one view, missing answers counted one way.

    n : clips compared: answered by both, or asked of both. differing : those of them on which only one was right.
    first_only, second_only : clips on which only that model was right (with repeats: right more often).
    p, p_holm : exact McNemar, and Holm's correction over all pairs of the same view and side.
    family : pairs of the same view and side.
    """

    first: str
    second: str
    view: View
    side: Side
    n: int
    first_only: int
    second_only: int
    p: float
    p_holm: float
    family: int

    @property
    def power(self) -> Power:
        """What so many clips could show."""
        return power(self.n, self.first_only + self.second_only, self.family)


@dataclass(frozen=True, slots=True)
class PairRates:
    """Both models' rates and their differences, on the clips of a pair."""

    first: Mapping[str, Estimate | None]
    second: Mapping[str, Estimate | None]
    differences: Mapping[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A line of the ranking: `place` may be a range, `group` holds the letters shared with equals; a baseline has
    neither."""

    name: str
    baseline: bool
    place: str
    group: str
    rates: dict[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The models by balanced accuracy on the `n` clips that all ranked models answered, baselines among them.

    left_out : models below the floor, with the number of clips that they answered. No lines if there is no such clip.
    """

    view: View
    n: int
    lines: tuple[Ranked, ...]
    left_out: Mapping[str, int]


class Comparison:
    """Everything `bench compare` says; what takes long is computed when it is asked for."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._tables: dict[tuple[str, View, Basis], Ints] = {}
        self._named = {one.name: one for one in (*field.contenders, *field.baselines)}
        self._estimates: dict[tuple[int, ...] | bytes, dict[str, Estimate | None]] = {}
        self._rates: dict[tuple[str, str, View, Side], PairRates] = {}

    def table(self, contender: Contender, view: View, basis: Basis) -> Ints:
        """tp, fp, fn, tn per common clip, computed once."""
        key = (contender.name, view, basis)
        if key not in self._tables:
            self._tables[key] = contender.table(self.field.positive, view, basis)
        return self._tables[key]

    @cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """One in each view."""
        return tuple(self._ranking(view) for view in VIEWS)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair of models in both views, on every side; baselines are not paired."""
        found: list[Pair] = []
        for view in VIEWS:
            for side in SIDES:
                family = list(combinations(self.field.contenders, 2))
                pairs = [self._pair(one, other, view, side, len(family)) for one, other in family]
                adjusted = holm([pair.p for pair in pairs])
                found += [replace(pair, p_holm=p) for pair, p in zip(pairs, adjusted, strict=True)]
        return tuple(found)

    @cached_property
    def against(self) -> dict[str, BeatsTrivial]:
        """Each model beside the trivial baselines of its own run, as `beats_trivial` of metrics.json has it."""
        return {
            one.name: against_trivial(one.rows, one.answered, one.trivial, self.field.positive)
            for one in self.field.contenders
        }

    @cached_property
    def leads(self) -> tuple[PairLead, ...]:
        """Every pair of models in both views, the one that is ahead first."""
        return pair_leads(self.field, self._answered)

    @cached_property
    def places(self) -> tuple[Places, ...]:
        """Of the ranked models, on the clips of the ranking; () where no label is doubted."""
        ranked = {ranking.view: [it.name for it in ranking.lines if not it.baseline] for ranking in self.rankings}
        return possible_places(self.field, self._answered, ranked)

    def _answered(self, one: Contender, view: View) -> Ints:
        return self.table(one, view, "answered")

    def accuracy(self, pair: Pair) -> Estimate | None:
        """The first's accuracy minus the second's; None without a clip to compare."""
        first, second = self._both(pair.first, pair.second, pair.view, pair.side)
        return paired_differences(first, second, ("accuracy",))["accuracy"] if len(first) else None

    def rates(self, pair: Pair) -> PairRates:
        """The rates of both models of a pair and their differences, with intervals; computed once."""
        key = (pair.first, pair.second, pair.view, pair.side)
        if key not in self._rates:
            self._rates[key] = self._pair_rates(*self._both(*key))
        return self._rates[key]

    def _pair_rates(self, first: Ints, second: Ints) -> PairRates:
        if not len(first):
            nothing = dict.fromkeys(estimate_rates(first), None)
            return PairRates(nothing, nothing, nothing)
        return PairRates(self._estimated(first), self._estimated(second), paired_differences(first, second))

    def _estimated(self, table: Ints) -> dict[str, Estimate | None]:
        """`estimate_rates`, computed once for all tables alike: a model has the same clips in most of its pairs, and
        where a clip has one row each, its rates follow from the sums."""
        single = table.sum(axis=1).max(initial=0) <= 1
        key = tuple(int(cell) for cell in table.sum(axis=0)) if single else table.tobytes()
        if key not in self._estimates:
            self._estimates[key] = estimate_rates(table)
        return self._estimates[key]

    def _both(self, one: str, other: str, view: View, side: Side) -> tuple[Ints, Ints]:
        bases = SIDES[side]
        first = self.table(self._named[one], view, bases[0])
        second = self.table(self._named[other], view, bases[1])
        both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
        return first[both], second[both]

    def _pair(self, one: Contender, other: Contender, view: View, side: Side, family: int) -> Pair:
        first, second = self._both(one.name, other.name, view, side)
        first_only, second_only = _discordant(clip_scores(first) - clip_scores(second))
        p = mcnemar_exact(first_only, second_only)
        return Pair(
            first=one.name,
            second=other.name,
            view=view,
            side=side,
            n=len(first),
            first_only=first_only,
            second_only=second_only,
            p=p,
            p_holm=p,
            family=family,
        )

    def _ranking(self, view: View) -> Ranking:
        answered = {one.name: self.table(one, view, "answered") for one in self.field.contenders}
        count = {name: int((table.sum(axis=1) > 0).sum()) for name, table in answered.items()}
        least = 1 if self.field.chosen else max(FLOOR * max(count.values(), default=0), 1)
        ranked = {name: table for name, table in answered.items() if count[name] >= least}
        left_out = {name: count[name] for name in answered if name not in ranked}
        common = np.all([table.sum(axis=1) > 0 for table in ranked.values()], axis=0) if ranked else np.zeros(0, bool)
        if not common.any():
            return Ranking(view, 0, (), left_out)
        baselines = {one.name: self.table(one, view, "answered") for one in self.field.baselines}
        rates = {name: estimate_rates(table[common]) for name, table in {**ranked, **baselines}.items()}
        names = sorted(ranked, key=lambda name: -_merit(rates[name]))
        differ, before = _order(names, {name: table[common] for name, table in ranked.items()},
                                self.field.positive[common])  # fmt: skip
        place, group = places(names, before), letters(names, differ)
        lines = [
            Ranked(name, name in baselines, place.get(name, ""), group.get(name, ""), rates[name])
            for name in sorted(rates, key=lambda name: (-_merit(rates[name]), name in baselines))
        ]
        return Ranking(view, int(common.sum()), tuple(lines), left_out)


def compare(field: Field) -> Comparison:
    """Every pair in both views, a ranking in each view, and every model against the trivial baselines.

    Raises `BadInput` for runs that ask at moments: `evidence.warning_pairs` compares those.
    """
    if field.at_moments:
        raise BadInput(
            f"{field.runs[0].folder} asks at moments: yes and no of whole clips are no measure of warnings; "
            "compare it by WarningComparison"
        )
    return Comparison(field)


def differing_clips(field: Field) -> dict[str, dict[str, str]]:
    """For each common clip on which two models do not say the same, what each says (with repeats: how often)."""
    said = {one.name: one.said(len(field.clips)) for one in field.contenders}
    found = {}
    for place, clip in enumerate(field.clips):
        words = {name: each[place] for name, each in said.items()}
        if len(set(words.values())) > 1:
            found[clip] = words
    return found


def pairs_apart(clips: Mapping[str, Mapping[str, str]], names: Sequence[str]) -> Iterator[tuple[str, str, list[str]]]:
    """For each pair of models the clips of `differing_clips` on which those two do not say the same."""
    for one, other in combinations(names, 2):
        yield one, other, [clip for clip, words in clips.items() if words[one] != words[other]]


def _discordant(better: np.ndarray) -> tuple[int, int]:
    return int((better > 0).sum()), int((better < 0).sum())


def _merit(rates: Mapping[str, Estimate | None]) -> float:
    """Balanced accuracy; without one of the two classes, the rate of the other."""
    for name in ("balanced_accuracy", "recall", "specificity"):
        estimate = rates[name]
        if estimate is not None:
            return estimate["value"]
    return -math.inf


def _order(
    names: Sequence[str], tables: Mapping[str, Ints], positive: Bools
) -> tuple[dict[frozenset[str], bool], dict[tuple[str, str], bool]]:
    """Which pairs differ, and for each ordered pair whether the first stands before the second.

    Exact McNemar on positives and on negatives apart, Holm over all these tests. A model stands before another where it
    is significantly better on one and not significantly worse on the other.
    """
    scores = {name: clip_scores(table) for name, table in tables.items()}
    tests = [
        (one, other, _discordant((scores[one] - scores[other])[truth]))
        for one, other in combinations(names, 2)
        for truth in (positive, ~positive)
    ]
    adjusted = holm([mcnemar_exact(*counts) for *_, counts in tests])
    better = dict.fromkeys(permutations(names, 2), False)
    for (one, other, counts), p in zip(tests, adjusted, strict=True):
        if p <= ALPHA:
            better[(one, other) if counts[0] > counts[1] else (other, one)] = True
    differ = {frozenset(pair): better[pair] or better[pair[::-1]] for pair in combinations(names, 2)}
    before = {pair: better[pair] and not better[pair[::-1]] for pair in better}
    return differ, before
