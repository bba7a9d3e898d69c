"""The rates of a two-by-two table, for one table or for many at once.

A rate whose denominator is zero is NaN here and null in every file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PROPORTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accuracy": (("tp", "tn"), ("fp", "fn")),
    "precision": (("tp",), ("fp",)),
    "recall": (("tp",), ("fn",)),
    "specificity": (("tn",), ("fp",)),
    "fpr": (("fp",), ("tn",)),
}
"""Rates that are a share: the cells that count as hits, and the other cells of the denominator."""

RateName = Literal["precision", "recall", "specificity", "fpr", "f1", "accuracy", "balanced_accuracy", "mcc"]
RATES: tuple[RateName, ...] = get_args(RateName)
"""Every rate, in the order of the files and tables. A new one also has its field in `Rates` and its value in `rates`;
its title stands in `report/titles.py`, and one that is no share has its interval in `intervals.estimate_rates`."""


class Estimate(TypedDict):
    """A value with its 95% interval; `low` and `high` are null where an interval cannot be had."""

    value: float
    low: float | None
    high: float | None


class Rates(TypedDict):
    """A two-by-two table and its rates; a rate is null where its denominator is zero."""

    tp: int
    fp: int
    fn: int
    tn: int
    precision: Estimate | None
    recall: Estimate | None
    specificity: Estimate | None
    fpr: Estimate | None
    f1: Estimate | None
    accuracy: Estimate | None
    balanced_accuracy: Estimate | None
    mcc: Estimate | None


def rates(tp: Any, fp: Any, fn: Any, tn: Any) -> dict[str, Floats]:
    """Every rate of `RATES` from the cells' counts.

    Parameters
    ----------
    tp, fp, fn, tn : counts >= 0, numbers or arrays of one shape.

    Returns
    -------
    Arrays of that shape, in [0, 1] except `mcc` in [-1, 1]; NaN where the denominator is zero. F1 is
    2tp / (2tp + fp + fn). `mcc` is Matthews (1975), Biochim. Biophys. Acta 405(2), 442-451, equation 2.

    Examples
    --------
    >>> found = rates(52, 40, 2, 5)
    >>> print(f"{found['f1']:.4f} {found['balanced_accuracy']:.4f} {found['mcc']:.4f}")
    0.7123 0.5370 0.1439
    """
    cells = {
        name: np.asarray(value, dtype=np.float64) for name, value in (("tp", tp), ("fp", fp), ("fn", fn), ("tn", tn))
    }
    found: dict[str, Floats] = {}
    for name, (hits, rest) in PROPORTIONS.items():
        top = sum((cells[cell] for cell in hits), np.float64(0))
        found[name] = _ratio(top, top + sum((cells[cell] for cell in rest), np.float64(0)))
    a, b, c, d = cells["tp"], cells["fp"], cells["fn"], cells["tn"]
    found["f1"] = _ratio(2 * a, 2 * a + b + c)
    found["balanced_accuracy"] = (found["recall"] + found["specificity"]) / 2
    # Products of roots may round to a little less than the product that they stand for.
    spread = np.sqrt(a + b) * np.sqrt(a + c) * np.sqrt(d + b) * np.sqrt(d + c)
    found["mcc"] = np.clip(_ratio(a * d - b * c, spread), -1.0, 1.0)
    return {name: found[name] for name in RATES}


def _ratio(top: Any, bottom: Any) -> Floats:
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64))
    ratio: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return ratio
