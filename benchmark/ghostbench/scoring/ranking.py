"""How well probabilities put positives before negatives, and how far they lie from the truth, with 95% intervals.

All intervals have width where the ranking is perfect; with repeats, rows count as their effective number.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.clusters import effective_values
from ghostbench.scoring.draws import LEVEL, around
from ghostbench.scoring.intervals import Ints, Z, wilson
from ghostbench.scoring.rates import Estimate, Floats

Bools = npt.NDArray[np.bool_]


def auc(score: Floats, truth: Bools) -> float:
    """Area under the ROC curve (scikit-learn): the chance that a positive's score is above a negative's, ties half.

    Parameters
    ----------
    score : float [rows]. truth : bool [rows]; both classes must be there.

    Examples
    --------
    >>> import numpy as np
    >>> auc(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def average_precision(score: Floats, truth: Bools) -> float:
    """Average precision, the step-wise area under the precision-recall curve (scikit-learn).

    Examples
    --------
    The positives stand first and third: (1/1 + 2/3) / 2.

    >>> import numpy as np
    >>> round(average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])), 4)
    0.8333
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, score))


def auc_estimate(score: Floats, truth: Bools, at: Ints) -> Estimate:
    """The AUC with a score interval.

    Parameters
    ----------
    score, truth : as `auc` takes them. at : each row's clip, int [rows].

    Returns
    -------
    Method 5 of R. G. Newcombe (2006), Stat. Med. 25, 559-573, on the effective numbers of positives and negatives. The
    method takes Hanley and McNeil's variance for granted; where that of E. R. DeLong et al. (1988), Biometrics 44,
    837-845, is larger, both numbers are divided by their ratio.

    Examples
    --------
    >>> import numpy as np
    >>> found = auc_estimate(np.array([0.9, 0.8, 0.3, 0.2, 0.1]), np.arange(5) < 2, np.arange(5))
    >>> print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    1.000 [0.439, 1.000]
    """
    above, below = _placements(score, truth)
    value = auc(score, truth)
    positives, negatives = effective_values(above, at[truth]), effective_values(below, at[~truth])
    excess = _excess_variance(value, (above, positives), (below, negatives))
    low, high = auc_limits(value, positives / excess, negatives / excess)
    return {"value": value, "low": low, "high": high}


def auc_limits(value: float, positives: float, negatives: float) -> tuple[float, float]:
    """The AUCs A for which `value` lies within z standard deviations of A, by the variance at A.

    J. A. Hanley and B. J. McNeil (1982), Radiology 143, 29-36, with both sample sizes in the numerator replaced by
    their mean (method 5 of Newcombe, 2006).

    >>> low, high = auc_limits(0.75, 20, 30)
    >>> print(f"{low:.3f} {high:.3f}")
    0.588 0.858
    """
    from scipy.optimize import brentq

    def off(area: float) -> float:
        return abs(value - area) - Z * math.sqrt(_variance(area, positives, negatives))

    low = 0.0 if value <= 0 else float(brentq(off, 0.0, value - min(_BESIDE, value / 2)))
    high = 1.0 if value >= 1 else float(brentq(off, value + min(_BESIDE, (1 - value) / 2), 1.0))
    return low, high


_BESIDE = 1e-9
"""At 0 and at 1 the variance is zero and the search would end where it begins."""


def _variance(area: float, positives: float, negatives: float) -> float:
    mean = max((positives + negatives) / 2 - 1, 0.0)
    spread = 1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area)
    return area * (1 - area) * spread / (positives * negatives)


def _excess_variance(value: float, above: tuple[Floats, float], below: tuple[Floats, float]) -> float:
    """DeLong's variance over that of `auc_limits`, at least 1."""
    parts = [float(values.var()) / max(size - 1, 1.0) for values, size in (above, below)]
    expected = _variance(value, above[1], below[1])
    return max(1.0, sum(parts) / expected) if expected > 0 else 1.0


def _placements(score: Floats, truth: Bools) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, for each negative that of positives above it; ties half."""
    yes, no = score[truth], score[~truth]
    return _share_below(no, yes), 1 - _share_below(yes, no)


def _share_below(others: Floats, values: Floats) -> Floats:
    ranked = np.sort(others)
    shares: Floats = (np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")) / 2
    return shares / len(others)


def weighted_average_precision(score: Floats, truth: Bools, weights: Floats) -> Floats:
    """Average precision of many redrawn sets of the same rows.

    Parameters
    ----------
    score : float [rows]. truth : bool [rows]. weights : how often each row is in each set, float [sets, rows].

    Returns
    -------
    float [sets], as `average_precision` gives for the rows repeated so often; NaN for a set without positives.

    Examples
    --------
    The positives stand first and third, and then the first of them twice.

    >>> import numpy as np
    >>> score, truth = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    >>> weighted_average_precision(score, truth, np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])).round(4).tolist()
    [0.8333, 0.9167]
    """
    order = np.argsort(-score, kind="stable")
    # Rows with one score are passed together: a threshold cannot part them.
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    ranked = weights[:, order]
    reached = ranked.cumsum(axis=1)[:, last]
    right = (ranked * truth[order]).cumsum(axis=1)[:, last]
    gained = np.diff(right, axis=1, prepend=0.0)
    precision = np.divide(right, reached, out=np.zeros_like(right), where=reached > 0)
    total = right[:, -1]
    found: Floats = np.divide((gained * precision).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
    return found


def average_precision_estimate(score: Floats, truth: Bools, at: Ints) -> Estimate:
    """Average precision with an interval: Wilson's, as if it were a share of the positives.

    It is the mean over positives of a precision, so its variance is at most that of a share of so many rows: the
    binomial interval of K. Boyd et al. (2013), ECML PKDD, LNCS 8190, 451-466, in Wilson's form.

    Examples
    --------
    >>> import numpy as np
    >>> found = average_precision_estimate(np.array([0.9, 0.8, 0.3]), np.array([True, True, False]), np.arange(3))
    >>> print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    1.000 [0.342, 1.000]
    """
    value = average_precision(score, truth)
    size = effective_values(_precisions(score, truth), at[truth])
    low, high = wilson(value * size, size)
    return {"value": value, "low": float(low), "high": float(high)}


def _precisions(score: Floats, truth: Bools) -> Floats:
    """The precision of a threshold at each positive's score."""
    ranked, ranked_yes = np.sort(score), np.sort(score[truth])
    own = score[truth]
    reached: Floats = len(ranked) - np.searchsorted(ranked, own, "left").astype(np.float64)
    return (len(ranked_yes) - np.searchsorted(ranked_yes, own, "left")) / reached


def brier_estimate(score: Floats, truth: Bools, at: Ints) -> Estimate:
    """The Brier score, the mean square of score minus truth (G. W. Brier (1950), Mon. Weather Rev. 78, 1-3).

    Returns
    -------
    The interval is Student's over the squares and two made-up rows of half a weight each, one square of 0 and one of
    1: so that five perfect answers have width, as half a row of either kind gives a share under Jeffreys' prior.

    Examples
    --------
    >>> import numpy as np
    >>> found = brier_estimate(np.array([1.0, 1.0, 0.0, 0.0, 0.0]), np.arange(5) < 2, np.arange(5))
    >>> print(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    0.000 [0.000, 0.373]
    """
    from scipy.special import stdtrit

    squares = (score - truth) ** 2
    value = float(squares.mean())
    size = effective_values(squares, at)
    mean = (value * size + 0.5) / (size + 1)
    spread = (float((squares**2).mean()) * size + 0.5) / (size + 1) - mean**2
    half = float(stdtrit(size, (1 + LEVEL) / 2)) * math.sqrt(max(spread, 0.0) / (size + 1))
    low, high = around(value, (max(mean - half, 0.0), min(mean + half, 1.0)))
    return {"value": value, "low": low, "high": high}
