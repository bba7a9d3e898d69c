"""Time to accident as papers on anticipation report it: only to stand beside their tables.

The definition is UString's (W. Bao et al. (2020), ACM MM, 2682-2690; `src/eval_tools.py`). It looks at no clip without
an event but for the lowest score, so that a constant alarm gets the most that can be had, and one early alarm moves the
mean of a whole set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.warning_metrics import Legacy

Clip = tuple[bool, float | None, tuple[float, ...], tuple[float, ...]]
"""Whether there is an event, when, and the moments with their scores."""
_STEP = 0.001
_RECALL = 0.8


def legacy(clips: Sequence[Clip]) -> Legacy:
    """`mtta_s` and `tta_r80_s`, seconds, without intervals, as papers have none; null where no clip can be detected.

    A clip with an event counts up to it. For each threshold from the lowest score to 1 in steps of 0.001, the time is
    the mean over detected clips of 1 minus the first alarm's share of the time up to the event; of each recall the best
    time counts, but of the highest recall that of its highest threshold. At a threshold of 0 clips without an event
    count as detected at once, as in that code. mTTA is the mean over recalls, and TTA@R80 that of the recall nearest
    0.8, times the longest clip.

    >>> always = [(True, 3.0, (0.5, 1.0, 1.5), (0.9, 0.9, 0.9)), (False, None, (0.5, 1.0), (0.9, 0.9))]
    >>> {name: round(found["value"], 2) for name, found in legacy(always).items()}
    {'mtta_s': 1.25, 'tta_r80_s': 1.25}
    """
    cut = [_cut(*clip) for clip in clips]
    events = [(times, scores, clip[1]) for (times, scores), clip in zip(cut, clips, strict=True) if clip[0] and clip[1]]
    lowest = min((min(scores) for _, scores in cut if scores), default=None)
    longest = max((clip[2][-1] for clip in clips if clip[2]), default=None)
    best: dict[int, float] = {}
    last: dict[int, float] = {}
    if lowest is not None and events:
        for threshold in np.arange(max(lowest, 0.0), 1.0, _STEP):
            found = [share for clip in events if (share := _share(*clip, threshold)) is not None]
            if threshold <= 0:
                found += [0.0] * (len(clips) - len(events))
            if found:
                last[len(found)] = 1 - sum(found) / len(found)
                best[len(found)] = max(best.get(len(found), 0.0), last[len(found)])
    if not best or longest is None:
        return {"mtta_s": None, "tta_r80_s": None}
    best[max(best)] = last[max(best)]
    nearest = min(sorted(best), key=lambda count: abs(count / len(events) - _RECALL))
    return {
        "mtta_s": _stated(sum(best.values()) / len(best) * longest),
        "tta_r80_s": _stated(best[nearest] * longest),
    }


def _cut(
    event: bool, event_s: float | None, times_s: tuple[float, ...], scores: tuple[float, ...]
) -> tuple[npt.NDArray[np.float64], tuple[float, ...]]:
    """The moments before the event, and the scores at them."""
    count = sum(time_s < event_s for time_s in times_s) if event and event_s is not None else len(times_s)
    return np.array(times_s[:count]), scores[:count]


def _share(
    times_s: npt.NDArray[np.float64], scores: tuple[float, ...], event_s: float | None, threshold: float
) -> float | None:
    """The first alarm's share of the time up to the event; None without an alarm."""
    alarms = np.flatnonzero(np.array(scores) >= threshold)
    return float(times_s[alarms[0]]) / float(event_s or 1) if len(alarms) else None


def _stated(value: float) -> Estimate:
    return {"value": value, "low": None, "high": None}
