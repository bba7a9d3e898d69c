"""The same counts on parts of the split, by what is known of its clips.

A small part shows counts and no rates: a rate of seven clips says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ghostbench.label import is_doubted
from ghostbench.scoring.attributes import UNKNOWN, Ways, attribute_ways
from ghostbench.scoring.intervals import Ints, shares
from ghostbench.scoring.views import VIEWS, Bools, alarms, by_clip, cells

SMALL = 20
"""Parts with fewer answered clips than this show no rates."""
DURATIONS = ((0.0, 5.0), (5.0, 10.0), (10.0, 15.0), (15.0, float("inf")))


def slice_ways(clips: pd.DataFrame) -> Ways:
    """For each way to slice, the part that each clip is in: category, duration, label (doubted or certain), truth, and
    what labels state and parameters say.

    >>> from ghostbench.label import Label
    >>> clips = {"category": [5, None], "duration_s": [4.0, 12.0], "truth": ["normal"] * 2, "remark": [None, "?"]}
    >>> ways = slice_ways(pd.DataFrame({**clips, "labels": [Label()] * 2, "parameters": [{}, {}]}))
    >>> list(ways.parts["category"]), list(ways.parts["duration"])
    (['5', 'unknown'], ['under 5 s', '10 to 15 s'])
    """
    category = clips["category"].map(lambda value: UNKNOWN if pd.isna(value) else str(int(value)))
    duration = clips["duration_s"].astype("float64").map(_duration)
    label = ["doubted" if doubted else "certain" for doubted in doubted_clips(clips)]
    own: dict[str, list[str]] = {
        "category": list(category),
        "duration": list(duration),
        "label": label,
        "truth": list(clips["truth"]),
    }
    more = attribute_ways(clips)
    ordered = {way: pd.Categorical(parts, sorted(set(parts), key=_order)) for way, parts in own.items()}
    return Ways({**ordered, **more.parts}, more.left_out)


def doubted_clips(clips: pd.DataFrame) -> Bools:
    """Per clip, bool [n], whether its annotator doubts the label, by a mark of its own or a question in the remark.

    >>> from ghostbench.label import Label
    >>> doubted_clips(pd.DataFrame({"labels": [Label(), Label(doubt=True)], "remark": [None, None]})).tolist()
    [False, True]
    """
    return np.array(
        [
            is_doubted(label, remark if isinstance(remark, str) else None)
            for label, remark in zip(clips["labels"], clips["remark"], strict=True)
        ],
        dtype=bool,
    )


def score_slices(
    rows: pd.DataFrame, answered: Bools, truth_of_clip: Bools, ways: Mapping[str, pd.Categorical[Any]]
) -> dict[str, dict[str, Any]]:
    """`slices` of metrics.json for one model: way to slice, part, then counts in both views over answered clips.

    Returns
    -------
    Per part: `n` (clips), `rows`, `answered`, and per view `tp, fp, fn, tn`, with `accuracy`, `recall` and
    `specificity` as `{value, low, high}`; a rate is null where its denominator is zero or fewer than `SMALL` clips of
    the part were answered.

    Examples
    --------
    >>> rows = pd.DataFrame({"at": range(2), "grade": ["ghost_probing", "ghost_probing"]})
    >>> way = {"light": pd.Categorical(["day", "night"])}
    >>> found = score_slices(rows, np.ones(2, dtype=bool), np.array([True, False]), way)
    >>> found["light"]["night"]["strict"]["fp"], found["light"]["night"]["strict"]["accuracy"] is None
    (1, True)
    """
    at = rows["at"].to_numpy()
    n = len(truth_of_clip)
    tables = {
        view: by_clip(cells(truth_of_clip[at], alarms(rows["grade"], view), answered, "answered"), at, n)
        for view in VIEWS
    }
    row_count = np.bincount(at, minlength=n)
    answer_count = np.bincount(at, weights=answered, minlength=n).astype(np.int64)
    found: dict[str, dict[str, Any]] = {}
    wanted: list[tuple[dict[str, Any], str, tuple[Ints, Ints]]] = []
    for way, part_of in ways.items():
        found[way] = {}
        for place, part in enumerate(part_of.categories):
            inside = part_of.codes == place
            found[way][part] = {
                "n": int(inside.sum()),
                "rows": int(row_count[inside].sum()),
                "answered": int(answer_count[inside].sum()),
            }
            for view, table in tables.items():
                tp, fp, fn, tn = table[inside].T
                counts: dict[str, Any] = {"tp": tp.sum(), "fp": fp.sum(), "fn": fn.sum(), "tn": tn.sum()}
                found[way][part][view] = counts = {name: int(count) for name, count in counts.items()}
                counts.update(accuracy=None, recall=None, specificity=None)
                if int((answer_count[inside] > 0).sum()) >= SMALL:
                    wanted.append((counts, "accuracy", (tp + tn, tp + fp + fn + tn)))
                    wanted.append((counts, "recall", (tp, tp + fn)))
                    wanted.append((counts, "specificity", (tn, tn + fp)))
    for (counts, rate, _), estimate in zip(wanted, shares([part for _, _, part in wanted]), strict=True):
        counts[rate] = estimate
    return found


def _duration(value: float) -> str:
    if np.isnan(value):
        return UNKNOWN
    for low, high in DURATIONS:
        if value < high:
            return (
                f"under {high:.0f} s"
                if low == 0
                else f"{low:.0f} to {high:.0f} s"
                if high < np.inf
                else f"from {low:.0f} s"
            )
    raise AssertionError(value)


def _order(part: str) -> tuple[bool, float, str]:
    digits = "".join(c if c.isdecimal() else " " for c in part).split()
    return part == UNKNOWN, float(digits[0]) - part.startswith("under") if digits else 0.0, part
