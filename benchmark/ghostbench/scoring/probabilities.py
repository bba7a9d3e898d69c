"""What a model's stated probabilities of ghost probing are worth: ranking, calibration, operating points."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ghostbench.scoring.intervals import DRAWS, SEED, Estimate, percentile, wilson
from ghostbench.scoring.rates import Floats
from ghostbench.scoring.views import Bools

BINS = 10
RECALLS = (0.8, 0.95)
_CHUNK = 500
_BLOCK = 128


class ClipWeights:
    """How often each clip is in each draw of the stratified bootstrap; the same draws serve every model of a run.

    positive : the clip's stratum, bool [clips].
    """

    def __init__(self, positive: Bools, draws: int = DRAWS, seed: int = SEED) -> None:
        self._positive = positive
        self._draws = draws
        self._seed = seed

    @cached_property
    def drawn(self) -> npt.NDArray[np.uint8]:
        """uint8 [draws, clips]. No clip is drawn 256 times: the chance is below 1e-300."""
        rng = np.random.default_rng(self._seed)
        weights = np.zeros((self._draws, len(self._positive)), dtype=np.uint8)
        for stratum in (True, False):
            places = np.flatnonzero(self._positive == stratum)
            if not len(places):
                continue
            for start in range(0, self._draws, _CHUNK):
                rows = min(_CHUNK, self._draws - start)
                picked = rng.integers(len(places), size=(rows, len(places)))
                picked += np.arange(rows)[:, None] * len(places)
                counts = np.bincount(picked.ravel(), minlength=rows * len(places)).reshape(rows, len(places))
                weights[start : start + rows, places] = counts
        return weights


def score_probabilities(rows: pd.DataFrame, answered: Bools, weights: ClipWeights) -> dict[str, Any] | None:
    """`scores` of metrics.json for one model's rows; None where it gives no probability.

    Returns
    -------
    n, positives : answered rows with a score, and how many of them are ghost probings.
    auc, average_precision, brier : estimates with bootstrap intervals; null where one class is missing (Brier: never).
    ece : expected calibration error over ten equal bins of [0, 1] (M. Pakdaman Naeini et al. (2015), AAAI, 2901-2907).
    reliability : the bins that hold rows: `low, high, n, mean_score, positives, share`.
    operating_points : per recall of `RECALLS` the highest threshold (score >= threshold is a yes) that reaches it.
    """
    used = answered & rows["score"].notna().to_numpy()
    if not used.any():
        return None
    score = rows["score"].to_numpy()[used]
    truth = np.asarray(rows["truth"] == "ghost_probing")[used]
    both = bool(truth.any() and not truth.all())
    drawn = _draw(score, truth, rows["at"].to_numpy()[used], weights.drawn)
    return {
        "n": len(score),
        "positives": int(truth.sum()),
        "auc": _estimate(auc(score, truth), drawn["auc"]) if both else None,
        "average_precision": _estimate(average_precision(score, truth), drawn["ap"]) if truth.any() else None,
        "brier": _estimate(float(np.mean((score - truth) ** 2)), drawn["brier"]),
        "ece": expected_calibration_error(score, truth),
        "reliability": reliability(score, truth),
        "operating_points": {f"{recall:g}": operating_point(score, truth, recall) for recall in RECALLS}
        if truth.any()
        else {},
    }


def auc(score: Floats, truth: Bools) -> float:
    """Area under the ROC curve (scikit-learn); both classes must be there."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def average_precision(score: Floats, truth: Bools) -> float:
    """Average precision, the step-wise area under the precision-recall curve (scikit-learn)."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, score))


def reliability(score: Floats, truth: Bools) -> list[dict[str, Any]]:
    """Ten equal bins of the score, the last one closed: what was said, and what was true, where there are rows."""
    place = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    found = []
    for index in range(BINS):
        inside = place == index
        n = int(inside.sum())
        if not n:
            continue
        hits = int(truth[inside].sum())
        low, high = wilson(hits, n)
        found.append(
            {
                "low": index / BINS,
                "high": (index + 1) / BINS,
                "n": n,
                "mean_score": float(score[inside].mean()),
                "positives": hits,
                "share": {"value": hits / n, "low": float(low), "high": float(high)},
            }
        )
    return found


def expected_calibration_error(score: Floats, truth: Bools) -> float:
    """The mean gap between score and truth over the bins of `reliability`, weighted by rows; in [0, 1]."""
    bins = reliability(score, truth)
    return float(sum(b["n"] * abs(b["mean_score"] - b["share"]["value"]) for b in bins) / len(score))


def operating_point(score: Floats, truth: Bools, recall: float) -> dict[str, Any]:
    """The highest threshold at which at least that share of positives gets a yes, and the table there.

    It is chosen on the very clips it is reported for, so its precision and specificity flatter the model.
    """
    ranked = np.sort(score[truth])[::-1]
    threshold = float(ranked[max(int(np.ceil(recall * len(ranked) - 1e-9)), 1) - 1])
    yes = score >= threshold
    tp, fp = int((yes & truth).sum()), int((yes & ~truth).sum())
    fn, tn = int((~yes & truth).sum()), int((~yes & ~truth).sum())

    def share_of(hits: int, n: int) -> Estimate | None:
        if n == 0:
            return None
        low, high = wilson(hits, n)
        return {"value": hits / n, "low": float(low), "high": float(high)}

    return {
        "threshold": threshold,
        **{"tp": tp, "fp": fp, "fn": fn, "tn": tn},
        "recall": share_of(tp, tp + fn),
        "precision": share_of(tp, tp + fp),
        "specificity": share_of(tn, tn + fp),
    }


def _estimate(value: float, draws: Floats) -> Estimate:
    low, high = percentile(draws) or (None, None)
    return {"value": value, "low": low, "high": high}


def _draw(
    score: Floats, truth: Bools, clip: npt.NDArray[np.int64], weights: npt.NDArray[np.uint8]
) -> dict[str, Floats]:
    """AUC, average precision and Brier of every draw; NaN where a draw leaves one undefined.

    A draw's AUC and average precision need only, at each positive's score, how many drawn positives and negatives
    stand at or above it: running sums over rows in order of score, for a block of draws at a time.
    """
    order = np.argsort(-score, kind="stable")
    ranked, said = score[order], truth[order]
    clips, yes, no = clip[order], clip[order][said], clip[order][~said]
    ends = np.searchsorted(-ranked[said], -ranked[said], side="right")
    above = np.searchsorted(-ranked[~said], -ranked[said], side="right")
    strictly = np.searchsorted(-ranked[~said], -ranked[said], side="left")
    squares = (ranked - said) ** 2
    found: dict[str, Floats] = {name: np.full(len(weights), np.nan) for name in ("auc", "ap", "brier")}
    for start in range(0, len(weights), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = weights[part]
        drawn = block.take(yes, axis=1)
        hits, false = _running(drawn), _running(block.take(no, axis=1))
        reached, wrong = hits.take(ends, axis=1), false.take(above, axis=1)
        precision = np.divide(reached, reached + wrong, out=np.zeros(drawn.shape), where=reached + wrong > 0)
        found["ap"][part] = _over(np.einsum("ij,ij->i", drawn, precision), hits[:, -1])
        ahead = 2 * false[:, -1:] - wrong - false.take(strictly, axis=1)
        beaten = np.einsum("ij,ij->i", drawn, ahead, dtype=np.int64) / 2
        found["auc"][part] = _over(beaten, hits[:, -1] * false[:, -1].astype(np.float64))
        found["brier"][part] = _over(block.take(clips, axis=1) @ squares, hits[:, -1] + false[:, -1])
    return found


def _running(drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Running sums over rows, [draws, rows + 1]: column i holds what the first i rows hold."""
    sums = np.zeros((len(drawn), drawn.shape[1] + 1), dtype=np.int32)
    np.cumsum(drawn, axis=1, dtype=np.int32, out=sums[:, 1:])
    return sums


def _over(top: Any, bottom: Any) -> Floats:
    ratio: Floats = np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=np.asarray(bottom) > 0)
    return ratio
