"""How far apart two replies are, and whose reply one is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ghostbench.conformance.session import Result
from ghostbench.records import Reply

OTHER_TEXT = 1.0
OTHER_KIND = 10.0


def distance(a: Result, b: Result) -> float:
    """0 for the same reply; else the largest difference of a grade's probability, in [0, 1], plus 1 for another text.

    10 for a reply against an error, or errors of different types. Not-a-numbers are equal to each other.
    """
    if not isinstance(a, Reply) or not isinstance(b, Reply):
        return 0.0 if type(a) is type(b) else OTHER_KIND
    return OTHER_TEXT * (a.text != b.text) + _apart(a, b)


def all_alike(results: Sequence[Result]) -> bool:
    """Whether no two of them can be told apart."""
    return all(distance(results[0], other) == 0 for other in results)


def nearest(result: Result, others: Sequence[Result], own: int) -> int:
    """The position in `others` of what is nearest to a result; `own` where nothing is nearer than that."""
    distances = [distance(result, other) for other in others]
    best = min(range(len(others)), key=distances.__getitem__)
    return own if distances[own] <= distances[best] else best


def _apart(a: Reply, b: Reply) -> float:
    if a.grade_probabilities is None or b.grade_probabilities is None:
        return 0.0 if a.grade_probabilities is b.grade_probabilities else 1.0
    grades = {*a.grade_probabilities, *b.grade_probabilities}
    gaps = [_gap(a.grade_probabilities.get(g, 0.0), b.grade_probabilities.get(g, 0.0)) for g in grades]
    return max(gaps, default=0.0)


def _gap(p: float, q: float) -> float:
    if math.isnan(p) and math.isnan(q):
        return 0.0
    gap = abs(p - q)
    return gap if math.isfinite(gap) else 1.0
