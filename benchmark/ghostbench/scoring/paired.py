"""How much two models differ in each rate on the same clips, with 95% intervals.

Both models' answers to a clip stand in one table, so that what makes a clip hard for both is no noise. Differences of
accuracy, recall, specificity and FPR are differences of paired shares (Newcombe's method 10); those of precision, F1,
balanced accuracy and MCC are drawn from the joint table.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from ghostbench.scoring.clusters import effective_rows
from ghostbench.scoring.draws import around, drawn_intervals
from ghostbench.scoring.intervals import Ints, wilson
from ghostbench.scoring.rates import RATES, Estimate, Floats, rates

DRAWN = ("precision", "f1", "balanced_accuracy", "mcc")
"""Rates whose difference has no closed form here."""

_POSITIVES, _NEGATIVES = [0, 1, 2, 3], [7, 6, 5, 4]
"""Cells of a joint table in which both models are right, the first only, the second only, neither."""
_RIGHT = {"accuracy": (_POSITIVES, _NEGATIVES), "recall": (_POSITIVES,), "specificity": (_NEGATIVES,)}


def paired_differences(first: Ints, second: Ints, only: Collection[str] = RATES) -> dict[str, Estimate | None]:
    """Every rate of the first model minus the second's; None where one of them is undefined.

    Parameters
    ----------
    first, second : tp, fp, fn, tn per clip with its repeats, int [clips, 4], of the same clips in the same order;
        every clip has rows of both. only : the rates that are wanted, some of `RATES`.

    Returns
    -------
    `value` is the difference of the two models' rates. With repeats, a clip's rows are taken for independent given the
    clip, and the table is scaled to its effective rows.

    Examples
    --------
    Twenty clips; the first model is right on all, the second misses four of ten positives.

    >>> import numpy as np
    >>> cell = np.eye(4, dtype=int)
    >>> first = cell[[0] * 10 + [3] * 10]
    >>> second = cell[[0] * 6 + [2] * 4 + [3] * 10]
    >>> for name in ("accuracy", "recall"):
    ...     found = paired_differences(first, second)[name]
    ...     print(f"{name} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    accuracy 0.200 [-0.001, 0.416]
    recall 0.400 [0.038, 0.687]
    """
    joint = joint_cells(first, second)
    value = {name: float(each) for name, each in _difference_of_sums(first, second).items()}
    found: dict[str, Estimate | None] = {}
    for name, truths in _RIGHT.items():
        if name not in only and not (name == "specificity" and "fpr" in only):
            continue
        table = np.sum([joint[:, cells] for cells in truths], axis=0)
        found[name] = None if math.isnan(value[name]) else share_difference(table, value[name])
    if "fpr" in only:
        found["fpr"] = _negated(found["specificity"])
    for name in DRAWN:
        if name in only:
            found[name] = None if math.isnan(value[name]) else _drawn(joint, name, value[name])
    return {name: found[name] for name in RATES if name in only}


def joint_cells(first: Ints, second: Ints) -> Floats:
    """Both models' answers to each clip in one table.

    Returns
    -------
    float [clips, 8]: of positives, how often both said yes, only the first, only the second, neither; then the same of
    negatives. One row a clip without repeats; with repeats as many as the model with fewer of them has, spread over
    the cells as if the two models' rows were independent given the clip.

    Examples
    --------
    >>> import numpy as np
    >>> joint_cells(np.array([[1, 0, 0, 0]]), np.array([[0, 0, 1, 0]]))
    array([[0., 1., 0., 0., 0., 0., 0., 0.]])
    """
    rows_a, rows_b = first.sum(axis=1).astype(np.float64), second.sum(axis=1).astype(np.float64)
    rows = np.minimum(rows_a, rows_b)
    parts = []
    for yes, no in ((0, 2), (1, 3)):
        a = first[:, [yes, no]] / rows_a[:, None]
        b = second[:, [yes, no]] / rows_b[:, None]
        parts.append((a[:, :, None] * b[:, None, :] * rows[:, None, None]).reshape(len(first), 4))
    return np.concatenate(parts, axis=1)


def newcombe_paired(both: float, first_only: float, second_only: float, neither: float) -> tuple[float, float]:
    """The 95% interval of the difference of two shares of the same rows, (first_only - second_only) / all.

    Method 10 of R. G. Newcombe (1998), Stat. Med. 17, 2635-2650: Wilson's limits of both shares, and the correlation
    between the two with a correction for continuity.

    Examples
    --------
    Airway hyper-responsiveness before and after a transplantation, from the tests of the R package contingencytables
    (the table 59, 6, 16, 80): -.0621 (-.1186 to -.0046).

    >>> low, high = newcombe_paired(59, 6, 16, 80)
    >>> print(f"{low:.4f} {high:.4f}")
    -0.1186 -0.0046
    """
    n = both + first_only + second_only + neither
    hits = np.array([both + first_only, both + second_only])
    lows, highs = wilson(hits, n)
    (p1, p2), (low1, low2), (high1, high2) = hits / n, lows, highs
    product = hits[0] * (n - hits[0]) * hits[1] * (n - hits[1])
    excess = both * neither - first_only * second_only
    phi = 0.0
    if product > 0:
        phi = (max(excess - n / 2, 0.0) if excess > 0 else excess) / math.sqrt(product)
    difference = p1 - p2
    below = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    above = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    return float(difference - math.sqrt(max(below, 0.0))), float(difference + math.sqrt(max(above, 0.0)))


def differences_of(tables: Floats) -> dict[str, Floats]:
    """The differences of `DRAWN` in joint tables, float [8, ...], with the cells in the order of `joint_cells`.

    >>> import numpy as np
    >>> found = differences_of(np.array([3.0, 1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 3.0]))
    >>> print(f"{found['f1']:.4f} {found['precision']:.4f}")
    -0.0227 -0.3333
    """
    yes, no = tables[[0, 4]], tables[[3, 7]]
    first_only, second_only = tables[[1, 5]], tables[[2, 6]]
    first = rates(*(yes + first_only), *(no + second_only))
    second = rates(*(yes + second_only), *(no + first_only))
    return {name: first[name] - second[name] for name in DRAWN}


def _difference_of_sums(first: Ints, second: Ints) -> dict[str, Floats]:
    one, other = rates(*first.sum(axis=0)), rates(*second.sum(axis=0))
    return {name: one[name] - other[name] for name in RATES}


def share_difference(table: Floats, value: float | None = None) -> Estimate:
    """The difference of two shares of the same rows, which may come in clusters, by `newcombe_paired`.

    Parameters
    ----------
    table : both, first only, second only, neither, per cluster, float [clusters, 4], with a row at least.
    value : the difference, where the table gives it only nearly (unequal repeats of the two).

    Examples
    --------
    >>> import numpy as np
    >>> found = share_difference(np.repeat(np.eye(4), [59, 6, 16, 80], axis=0))
    >>> print(f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]")
    -0.0621 [-0.1186, -0.0046]
    """
    total = table.sum(axis=0)
    given = float(_share_difference(total))
    value = given if value is None else value
    rows = effective_rows(table, _share_difference)
    low, high = newcombe_paired(*(float(cell) for cell in total * (rows / total.sum())))
    shift = value - given
    low, high = around(value, (max(low + shift, -1.0), min(high + shift, 1.0)))
    return {"value": value, "low": low, "high": high}


def _share_difference(table: Floats) -> Floats:
    return np.asarray((table[1] - table[2]) / table.sum())


def _drawn(joint: Floats, name: str, value: float) -> Estimate:
    total = joint.sum(axis=0)
    rows = effective_rows(joint, lambda table: differences_of(table)[name])
    shift = value - float(differences_of(total)[name])
    low, high = drawn_intervals(total * (rows / total.sum()), differences_of)[name]
    low, high = around(value, (low + shift, high + shift))
    return {"value": value, "low": low, "high": high}


def _negated(estimate: Estimate | None) -> Estimate | None:
    if estimate is None:
        return None
    low, high = estimate["low"], estimate["high"]
    return {
        "value": 0.0 - estimate["value"],
        "low": None if high is None else 0.0 - high,
        "high": None if low is None else 0.0 - low,
    }
