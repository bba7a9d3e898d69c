"""From which score a model alarms, when its first alarm holds then, and what each threshold would cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from ghostbench.scoring.watched import Watched
from ghostbench.tasks.sustain import AT_ONCE, Sustain

FALSE_ALARM_RATE: Final = 0.1
"""The share of safe clips that may have an alarm, where a model's scores leave the choice of a threshold."""


def alarm_threshold(seen: Sequence[Watched], rule: Sustain) -> float | None:
    """The score from which a model alarms, where all its answers have one: see `threshold_at`; None for alarms by
    grade."""
    safe = [each for each in seen if each.safe]
    return threshold_at(safe, FALSE_ALARM_RATE, rule) if has_scores(seen) else None


def has_scores(seen: Sequence[Watched]) -> bool:
    """Whether a threshold can be chosen: there are safe clips, and no answer lacks a score. An answer that is missing
    has no say: it must not turn alarms by score into alarms by grade.

    >>> told = Watched(0, False, None, None, None, (0.5,), (False,), (0.1,), True)
    >>> by_grade = Watched(1, False, None, None, None, (0.5,), (False,), (math.nan,), True)
    >>> has_scores([told]), has_scores([told, by_grade])
    (True, False)
    """
    safe = any(each.safe for each in seen)
    whole = [each for each in seen if each.whole]
    return safe and bool(whole) and all(not math.isnan(score) for each in whole for score in each.scores)


def threshold_at(safe: Iterable[Watched], rate: float, rule: Sustain = AT_ONCE) -> float:
    """The lowest score from which an alarm is given, with an alarm that holds in at most that share of safe clips;
    infinity where no score of theirs may give one.

    >>> quiet = Watched(0, False, None, None, None, (0.5, 1.0), (False, False), (0.1, 0.2), True)
    >>> threshold_at([quiet] * 9 + [Watched(1, False, None, None, None, (0.5,), (True,), (0.9,), True)], 0.1) > 0.2
    True
    """
    peaks = sorted((each.peak(rule) for each in safe), reverse=True)
    allowed = int(rate * len(peaks) + 1e-9)
    reached = peaks[allowed] if allowed < len(peaks) else -math.inf
    return reached if math.isinf(reached) else math.nextafter(reached, math.inf)


def first_alarms_of(seen: Sequence[Watched], threshold: float | None, rule: Sustain) -> list[float | None]:
    """When each clip's first alarm holds, seconds; None without one. threshold : None for alarms by grade."""
    return [each.first(each.alarms_at(threshold), rule) for each in seen]


def leads_by_rate(seen: Sequence[Watched], rule: Sustain = AT_ONCE) -> list[tuple[float, float]]:
    """The share of safe clips with an alarm, and the mean lead, for every threshold, from the highest down; [] where
    there are no safe clips or no windows. Of scores alone: every answer must have one."""
    safe = [each for each in seen if each.safe]
    window = [each for each in seen if each.has_window(rule)]
    if not safe or not window:
        return []
    points = []
    given = {score for each in seen for score in each.scores if not math.isnan(score)}
    for threshold in sorted(given, reverse=True):
        alarmed = sum(each.peak(rule) >= threshold for each in safe)
        leads = [each.lead_s(each.first(each.alarms_at(threshold), rule)) for each in window]
        points.append((alarmed / len(safe), sum(leads) / len(leads)))
    return points
