"""What a model's stated probabilities of ghost probing are worth: ranking, calibration, operating points."""

from __future__ import annotations

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


class ClipWeights:
    """How often each clip is in each draw of the stratified bootstrap; one draw serves every model of a run.

    positive : the clip's stratum, bool [clips].
    """

    def __init__(self, draws: int = DRAWS, seed: int = SEED) -> None:
        self._draws = draws
        self._seed = seed
        self._known: dict[bytes, npt.NDArray[np.uint8]] = {}

    def of(self, positive: Bools) -> npt.NDArray[np.uint8]:
        """uint8 [draws, clips]; a clip is drawn 255 times with a chance below 1e-300 once there are ten in a stratum,
        and smaller strata cannot reach it."""
        key = np.packbits(positive).tobytes() + len(positive).to_bytes(8, "little")
        if key not in self._known:
            self._known.clear()
            rng = np.random.default_rng(self._seed)
            weights = np.zeros((self._draws, len(positive)), dtype=np.uint8)
            for stratum in (True, False):
                places = np.flatnonzero(positive == stratum)
                if not len(places):
                    continue
                for start in range(0, self._draws, _CHUNK):
                    rows = min(_CHUNK, self._draws - start)
                    picked = rng.integers(len(places), size=(rows, len(places)))
                    picked += np.arange(rows)[:, None] * len(places)
                    counts = np.bincount(picked.ravel(), minlength=rows * len(places)).reshape(rows, len(places))
                    weights[start : start + rows, places] = counts
            self._known[key] = weights
        return self._known[key]


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
    places, clip = np.unique(rows["at"].to_numpy()[used], return_inverse=True)
    positive_clip = np.zeros(len(places), dtype=np.bool_)
    positive_clip[clip] = truth
    both = bool(truth.any() and not truth.all())
    drawn = _draw(score, truth, clip, weights.of(positive_clip))
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
        low, high = wilson(hits, n) or (None, None)
        found.append(
            {
                "low": index / BINS,
                "high": (index + 1) / BINS,
                "n": n,
                "mean_score": float(score[inside].mean()),
                "positives": hits,
                "share": {"value": hits / n, "low": low, "high": high},
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
        interval = wilson(hits, n)
        return None if interval is None else {"value": hits / n, "low": interval[0], "high": interval[1]}

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
    """AUC, average precision and Brier of every draw; NaN where a draw leaves one undefined."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    columns = clip[order]
    said = truth[order]
    squares = ((score - truth) ** 2)[order]
    found: dict[str, Floats] = {name: np.full(len(weights), np.nan) for name in ("auc", "ap", "brier")}
    for start in range(0, len(weights), _CHUNK):
        part = slice(start, start + _CHUNK)
        drawn = weights[part][:, columns]
        yes = np.cumsum(drawn * said, axis=1, dtype=np.int32)[:, ends]
        everything = np.cumsum(drawn, axis=1, dtype=np.int32)[:, ends]
        found["brier"][part] = _over(drawn @ squares, everything[:, -1])
        found["ap"][part], found["auc"][part] = _curves(yes, everything)
    return found


def _curves(yes: npt.NDArray[np.int32], everything: npt.NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Average precision and AUC per row from running counts at each distinct score, highest first."""
    positives = yes[:, -1]
    step = np.diff(yes, axis=1, prepend=0)
    precision = np.divide(yes, everything, out=np.zeros(yes.shape), where=everything > 0)
    ap = _over((precision * step).sum(axis=1), positives)
    false = everything - yes
    below = np.diff(false, axis=1, prepend=0)
    beaten = (below * (yes - step / 2)).sum(axis=1)
    return ap, _over(beaten, positives.astype(np.float64) * false[:, -1])


def _over(top: Any, bottom: Any) -> Floats:
    ratio: Floats = np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=np.asarray(bottom) > 0)
    return ratio
