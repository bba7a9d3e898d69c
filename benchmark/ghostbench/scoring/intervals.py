"""95% intervals of the rates of one model: Wilson's for shares, and for what is made of shares; drawn for MCC.

Rows come in clusters, a clip with its repeats, and n is replaced by the effective number of rows. All methods have
width where every answer is right, and their coverage is measured by `benchmark/statistics/coverage.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.clusters import effective_rows
from ghostbench.scoring.draws import around, drawn_intervals
from ghostbench.scoring.rates import PROPORTIONS, RATES, Estimate, Floats, rates

Z = 1.959964
"""The standard normal quantile of 97.5%, as every file states it."""

Ints = npt.NDArray[np.int64]


def wilson(hits: Any, n: Any) -> tuple[Floats, Floats]:
    """Wilson's score interval of `hits` out of `n`, numbers or arrays, possibly fractional; 0 <= hits <= n, n > 0.

    E. B. Wilson (1927), J. Am. Stat. Assoc. 22, 209-212; computed by statsmodels.

    Examples
    --------
    R. G. Newcombe (1998), Stat. Med. 17, 857-872, table I, method 3:

    >>> low, high = wilson(81, 263)
    >>> print(f"{low:.4f} {high:.4f}")
    0.2553 0.3662
    """
    from scipy.special import ndtr
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(
        np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64), alpha=float(2 * ndtr(-Z)), method="wilson"
    )
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def share(hits: Ints, sizes: Ints) -> Estimate | None:
    """`shares` of one.

    >>> import numpy as np
    >>> found = share(np.array([1, 1, 0]), np.array([1, 1, 1]))
    >>> print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    0.667 [0.208, 0.939]
    """
    return shares([(hits, sizes)])[0]


def shares(parts: Sequence[tuple[Ints, Ints]]) -> list[Estimate | None]:
    """Shares over rows that come in clusters, with Wilson's intervals.

    Parameters
    ----------
    parts : for each share (hits, sizes), counts per cluster (a clip with its repeats), int [clusters], with
        0 <= hits <= sizes.

    Returns
    -------
    None where there are no rows. With one row a cluster this is Wilson's interval. With more, n is replaced by the
    effective sample size p(1-p)/V, V the linearised variance of the ratio between clusters, bounded by the number of
    clusters and of rows (N. Dean and M. Pagano (2015), J. Surv. Stat. Methodol. 3(4), 484-503): repeats that all
    agree give the interval of a single pass.

    Examples
    --------
    >>> import numpy as np
    >>> for hits, sizes in (([1, 0, 1], [1, 1, 1]), ([4, 0, 4], [4, 4, 4])):
    ...     found = shares([(np.array(hits), np.array(sizes))])[0]
    ...     print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    0.667 [0.208, 0.939]
    0.667 [0.208, 0.939]
    """
    sizes = [_effective(hits, each) for hits, each in parts]
    known = [size for size in sizes if size is not None]
    if not known:
        return [None] * len(parts)
    p, n = np.array(known).T
    bounds = iter(zip(*wilson(p * n, n), strict=True))
    found: list[Estimate | None] = []
    for size in sizes:
        if size is None:
            found.append(None)
        else:
            low, high = next(bounds)
            found.append({"value": size[0], "low": float(low), "high": float(high)})
    return found


def _effective(hits: Ints, sizes: Ints) -> tuple[float, float] | None:
    """The share, and the number of independent rows that would know it as well; None where there are no rows."""
    n = int(sizes.sum())
    if n == 0:
        return None
    p = float(hits.sum() / n)
    clusters = int((sizes > 0).sum())
    if n == clusters:
        return p, float(n)
    variance = float((((hits - p * sizes) / n) ** 2).sum())
    return p, min(max(p * (1 - p) / variance, clusters), n) if variance > 0 else float(clusters)


def f1_estimate(jaccard: Estimate) -> Estimate:
    """F1 from the Jaccard index J = TP / (TP + FP + FN) and Wilson's interval of that share: F1 = 2J / (1 + J).

    The index is a share of rows and F1 a rising function of it (D. J. Hand, P. Christen and N. Kirielle (2021), Mach.
    Learn. 110, 451-456), so the limits carry over.

    Examples
    --------
    Two of two right, with nothing else called positive: F1 is 1, and two clips cannot show more than about .5.

    >>> low, high = wilson(2, 2)
    >>> found = f1_estimate({"value": 1.0, "low": float(low), "high": float(high)})
    >>> print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    1.000 [0.510, 1.000]
    """
    return {
        "value": _dice(jaccard["value"]),
        "low": None if jaccard["low"] is None else _dice(jaccard["low"]),
        "high": None if jaccard["high"] is None else _dice(jaccard["high"]),
    }


def _dice(jaccard: float) -> float:
    return 2 * jaccard / (1 + jaccard)


def mean_estimate(first: Estimate, second: Estimate) -> Estimate:
    """The mean of two independent estimates, with the interval that their own limits give.

    MOVER, the method of variance estimates recovery: each limit's distance is half the root of the sum of the squares
    of the two distances (G. Y. Zou and A. Donner (2008), Stat. Med. 27, 1693-1702). Balanced accuracy is this of recall
    and specificity.

    Examples
    --------
    >>> found = mean_estimate({"value": .8, "low": .5, "high": .9}, {"value": .6, "low": .2, "high": .8})
    >>> print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    0.700 [0.450, 0.812]
    """
    value = (first["value"] + second["value"]) / 2
    bounds = [(each["value"], each["low"], each["high"]) for each in (first, second)]
    below = math.hypot(*(middle - low for middle, low, _ in bounds if low is not None))
    above = math.hypot(*(high - middle for middle, _, high in bounds if high is not None))
    return {"value": value, "low": value - below / 2, "high": value + above / 2}


def mcc_of(tables: Floats) -> dict[str, Floats]:
    """Matthews' correlation of tables tp, fp, fn, tn, float [4, ...].

    >>> import numpy as np
    >>> round(float(mcc_of(np.array([30, 8, 19, 34]))["mcc"]), 4)
    0.4264
    """
    return {"mcc": rates(*tables)["mcc"]}


def estimate_rates(cells: Ints) -> dict[str, Estimate | None]:
    """Every rate with its interval.

    Parameters
    ----------
    cells : tp, fp, fn, tn per clip with its repeats, int [clips, 4].

    Returns
    -------
    None where a rate's denominator is zero. Shares: `shares`. F1: `f1_estimate`. Balanced accuracy: `mean_estimate` of
    recall and specificity. MCC: `drawn_intervals` of the table, scaled to its effective rows.

    Examples
    --------
    >>> import numpy as np
    >>> found = estimate_rates(np.repeat(np.eye(4, dtype=int), [35, 26, 16, 23], axis=0))
    >>> for name in ("recall", "f1", "balanced_accuracy"):
    ...     print(f"{name} {found[name]['value']:.3f} [{found[name]['low']:.3f}, {found[name]['high']:.3f}]")
    recall 0.686 [0.550, 0.797]
    f1 0.625 [0.516, 0.722]
    balanced_accuracy 0.578 [0.483, 0.666]
    """
    columns = dict(zip(("tp", "fp", "fn", "tn"), cells.T, strict=True))
    total = cells.sum(axis=0)
    values = {name: float(value) for name, value in rates(*total).items()}
    parts = {}
    for name, (hit_cells, other_cells) in PROPORTIONS.items():
        hits = np.sum([columns[cell] for cell in hit_cells], axis=0)
        parts[name] = (hits, hits + np.sum([columns[cell] for cell in other_cells], axis=0))
    # F1 grows with this share, and its interval is made of this one's.
    jaccard_of = (columns["tp"], columns["tp"] + columns["fp"] + columns["fn"])
    *estimates, jaccard = shares([*parts.values(), jaccard_of])
    found: dict[str, Estimate | None] = dict(zip(parts, estimates, strict=True))
    recall, specificity = found["recall"], found["specificity"]
    found["f1"] = None if jaccard is None else {**f1_estimate(jaccard), "value": values["f1"]}
    found["balanced_accuracy"] = None if recall is None or specificity is None else mean_estimate(recall, specificity)
    found["mcc"] = None if math.isnan(values["mcc"]) else _mcc(cells.astype(np.float64), values["mcc"])
    return {name: found[name] for name in RATES}


def _mcc(cells: Floats, value: float) -> Estimate:
    total = cells.sum(axis=0)
    rows = effective_rows(cells, _mcc_value)
    low, high = around(value, drawn_intervals(total * (rows / total.sum()), mcc_of)["mcc"])
    return {"value": value, "low": low, "high": high}


def _mcc_value(table: Floats) -> Floats:
    return mcc_of(table)["mcc"]
