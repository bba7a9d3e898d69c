"""Average precision so long before the event, by Nexar's protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from ghostbench.scoring.ranking import average_precision_estimate
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.watched import Watched

BEFORE_MS: Final = (500, 1000, 1500)
"""How long before the event a clip ends, milliseconds, for average precision: Nexar's protocol."""
_LOST, _FALSE = -1.0, 2.0
"""Scores below and above all others."""


def average_precision_before(seen: Sequence[Watched], before_s: float) -> Estimate | None:
    """Average precision of the scores so long before the event; safe clips end when clips with an event do.

    A clip with a missing answer stands where it does most harm. None where one of the two kinds is missing, and where
    no clip at all is answered.
    """
    scores, truths, at = scores_before(seen, before_s)
    if len(set(truths)) < 2 or not any(each.whole for each in seen):
        return None
    return average_precision_estimate(np.array(scores), np.array(truths), np.array(at))


def scores_before(seen: Sequence[Watched], before_s: float) -> tuple[list[float], list[bool], list[int]]:
    """Score, whether there is an event, and the clip, of all that are long enough; a missing answer is minus one where
    there is an event, and two where there is none."""
    found: list[tuple[float, bool, int]] = []
    ends = []
    for each in seen:
        if each.event and each.event_s is not None and each.asked_by(each.event_s - before_s):
            ends.append(each.event_s - before_s)
            score = each.score_at(ends[-1])
            found.append((_LOST if score is None else score, True, each.at))
    safe = [each for each in seen if each.safe]
    ends.sort()
    for place, each in enumerate(safe):
        end = ends[place * len(ends) // len(safe)] if ends else -math.inf
        if each.asked_by(end):
            score = each.score_at(end)
            found.append((_FALSE if score is None else score, False, each.at))
    return [score for score, *_ in found], [truth for _, truth, _ in found], [clip for *_, clip in found]


def mean_of(parts: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of figures of the same clips; its interval is no wider than the mean of theirs, and stated as that.

    None where one of them is missing.

    >>> mean_of([{"value": 0.5, "low": 0.25, "high": 0.75}, {"value": 1.0, "low": 0.5, "high": 1.0}])
    {'value': 0.75, 'low': 0.375, 'high': 0.875}
    """
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return {
        "value": sum(part["value"] for part in known) / len(known),
        "low": sum(part["low"] or 0.0 for part in known) / len(known),
        "high": sum(1.0 if part["high"] is None else part["high"] for part in known) / len(known),
    }
