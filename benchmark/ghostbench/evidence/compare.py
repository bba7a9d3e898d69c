"""Compare models pair by pair on the clips that both answered, and rank them on the clips that all answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ghostbench.evidence.contenders import Contender, Field
from ghostbench.scoring.intervals import Estimate, Ints, estimate_rates
from ghostbench.scoring.paired import paired_differences
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
from ghostbench.scoring.views import BASES, VIEWS, Basis, Bools, View


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models in one view, over one denominator.

    n : clips compared: answered by both, or (worst case) asked of both.
    first_only, second_only : clips on which only that model was right (with repeats: right more often).
    p, p_holm : exact McNemar, and Holm's correction over all pairs of the same view and denominator.
    differences : per rate, first minus second.
    """

    first: str
    second: str
    view: View
    basis: Basis
    n: int
    first_only: int
    second_only: int
    p: float
    p_holm: float
    first_rates: dict[str, Estimate | None]
    second_rates: dict[str, Estimate | None]
    differences: dict[str, Estimate | None]
    power: Power


@dataclass(frozen=True, slots=True)
class Ranked:
    """A model's line in the ranking: `place` may be a range, `group` holds the letters it shares with its equals."""

    name: str
    place: str
    group: str
    rates: dict[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The models by accuracy on the `n` clips that all of them answered; no lines if there is no such clip."""

    view: View
    n: int
    lines: tuple[Ranked, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything `bench compare` says."""

    field: Field
    pairs: tuple[Pair, ...]
    rankings: tuple[Ranking, ...]


def compare(field: Field) -> Comparison:
    """Every pair in both views over both denominators, and a ranking in each view."""
    pairs: list[Pair] = []
    for view in VIEWS:
        for basis in BASES:
            found = [_pair(one, other, field.positive, view, basis) for one, other in combinations(field.contenders, 2)]
            adjusted = holm([pair.p for pair in found])
            pairs += [replace(pair, p_holm=p) for pair, p in zip(found, adjusted, strict=True)]
    return Comparison(field, tuple(pairs), tuple(_ranking(field, view) for view in VIEWS))


def _pair(one: Contender, other: Contender, positive: Bools, view: View, basis: Basis) -> Pair:
    first, second = one.table(positive, view, basis), other.table(positive, view, basis)
    both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    first, second = first[both], second[both]
    better = clip_scores(first) - clip_scores(second)
    first_only, second_only = int((better > 0).sum()), int((better < 0).sum())
    p = mcnemar_exact(first_only, second_only)
    return Pair(
        first=one.name,
        second=other.name,
        view=view,
        basis=basis,
        n=int(both.sum()),
        first_only=first_only,
        second_only=second_only,
        p=p,
        p_holm=p,
        first_rates=estimate_rates(first),
        second_rates=estimate_rates(second),
        differences=paired_differences(first, second),
        power=power(int(both.sum()), first_only + second_only),
    )


def _ranking(field: Field, view: View) -> Ranking:
    tables: list[Ints] = [contender.table(field.positive, view, "answered") for contender in field.contenders]
    common = np.all([table.sum(axis=1) > 0 for table in tables], axis=0)
    if not common.any():
        return Ranking(view, 0, ())
    names = [contender.name for contender in field.contenders]
    scores = {name: clip_scores(table[common]) for name, table in zip(names, tables, strict=True)}
    value = {name: float(scores[name].mean()) for name in names}
    differ = _differ(names, scores)
    ordered = sorted(names, key=lambda name: -value[name])
    before = {
        (one, other): differ[frozenset({one, other})] and value[one] > value[other]
        for one in names
        for other in names
        if one != other
    }
    place, group = places(ordered, before), letters(ordered, differ)
    rates = {name: estimate_rates(table[common]) for name, table in zip(names, tables, strict=True)}
    lines = tuple(Ranked(name, place[name], group[name], rates[name]) for name in ordered)
    return Ranking(view, int(common.sum()), lines)


def _differ(names: Sequence[str], scores: dict[str, np.ndarray]) -> dict[frozenset[str], bool]:
    """Which pairs differ by Holm-corrected exact McNemar tests on the clips of the ranking."""
    pairs = list(combinations(names, 2))
    better = [scores[one] - scores[other] for one, other in pairs]
    adjusted = holm([mcnemar_exact(int((b > 0).sum()), int((b < 0).sum())) for b in better])
    return {frozenset(pair): p <= ALPHA for pair, p in zip(pairs, adjusted, strict=True)}
