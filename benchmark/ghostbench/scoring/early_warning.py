"""Early warning, measured so that an alarm that never stops scores nothing.

A clip with an event has a window: from when its road user is first visible (else from when the danger begins) to the
event (the contact, else the labelled time). A first alarm in it is a warning; an earlier one is a false alarm, a later
one or none is a miss. A window that is open when an alarm can first be given tells a warning from an alarm that always
sounds by nothing, and in one that lies between two moments nobody can warn, so that such clips are left out. A question
without an answer counts as wrong: its clip is a miss where there is an event, and a false alarm where there is none,
also where its media failed and nothing was asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from ghostbench.label import Label
from ghostbench.scoring.actors import UNSTATED, actor_kind, occluder_kind
from ghostbench.scoring.alarm_thresholds import FALSE_ALARM_RATE, first_alarms_of, has_scores, threshold_at
from ghostbench.scoring.anticipation import legacy
from ghostbench.scoring.before_event import BEFORE_MS, average_precision_before, mean_of
from ghostbench.scoring.chance_alarms import by_chance, clips_per_hour
from ghostbench.scoring.draws import SEED
from ghostbench.scoring.intervals import shares
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.visible_time import by_visible_time
from ghostbench.scoring.warning_metrics import EarlyWarning, Leads, Named, OfVisible, Warnings
from ghostbench.scoring.watched import Watched, asks_at_moments, watched
from ghostbench.tasks.sustain import AT_ONCE, Sustain

SUSTAINED: Final = (AT_ONCE, Sustain(2, 3), Sustain(3, 3))
"""The rules that are shown beside the run's own."""
LEAD_DRAWS: Final = 1000
"""Sets of redrawn clips behind the intervals of leads."""
_YES = 0.999
"""A yes, as high as the papers' code can tell from 1."""


def early_warning(
    rows: pd.DataFrame, clips: pd.DataFrame, rule: Sustain = AT_ONCE, moments_per_s: float | None = None
) -> EarlyWarning | None:
    """`early_warning` of metrics.json for one model; None for a task that does not ask at moments.

    rows : the model's lines of predictions.jsonl. clips : the run's clips. rule : when an alarm holds.
    moments_per_s : as in `asks_at_moments`.

    Returns
    -------
    moments_per_s, rule, clips_with_window, safe_clips; by : "score" where a threshold is chosen so that at most
    `FALSE_ALARM_RATE` of safe clips have an alarm, else "grade"; threshold; false_alarm_rate, warned, early (a first
    alarm before the window), false_alarms_per_clip, false_alarms_per_hour, lead_s {median, mean}, ap_at, ap_mean, and
    named, named_actor, named_occluder (the share of first warnings that name what is labelled), each an estimate or
    null; random (see `by_chance`); sustain (the same by rule); by_visible_s (see `by_visible_time`); legacy.
    """
    if not asks_at_moments(clips, moments_per_s):
        return None
    seen = list(watched(rows, clips, moments_per_s))
    safe = [each for each in seen if each.safe]
    by_score = has_scores(seen)
    held = {each: _at(seen, each, by_score=by_score) for each in dict.fromkeys((rule, *SUSTAINED))}
    ap_at = {str(before): average_precision_before(seen, before / 1000) for before in BEFORE_MS}
    own, alarmed = held[rule]
    firsts = first_alarms_of(seen, own["threshold"], rule)
    return {
        "moments_per_s": _rate(seen) or moments_per_s,
        "rule": str(rule),
        "clips_with_window": sum(each.has_window(rule) for each in seen),
        "safe_clips": len(safe),
        "by": "score" if by_score else "grade",
        "false_alarm_rate": own["false_alarms_per_clip"],
        **_stated(own),
        "random": by_chance(seen, firsts, alarmed, rule),
        "ap_at": ap_at,
        "ap_mean": mean_of(list(ap_at.values())),
        **_named(rows, clips, seen),
        "sustain": {each.words: _stated(numbers) for each, (numbers, _) in held.items()},
        "by_visible_s": by_visible_time(seen, firsts, rule, _of_visible),
        "legacy": legacy(
            [
                (each.event, each.event_s, each.times_s, each.levels(_YES))
                for each in seen
                if each.whole and each.times_s
            ]
        ),
    }


def _at(seen: Sequence[Watched], rule: Sustain, *, by_score: bool) -> tuple[Warnings, Estimate | None]:
    """Warnings and false alarms under a rule, at the threshold that the rule's false alarms leave; and the share of
    safe clips with one, with an interval, which is not shown where the threshold was chosen on those very clips."""

    safe = [each for each in seen if each.safe]
    threshold = threshold_at(safe, FALSE_ALARM_RATE, rule) if by_score else None
    firsts = first_alarms_of(seen, threshold, rule)
    window = [(each, first) for each, first in zip(seen, firsts, strict=True) if each.has_window(rule)]
    alarms = [(each, each.false_alarm(first)) for each, first in zip(seen, firsts, strict=True) if each.safe]
    places = [each.at for each, _ in window]
    warned, early, alarmed = shares(
        [
            _by_clip(places, [each.warned(first) for each, first in window]),
            _by_clip(places, [each.early(first) for each, first in window]),
            _by_clip([each.at for each, _ in alarms], [alarm for _, alarm in alarms]),
        ]
    )
    shown = alarmed if threshold is None else _bare(alarmed)
    numbers: Warnings = {
        "threshold": threshold,
        "warned": warned,
        "early": early,
        "false_alarms_per_clip": shown,
        "false_alarms_per_hour": None if (per_hour := clips_per_hour(safe)) is None else _times(shown, per_hour),
        "lead_s": _leads([each.lead_s(first) for each, first in window], places),
    }
    return numbers, alarmed


def _bare(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else {"value": estimate["value"], "low": None, "high": None}


def _stated(numbers: Warnings) -> Warnings:
    """With a threshold that JSON can hold."""
    threshold = numbers["threshold"]
    return {**numbers, "threshold": None if threshold is None or math.isinf(threshold) else threshold}


def _named(rows: pd.DataFrame, clips: pd.DataFrame, seen: Sequence[Watched]) -> Named:
    """Of the warnings by grade at a single moment, the share whose words name the labelled kind of road user, of
    occluder, and either of them."""
    found: dict[str, tuple[list[int], list[bool]]] = {name: ([], []) for name in Named.__annotations__}
    nothing = [None] * len(seen)
    actors, occluders = (rows.get(name, nothing) for name in ("actor", "occluder"))
    for each, actor, occluder in zip(seen, actors, occluders, strict=True):
        label = clips["labels"].iloc[each.at] if "labels" in clips else None
        if not isinstance(label, Label) or not each.has_window() or not each.warned(each.first(each.alarms)):
            continue
        said = {
            "named_actor": _names(actor_kind, label.actor, actor),
            "named_occluder": _names(occluder_kind, label.occluder, occluder),
        }
        known = {name: right for name, right in said.items() if right is not None}
        for name, right in {**known, **({"named": any(known.values())} if known else {})}.items():
            found[name][0].append(each.at)
            found[name][1].append(right)
    named, actor_named, occluder_named = shares([_by_clip(*hits) for hits in found.values()])
    return {"named": named, "named_actor": actor_named, "named_occluder": occluder_named}


def _names(kind_of: Callable[[str | None], str], label: str | None, said: Any) -> bool | None:
    """Whether what is said is of the labelled kind; None where the label says none."""
    kind = kind_of(label)
    return None if kind == UNSTATED else kind_of(said if isinstance(said, str) else None) == kind


def _by_clip(at: Sequence[int], hits: Sequence[bool]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Hits and sizes per clip."""
    places, clusters = np.unique(np.array(at, dtype=np.int64), return_inverse=True)
    counted = np.bincount(clusters, weights=np.array(hits, dtype=np.float64), minlength=len(places))
    return counted.astype(np.int64), np.bincount(clusters, minlength=len(places)).astype(np.int64)


def _of_visible(clips: list[tuple[Watched, float | None]]) -> OfVisible:
    """Of clips with a window and their first alarms: warned, and the mean of the leads as they are."""
    at = [each.at for each, _ in clips]
    return {
        "warned": shares([_by_clip(at, [each.warned(first) for each, first in clips])])[0],
        "lead_s": _leads([each.true_lead_s(first) for each, first in clips], at)["mean"],
    }


def _leads(leads: Sequence[float], at: Sequence[int]) -> Leads:
    """Median and mean with percentile intervals over redrawn clips; one clip alone has no interval."""
    if not leads:
        return {"median": None, "mean": None}
    values = pd.Series(leads).groupby(np.array(at)).mean().to_numpy()
    drawn = values[np.random.default_rng(SEED).integers(0, len(values), (LEAD_DRAWS, len(values)))]

    def estimate(statistic: Callable[..., Any]) -> Estimate:
        low, high = np.quantile(statistic(drawn, axis=1), (0.025, 0.975)) if len(values) > 1 else (None, None)
        return {
            "value": float(statistic(values)),
            "low": None if low is None else float(low),
            "high": None if high is None else float(high),
        }

    return {"median": estimate(np.median), "mean": estimate(np.mean)}


def _times(share: Estimate | None, factor: float) -> Estimate | None:
    if share is None:
        return None
    low, high = (None if share[end] is None else share[end] * factor for end in ("low", "high"))  # type: ignore[operator]
    return {"value": share["value"] * factor, "low": low, "high": high}


def _rate(seen: Iterable[Watched]) -> float | None:
    """Moments a second, from the distances between them."""
    steps = [after - before for each in seen for before, after in zip(each.times_s, each.times_s[1:], strict=False)]
    return float(1 / np.median(steps)) if steps else None
