"""What a model's stated probabilities of ghost probing are worth: ranking, calibration, operating points.

Each figure stands beside what it would be for nothing: average precision and Brier for a constant, ECE for a model
that is calibrated perfectly and seen on so few clips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ghostbench.scoring.intervals import Ints, shares
from ghostbench.scoring.metrics import Bin, OperatingPoint, Probabilities
from ghostbench.scoring.ranking import auc_estimate, average_precision_estimate, brier_estimate
from ghostbench.scoring.rates import Estimate, Floats
from ghostbench.scoring.views import Bools

BINS = 10
RECALLS = (0.8, 0.95)
_EXACT = 500
"""Bins with more clips than this take the normal approximation for what chance gives."""


def score_probabilities(rows: pd.DataFrame, answered: Bools) -> Probabilities | None:
    """`scores` of metrics.json for one model's rows; None where it gives no probability.

    Returns
    -------
    n, positives : answered rows with a score, and how many of them are ghost probings.
    auc, average_precision, brier : estimates with intervals (`ranking`); null where one class is missing (Brier:
        never).
    average_precision_null, brier_null : what any constant score gets, the share of positives p; and what the constant p
        gets, p(1-p).
    ece, ece_null : `expected_calibration_error`, and `calibrated_error`.
    reliability : the bins that hold rows: `low, high, n, mean_score, positives, share`.
    operating_points : `operating_point` for each recall of `RECALLS`.

    Examples
    --------
    >>> rows = pd.DataFrame({"at": range(4), "score": [0.9, 0.8, 0.7, 0.1],
    ...                      "truth": ["ghost_probing", "normal", "ghost_probing", "normal"]})
    >>> found = score_probabilities(rows, np.ones(4, dtype=bool))
    >>> found["auc"]["value"], round(found["average_precision"]["value"], 4), found["average_precision_null"]
    (0.75, 0.8333, 0.5)
    """
    used = answered & rows["score"].notna().to_numpy()
    if not used.any():
        return None
    score = rows["score"].to_numpy()[used]
    truth = np.asarray(rows["truth"] == "ghost_probing")[used]
    at = rows["at"].to_numpy()[used]
    both = bool(truth.any() and not truth.all())
    positive = float(truth.mean())
    return {
        "n": len(score),
        "positives": int(truth.sum()),
        "auc": auc_estimate(score, truth, at) if both else None,
        "average_precision": average_precision_estimate(score, truth, at) if truth.any() else None,
        "average_precision_null": positive,
        "brier": brier_estimate(score, truth, at),
        "brier_null": positive * (1 - positive),
        "ece": expected_calibration_error(score, truth),
        "ece_null": calibrated_error(score, at),
        "reliability": reliability(score, truth, at),
        "operating_points": {f"{recall:g}": operating_point(score, truth, at, recall) for recall in RECALLS}
        if truth.any()
        else {},
    }


def reliability(score: Floats, truth: Bools, at: Ints) -> list[Bin]:
    """Ten equal bins of the score, the last one closed: what was said, and what was true, where there are rows.

    Parameters
    ----------
    score : float [rows] in [0, 1]. truth : bool [rows]. at : each row's clip; repeats count as effective rows.

    Examples
    --------
    >>> import numpy as np
    >>> bins = reliability(np.array([0.15, 0.15, 1.0]), np.array([False, True, True]), np.arange(3))
    >>> [(each["low"], each["n"], each["share"]["value"]) for each in bins]
    [(0.1, 2, 0.5), (0.9, 1, 1.0)]
    """
    place = _bin(score)
    held = [place == index for index in range(BINS)]
    clips = int(at.max()) + 1
    parts = [_by_clip(truth[inside], at[inside], clips) for inside in held]
    return [
        {
            "low": index / BINS,
            "high": (index + 1) / BINS,
            "n": int(inside.sum()),
            "mean_score": float(score[inside].mean()),
            "positives": int(truth[inside].sum()),
            "share": estimate,
        }
        for index, (inside, estimate) in enumerate(zip(held, shares(parts), strict=True))
        if estimate is not None
    ]


def expected_calibration_error(score: Floats, truth: Bools) -> float:
    """The mean gap between score and truth over ten equal bins, weighted by rows; in [0, 1].

    M. Pakdaman Naeini et al. (2015), AAAI, 2901-2907.

    Examples
    --------
    Two bins, of one row and of two: (1 * |.05 - 0| + 2 * |.95 - .5|) / 3.

    >>> import numpy as np
    >>> round(expected_calibration_error(np.array([0.05, 0.95, 0.95]), np.array([False, True, False])), 4)
    0.3167
    """
    place = _bin(score)
    gaps = np.abs(np.bincount(place, weights=score - truth, minlength=BINS))
    return float(gaps.sum() / len(score))


def calibrated_error(score: Floats, at: Ints) -> float:
    """The expected calibration error that chance alone gives a perfectly calibrated model with these scores.

    Each clip is drawn to be a ghost probing with its own (mean) score: the consistency resampling of J. Bröcker and
    L. A. Smith (2007), Weather Forecast. 22, 651-661, summed exactly in bins of up to 500 clips, else with the normal
    distribution.

    Examples
    --------
    One clip with score .3 is off by .3 seven times in ten, by .7 three times.

    >>> import numpy as np
    >>> round(calibrated_error(np.array([0.3]), np.array([0])), 4)
    0.42
    """
    place = _bin(score)
    mean = np.bincount(at, weights=score) / np.maximum(np.bincount(at), 1)
    total = 0.0
    for index in range(BINS):
        inside = place == index
        if inside.any():
            clips, rows = np.unique(at[inside], return_counts=True)
            total += _mean_gap(mean[clips], rows, float(score[inside].sum()))
    return total / len(score)


def _mean_gap(chance: Floats, rows: npt.NDArray[np.int64], said: float) -> float:
    """The mean of |said - hits|, where clip i adds its rows to the hits with its chance."""
    if len(chance) > _EXACT:
        spread = math.sqrt(float((rows**2 * chance * (1 - chance)).sum()))
        return spread * math.sqrt(2 / math.pi)
    hits = np.zeros(int(rows.sum()) + 1)
    hits[0] = 1.0
    for p, count in zip(chance, rows, strict=True):
        moved = np.zeros_like(hits)
        moved[count:] = hits[: len(hits) - count]
        hits = hits * (1 - p) + moved * p
    return float(hits @ np.abs(np.arange(len(hits)) - said))


def operating_point(score: Floats, truth: Bools, at: Ints, recall: float) -> OperatingPoint:
    """What a threshold (score >= threshold is a yes) that reaches a recall gives on clips that it was not chosen on.

    Parameters
    ----------
    score, truth, at : as `reliability` takes them, with a positive at least. recall : the recall aimed at, in (0, 1].

    Returns
    -------
    threshold : the highest that reaches the recall on all clips: the one to use.
    tp, fp, fn, tn, recall, precision, specificity : by leave-one-out: each clip is judged by the threshold that the
        *other* clips give, so that its own score has no say; null for a single positive clip, which leaves none.

    Examples
    --------
    Both positives are needed for a recall of 80%. Without the lower one the threshold is .9, and it is missed.

    >>> import numpy as np
    >>> score, truth = np.array([0.9, 0.6, 0.7]), np.array([True, True, False])
    >>> point = operating_point(score, truth, np.arange(3), 0.8)
    >>> point["threshold"], point["tp"], point["fn"], point["fp"]
    (0.6, 1, 1, 1)
    """
    ranked, clip = _ranked_positives(score, truth, at)
    threshold = float(ranked[_reaching(len(ranked), recall)])
    clips = np.unique(clip)
    if len(clips) < 2:
        return _point(threshold, [None] * 4, [None] * 3)
    limit = np.full(int(at.max()) + 1, threshold)
    for one in clips:
        others = ranked[clip != one]
        limit[one] = others[_reaching(len(others), recall)]
    yes = score >= limit[at]
    cells = {"tp": yes & truth, "fp": yes & ~truth, "fn": ~yes & truth, "tn": ~yes & ~truth}
    counts = {name: np.bincount(at[inside], minlength=len(limit)).astype(np.int64) for name, inside in cells.items()}
    parts = [(counts["tp"], other) for other in (counts["fn"], counts["fp"])] + [(counts["tn"], counts["fp"])]
    estimates = shares([(hits, hits + rest) for hits, rest in parts])
    return _point(threshold, [int(count.sum()) for count in counts.values()], estimates)


def _point(threshold: float, cells: Sequence[int | None], rates: Sequence[Estimate | None]) -> OperatingPoint:
    (tp, fp, fn, tn), (recall, precision, specificity) = cells, rates
    return {
        "threshold": threshold,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "recall": recall,
        "precision": precision,
        "specificity": specificity,
    }


def _ranked_positives(score: Floats, truth: Bools, at: Ints) -> tuple[Floats, Ints]:
    """The positives' scores from the highest down, and their clips."""
    order = np.argsort(-score[truth], kind="stable")
    return score[truth][order], at[truth][order]


def _reaching(positives: int, recall: float) -> int:
    """The place, from the highest score down, of the positive with which the recall is reached."""
    return max(math.ceil(recall * positives - 1e-9), 1) - 1


def _bin(score: Floats) -> npt.NDArray[np.int64]:
    return np.minimum((score * BINS).astype(np.int64), BINS - 1)


def _by_clip(truth: Bools, at: Ints, clips: int) -> tuple[Ints, Ints]:
    hits = np.bincount(at, weights=truth, minlength=clips).astype(np.int64)
    return hits, np.bincount(at, minlength=clips).astype(np.int64)
