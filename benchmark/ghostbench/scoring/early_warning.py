"""Early warning, measured so that an alarm that never stops scores nothing.

A clip with an event has a window: from when its road user is first visible (else from when the danger begins) to the
event (the contact, else the labelled time). A first alarm in it is a warning; an earlier one is a false alarm, a later
one or none is a miss. A window that is open when an alarm can first be given tells a warning from an alarm that always
sounds by nothing, so that such a clip is left out. A question without an answer counts as wrong: its clip is a miss
where there is an event, and a false alarm where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from ghostbench.folder.lines import MomentLine
from ghostbench.label import Label
from ghostbench.outcomes import Outcome
from ghostbench.scoring.actors import UNSTATED, actor_kind
from ghostbench.scoring.anticipation import legacy
from ghostbench.scoring.draws import SEED
from ghostbench.scoring.intervals import shares
from ghostbench.scoring.ranking import average_precision_estimate
from ghostbench.scoring.rates import Estimate
from ghostbench.tasks.base import ALARMS

FALSE_ALARM_RATE: Final = 0.1
"""The share of safe clips that may have an alarm, where a model's scores leave the choice of a threshold."""
BEFORE_MS: Final = (500, 1000, 1500)
"""How long before the event a clip ends, milliseconds, for average precision: Nexar's protocol."""
SUSTAINED: Final = ((1, 1), (2, 3), (3, 3))
"""An alarm holds where k of the last n moments alarm: the first pair is what counts, the others are shown beside it."""
_DRAWS = 1000
_YES = 0.999


@dataclass(frozen=True, slots=True)
class Watched:
    """A clip as a model watched it.

    at : the clip's row. event : whether there is one. start_s, event_s : its window; None where the labels do not say.
    human_s : the lead of a person who saw the danger begin, seconds; None where the labels do not say.
    times_s, alarms, scores : by moment; a score is NaN where there is none. whole : whether every moment is answered.
    """

    at: int
    event: bool
    start_s: float | None
    event_s: float | None
    human_s: float | None
    times_s: tuple[float, ...]
    alarms: tuple[bool, ...]
    scores: tuple[float, ...]
    whole: bool

    def first(self, alarms: Sequence[bool], k: int = 1, n: int = 1) -> float | None:
        """When the first alarm holds that k of the last n moments give, seconds; None without one."""
        for place, time_s in enumerate(self.times_s):
            if sum(alarms[max(0, place - n + 1) : place + 1]) >= k:
                return time_s
        return None

    def has_window(self, k: int = 1) -> bool:
        """Whether an alarm can come before, in, and after the window."""
        if not self.event or self.start_s is None or self.event_s is None or len(self.times_s) < k:
            return False
        return self.times_s[k - 1] < self.start_s <= self.event_s

    def lead_s(self, alarm_s: float | None) -> float:
        """Seconds from a warning to the event, no more than a person has; 0 for what is no warning."""
        assert self.start_s is not None
        assert self.event_s is not None
        if not self.whole or alarm_s is None or not self.start_s <= alarm_s <= self.event_s:
            return 0.0
        return min(self.event_s - alarm_s, math.inf if self.human_s is None else self.human_s)

    def warned(self, alarm_s: float | None) -> bool:
        """Whether the first alarm is a warning."""
        assert self.start_s is not None
        assert self.event_s is not None
        return self.whole and alarm_s is not None and self.start_s <= alarm_s <= self.event_s

    def score_at(self, time_s: float) -> float | None:
        """The last score not later than that, or 1 and 0 for alarm and none where there are no scores."""
        seen = [place for place, moment in enumerate(self.times_s) if moment <= time_s]
        if not seen or not self.whole:
            return None
        score = self.scores[seen[-1]]
        return float(self.alarms[seen[-1]]) if math.isnan(score) else score


def early_warning(rows: pd.DataFrame, clips: pd.DataFrame) -> dict[str, Any] | None:
    """`early_warning` of metrics.json for one model; None for a task that does not ask at moments.

    rows : the model's lines of predictions.jsonl. clips : the run's clips.

    Returns
    -------
    moments_per_s, clips_with_window, safe_clips; by : "score" where a threshold is chosen so that at most
    `FALSE_ALARM_RATE` of safe clips have an alarm, else "grade"; threshold; false_alarm_rate, warned,
    false_alarms_per_clip, false_alarms_per_hour, lead_s {median, mean}, ap_at, ap_mean, named (the share of warnings
    that name the labelled kind of road user), each an estimate or null; sustain (the same by `SUSTAINED`); legacy.
    """
    if "questions" not in clips or not any(_asked(questions) for questions in clips["questions"]):
        return None
    seen = list(watched(rows, clips))
    safe = [each for each in seen if not each.event and each.times_s]
    by_score = bool(safe) and all(not math.isnan(score) for each in seen for score in each.scores)
    threshold = threshold_at(safe, FALSE_ALARM_RATE) if by_score else None
    held = {rule: _at(seen, threshold, *rule) for rule in SUSTAINED}
    ap_at = {str(before): _ap(seen, before / 1000) for before in BEFORE_MS}
    return {
        "moments_per_s": _rate(seen),
        "clips_with_window": sum(each.has_window() for each in seen),
        "safe_clips": len(safe),
        "by": "score" if by_score else "grade",
        "threshold": None if threshold is None or math.isinf(threshold) else threshold,
        "false_alarm_rate": held[SUSTAINED[0]]["false_alarms_per_clip"],
        **held[SUSTAINED[0]],
        "ap_at": ap_at,
        "ap_mean": _mean(list(ap_at.values())),
        "named": _named(rows, clips, seen),
        "sustain": {f"{k} of {n}": held[k, n] for k, n in SUSTAINED},
        "legacy": legacy([(each.event, each.event_s, each.times_s, _levels(each)) for each in seen if each.whole]),
    }


def threshold_at(safe: Iterable[Watched], rate: float) -> float:
    """The lowest score from which an alarm is given, with an alarm in at most that share of safe clips; infinity
    where no score of theirs may give one.

    >>> quiet = Watched(0, False, None, None, None, (0.5, 1.0), (False, False), (0.1, 0.2), True)
    >>> threshold_at([quiet] * 9 + [Watched(1, False, None, None, None, (0.5,), (True,), (0.9,), True)], 0.1) > 0.2
    True
    """
    peaks = sorted((max(each.scores) if each.whole else math.inf for each in safe), reverse=True)
    allowed = int(rate * len(peaks) + 1e-9)
    return math.nextafter(peaks[allowed], math.inf) if allowed < len(peaks) else -math.inf


def leads_by_rate(seen: Sequence[Watched]) -> list[tuple[float, float]]:
    """The share of safe clips with an alarm, and the mean lead, for every threshold, from the highest down; [] where
    there are no safe clips or no windows. Of scores alone: every moment must have one."""
    safe = [each for each in seen if not each.event and each.times_s]
    window = [each for each in seen if each.has_window()]
    if not safe or not window:
        return []
    points = []
    for threshold in sorted({score for each in seen for score in each.scores}, reverse=True):
        alarmed = sum(not each.whole or max(each.scores) >= threshold for each in safe)
        leads = [each.lead_s(each.first(_alarms(each, threshold))) for each in window]
        points.append((alarmed / len(safe), sum(leads) / len(leads)))
    return points


def _at(seen: Sequence[Watched], threshold: float | None, k: int, n: int) -> dict[str, Any]:
    """Warnings and false alarms where an alarm holds that k of n moments give."""
    firsts = [each.first(_alarms(each, threshold), k, n) for each in seen]
    window = [(each, first) for each, first in zip(seen, firsts, strict=True) if each.has_window(k)]
    safe = [
        (each, first is not None or not each.whole)
        for each, first in zip(seen, firsts, strict=True)
        if not each.event and each.times_s
    ]
    warned, alarmed = shares(
        [
            _by_clip([each.at for each, _ in window], [each.warned(first) for each, first in window]),
            _by_clip([each.at for each, _ in safe], [alarm for _, alarm in safe]),
        ]
    )
    hours = sum(each.times_s[-1] for each, _ in safe) / 3600
    return {
        "warned": warned,
        "false_alarms_per_clip": alarmed,
        "false_alarms_per_hour": _times(alarmed, len(safe) / hours) if hours > 0 else None,
        "lead_s": _leads([each.lead_s(first) for each, first in window], [each.at for each, _ in window]),
    }


def _alarms(each: Watched, threshold: float | None) -> Sequence[bool]:
    return each.alarms if threshold is None else [score >= threshold for score in each.scores]


def _levels(each: Watched) -> tuple[float, ...]:
    """Scores; where there are none, a yes as high as the papers' code can tell from 1, and a no as 0."""
    return tuple(_YES * a if math.isnan(s) else s for a, s in zip(each.alarms, each.scores, strict=True))


def _ap(seen: Sequence[Watched], before_s: float) -> Estimate | None:
    """Average precision of the scores so long before the event; safe clips end when clips with an event do."""
    found: list[tuple[float, bool, int]] = []
    ends = []
    for each in seen:
        if each.event and each.event_s is not None:
            score = each.score_at(each.event_s - before_s)
            if score is not None:
                ends.append(each.event_s - before_s)
                found.append((score, True, each.at))
    safe = [each for each in seen if not each.event]
    ends.sort()
    for place, each in enumerate(safe):
        score = each.score_at(ends[place * len(ends) // len(safe)]) if ends else None
        if score is not None:
            found.append((score, False, each.at))
    if len({truth for _, truth, _ in found}) < 2:
        return None
    scores, truths, at = zip(*found, strict=True)
    return average_precision_estimate(np.array(scores), np.array(truths), np.array(at))


def _named(rows: pd.DataFrame, clips: pd.DataFrame, seen: Sequence[Watched]) -> Estimate | None:
    """Of the warnings by grade for a labelled road user, the share that names its kind."""
    places, hits = [], []
    for each, said in zip(seen, rows["actor"] if "actor" in rows else [None] * len(seen), strict=True):
        label = clips["labels"].iloc[each.at] if "labels" in clips else None
        kind = actor_kind(label.actor) if isinstance(label, Label) else UNSTATED
        if kind != UNSTATED and each.has_window() and each.warned(each.first(each.alarms)):
            places.append(each.at)
            hits.append(actor_kind(said if isinstance(said, str) else None) == kind)
    return shares([_by_clip(places, hits)])[0]


def watched(rows: pd.DataFrame, clips: pd.DataFrame) -> Iterable[Watched]:
    """A model's lines of predictions.jsonl, in order, with the windows that the clips' labels state."""
    moments = rows["moments"] if "moments" in rows else [None] * len(rows)
    for at, said in zip(rows["at"], moments, strict=True):
        clip = clips.iloc[at]
        lines: tuple[MomentLine, ...] = said if isinstance(said, tuple) else ()
        label = clip["labels"] if isinstance(clip.get("labels"), Label) else Label()
        event_s = label.contact_s if label.contact_s is not None else _number(clip["truth_time_s"])
        start_s = label.first_visible_s if label.first_visible_s is not None else label.danger_s
        human_s = None if label.danger_s is None or event_s is None else max(0.0, event_s - label.danger_s)
        questions = _asked(clip["questions"])
        yield Watched(
            at=int(at),
            event=clip["truth"] == "ghost_probing",
            start_s=start_s,
            event_s=event_s,
            human_s=human_s,
            times_s=tuple(line.moment_s for line in lines) or questions,
            alarms=tuple(line.grade in ALARMS for line in lines) or (False,) * len(questions),
            scores=tuple(math.nan if line.score is None else line.score for line in lines)
            or (math.nan,) * len(questions),
            whole=bool(lines) and all(line.outcome == Outcome.ANSWERED for line in lines),
        )


def _asked(questions: Any) -> tuple[float, ...]:
    """The moments of a clip; () where it has none."""
    if not isinstance(questions, tuple):
        return ()
    return tuple(question.moment_s for question in questions if question.moment_s is not None)


def _by_clip(at: Sequence[int], hits: Sequence[bool]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Hits and sizes per clip."""
    places, clusters = np.unique(np.array(at, dtype=np.int64), return_inverse=True)
    counted = np.bincount(clusters, weights=np.array(hits, dtype=np.float64), minlength=len(places))
    return counted.astype(np.int64), np.bincount(clusters, minlength=len(places)).astype(np.int64)


def _leads(leads: Sequence[float], at: Sequence[int]) -> dict[str, Estimate | None]:
    """Median and mean with percentile intervals over redrawn clips; one clip alone has no interval."""
    if not leads:
        return {"median": None, "mean": None}
    values = pd.Series(leads).groupby(np.array(at)).mean().to_numpy()
    drawn = values[np.random.default_rng(SEED).integers(0, len(values), (_DRAWS, len(values)))]
    found: dict[str, Estimate | None] = {}
    for name, statistic in (("median", np.median), ("mean", np.mean)):
        low, high = np.quantile(statistic(drawn, axis=1), (0.025, 0.975)) if len(values) > 1 else (None, None)
        value = float(statistic(values))
        found[name] = {
            "value": value,
            "low": None if low is None else float(low),
            "high": None if high is None else float(high),
        }
    return found


def _mean(parts: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of figures of the same clips; its interval is no wider than the mean of theirs, and stated as that."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return {
        "value": sum(part["value"] for part in known) / len(known),
        "low": sum(part["low"] or 0.0 for part in known) / len(known),
        "high": sum(1.0 if part["high"] is None else part["high"] for part in known) / len(known),
    }


def _times(share: Estimate | None, factor: float) -> Estimate | None:
    if share is None:
        return None
    low, high = (None if share[end] is None else share[end] * factor for end in ("low", "high"))  # type: ignore[operator]
    return {"value": share["value"] * factor, "low": low, "high": high}


def _rate(seen: Iterable[Watched]) -> float | None:
    """Moments a second, from the distances between them."""
    steps = [after - before for each in seen for before, after in zip(each.times_s, each.times_s[1:], strict=False)]
    return float(1 / np.median(steps)) if steps else None


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
