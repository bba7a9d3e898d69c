"""The precision that recall and specificity would give where positives are rarer than in the split.

Precision hangs on the share of positives: in a split made to be nearly balanced it says little of a road, where almost
every stretch of driving is negative.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

from ghostbench.scoring.clusters import effective_rows
from ghostbench.scoring.draws import around, drawn_intervals
from ghostbench.scoring.intervals import Ints
from ghostbench.scoring.rates import Estimate, Floats
from ghostbench.scoring.views import VIEWS, Bools, View, alarms, by_clip, cells

PREVALENCES = (0.5, 0.1, 0.01, 0.001)


def precision_at(
    rows: pd.DataFrame, answered: Bools, positive: Bools
) -> dict[View, dict[str, dict[str, Estimate | None]]]:
    """`precision_at` of metrics.json for one model: per view, `prevalences`: `precisions` over answered clips.

    rows, answered : the model's predictions, [n], and which hold an answer of its own. positive : per clip.

    >>> rows = pd.DataFrame({"at": range(4), "grade": ["ghost_probing", "normal", "ghost_probing", "normal"]})
    >>> found = precision_at(rows, np.ones(4, dtype=bool), np.array([True, True, False, False]))
    >>> round(found["strict"]["prevalences"]["0.01"]["value"], 4)
    0.01
    """
    at = rows["at"].to_numpy()
    tables = {view: cells(positive[at], alarms(rows["grade"], view), answered, "answered") for view in VIEWS}
    return {view: {"prevalences": precisions(by_clip(table, at, len(positive)))} for view, table in tables.items()}


def precisions(table: Ints) -> dict[str, Estimate | None]:
    """The precision at each of `PREVALENCES`, from tp, fp, fn, tn per clip, int [clips, 4].

    Returns
    -------
    By prevalence P, r P / (r P + (1 - s) (1 - P)) with recall r and specificity s: Bayes' rule; null where one of them
    has no denominator or there was no alarm. The interval is drawn, as that of MCC.

    Examples
    --------
    Recall .8 and specificity .9: where half of the clips are positive, eight of nine alarms are right; where one in a
    thousand is, one of 126.

    >>> import numpy as np
    >>> found = precisions(np.repeat(np.eye(4, dtype=int), [40, 5, 10, 45], axis=0))
    >>> print(" ".join(f"{at} {each['value']:.3f}" for at, each in found.items()))
    0.5 0.889 0.1 0.471 0.01 0.075 0.001 0.008
    """
    total = table.sum(axis=0).astype(np.float64)
    values = {name: float(value) for name, value in precisions_of(total).items()}
    if any(math.isnan(value) for value in values.values()):
        return dict.fromkeys(values)
    found: dict[str, Estimate | None] = {}
    for name, value in values.items():
        size = effective_rows(table.astype(np.float64), partial(_precision, name=name))
        low, high = around(value, drawn_intervals(total * (size / total.sum()), precisions_of)[name])
        found[name] = {"value": value, "low": low, "high": high}
    return found


def _precision(table: Floats, name: str) -> Floats:
    return precisions_of(table)[name]


def precisions_of(tables: Floats) -> dict[str, Floats]:
    """The same for tables tp, fp, fn, tn, float [4, ...], without intervals; NaN where one is undefined.

    >>> import numpy as np
    >>> round(float(precisions_of(np.array([4.0, 1.0, 1.0, 9.0]))["0.1"]), 4)
    0.4706
    """
    tp, fp, fn, tn = np.asarray(tables, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, false = tp / (tp + fn), fp / (fp + tn)
        return {f"{p:g}": recall * p / (recall * p + false * (1 - p)) for p in PREVALENCES}
