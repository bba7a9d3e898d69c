"""How far apart two replies are, and which of one list belong to which of another."""

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


def matched(results: Sequence[Result], others: Sequence[Result]) -> list[int]:
    """For each result the position of its counterpart in `others`: the assignment of least total distance.

    Where several are least, the one that keeps the order, if it is among them.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    costs = np.array([[distance(a, b) for b in others] for a in results])
    _, columns = linear_sum_assignment(costs)
    least = costs[range(len(results)), columns].sum()
    if np.trace(costs) <= least + 1e-9:
        return list(range(len(results)))
    return [int(column) for column in columns]


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
