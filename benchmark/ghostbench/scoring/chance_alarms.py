"""Alarms by chance, as often as a model has false ones: what its warnings would be worth if it saw nothing.

At each moment there is an alarm with the same probability, whatever the clip; it is chosen so that as large a share of
safe clips has one as with the model. Nothing is drawn: what such alarms come to is a sum over the moments of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from ghostbench.scoring.draws import LEVEL, SEED
from ghostbench.scoring.rates import Estimate, Floats
from ghostbench.scoring.trivial import LEAST
from ghostbench.scoring.warning_metrics import ByChance
from ghostbench.scoring.watched import Watched
from ghostbench.tasks.sustain import AT_ONCE, Sustain

_DRAWS = 1000
_RATES = 25


def first_alarms(probability: float, moments: int, rule: Sustain = AT_ONCE) -> Floats:
    """The chance that the first alarm that holds is that of each moment, float [moments]; together at most 1.

    probability : of an alarm at a moment, in [0, 1], independent of those at others.

    >>> first_alarms(0.5, 3).tolist()
    [0.5, 0.25, 0.125]
    >>> first_alarms(0.5, 3, Sustain(2, 2)).tolist()
    [0.0, 0.25, 0.125]
    """
    # A state is which of the last n - 1 moments alarmed, as bits, while no alarm has held.
    states = np.zeros(2 ** (rule.n - 1))
    states[0] = 1.0
    seen = np.arange(len(states)) << 1 | np.array([[0], [1]])
    holds = np.array([[int(each).bit_count() for each in row] for row in seen]) >= rule.k
    following = (seen & (len(states) - 1))[~holds]
    chances = np.array([[1 - probability], [probability]])
    found = np.zeros(moments)
    for moment in range(moments):
        reached = states * chances
        found[moment] = reached[holds].sum()
        states = np.bincount(following, weights=reached[~holds], minlength=len(states))
    return found


def matched(share: float, safe: Sequence[Watched], rule: Sustain = AT_ONCE) -> float:
    """The probability of an alarm at a moment under which an expected share of the safe clips has one, both in [0, 1].

    1 where not even that is enough, as where clips are too short for an alarm to hold.

    >>> quiet = Watched(0, False, None, None, None, (0.5, 1.0), (False, False), (0.1, 0.2), True)
    >>> round(matched(0.75, [quiet]), 6)
    0.5
    """
    from scipy.optimize import brentq

    def off(probability: float) -> float:
        return _alarmed(probability, safe, rule) - share

    if share <= 0 or off(0.0) >= 0:  # clips whose media failed are false alarms whatever the probability
        return 0.0
    return 1.0 if off(1.0) <= 0 else float(brentq(off, 0.0, 1.0, xtol=1e-12))


def by_chance(
    seen: Sequence[Watched], firsts: Sequence[float | None], alarmed: Estimate | None, rule: Sustain
) -> ByChance | None:
    """`random` of `early_warning`: alarms by chance at the rate of a model, and what the model's own come to beyond.

    seen, firsts : the clips as the model watched them, and when its first alarm holds. alarmed : the share of safe
        clips that count as alarmed, with the interval of that count: at a threshold chosen on those clips it is one of
        the chosen threshold, and none of how it was chosen.

    Returns
    -------
    alarms_per_moment, in [0, 1]; warned, false_alarms_per_clip, false_alarms_per_hour and lead_s as of a model,
    expected values without an interval; more_warned and more_lead_s, the model's minus those, with percentile intervals
    over redrawn clips, as wide as to hold for every rate of false alarms in the interval of the model's; verdict on
    more_warned, undecided for fewer than `trivial.LEAST` clips. None without safe clips or without windows.
    """
    safe = [each for each in seen if each.safe]
    window = [(each, first) for each, first in zip(seen, firsts, strict=True) if each.has_window(rule)]
    if alarmed is None or not safe or not window:
        return None
    clips = [each for each, _ in window]
    own, low, high = (matched(alarmed[end] or 0.0, safe, rule) for end in ("value", "low", "high"))
    between = _between(low, high, max(len(each.times_s) for each in clips))
    warned, leads = _expected([own, *between], clips, rule)
    at = np.array([each.at for each in clips])
    model_warned = np.array([each.warned(first) for each, first in window], dtype=np.float64)
    model_leads = np.array([each.lead_s(first) for each, first in window])
    more = _beyond(model_warned, warned, at)
    share = _alarmed(own, safe, rule)
    per_hour = clips_per_hour(safe)
    return {
        "alarms_per_moment": own,
        "warned": _stated(float(warned[0].mean())),
        "false_alarms_per_clip": _stated(share),
        "false_alarms_per_hour": None if per_hour is None else _stated(share * per_hour),
        "lead_s": {
            "median": _stated(_median(own, clips, rule)),
            "mean": _stated(float(leads[0].mean())),
        },
        "more_warned": more,
        "more_lead_s": _beyond(model_leads, leads, at),
        "verdict": _verdict(more, len(np.unique(at))),
    }


def leads_by_chance(seen: Sequence[Watched], rates: Sequence[float], rule: Sustain) -> list[float]:
    """The mean lead of alarms by chance, seconds, at each share of safe clips with an alarm. There must be safe clips
    and windows."""
    safe = [each for each in seen if each.safe]
    clips = [each for each in seen if each.has_window(rule)]
    return [float(each.mean()) for each in _expected([matched(rate, safe, rule) for rate in rates], clips, rule)[1]]


def clips_per_hour(safe: Sequence[Watched]) -> float | None:
    """How many such clips an hour of footage holds, those whose media failed as long as the others; None without any
    footage.

    >>> quiet = Watched(0, False, None, None, None, (9.0, 18.0), (False, False), (0.1, 0.2), True)
    >>> clips_per_hour([quiet, Watched(1, False, None, None, None, (), (), (), False, unasked_step_s=0.5)])
    200.0
    """
    asked = [each.times_s[-1] for each in safe if each.times_s]
    return 3600 * len(asked) / sum(asked) if sum(asked) > 0 else None


def _alarmed(probability: float, safe: Sequence[Watched], rule: Sustain) -> float:
    """The expected share of safe clips that count as alarmed; as with a model, those whose media failed do."""
    longest = max(len(each.times_s) for each in safe)
    reached = np.concatenate([[0.0], np.cumsum(_kept(probability, longest, rule))])
    lost = [bool(each.unasked_step_s) and not each.whole for each in safe]
    return float(np.mean([1.0 if gone else reached[len(each.times_s)] for each, gone in zip(safe, lost, strict=True)]))


def _between(low: float, high: float, moments: int) -> list[float]:
    """Probabilities from the lower to the higher, both among them, closely set: half of them evenly by themselves, half
    evenly by the share of clips of so many moments that have an alarm. What chance warns of rises with the probability
    and falls again, as first alarms come too early: the ends alone would leave out the worst."""
    count = max(moments, 1)
    shares = np.linspace(1 - (1 - low) ** count, 1 - (1 - high) ** count, _RATES)
    by_share = 1 - (1 - shares) ** (1 / count)
    found = np.unique(np.clip([*np.linspace(low, high, _RATES), *by_share, low, high], low, high))
    return [float(each) for each in found]


def _expected(probabilities: Sequence[float], clips: Sequence[Watched], rule: Sustain) -> tuple[Floats, Floats]:
    """For each probability, of each clip with a window, the chance of a warning and the expected lead, float
    [probabilities, clips]. The chances of first moments do not depend on how many follow."""
    longest = max(len(each.times_s) for each in clips)
    within, leads = np.zeros((len(clips), longest)), np.zeros((len(clips), longest))
    for place, each in enumerate(clips):
        count = len(each.times_s)
        within[place, :count] = [each.in_window(time_s) for time_s in each.times_s]
        leads[place, :count] = [each.lead_at(time_s) for time_s in each.times_s]
    chances = np.array([_kept(probability, longest, rule) for probability in probabilities])
    return np.einsum("pm,cm->pc", chances, within), np.einsum("pm,cm->pc", chances, leads)


def _median(probability: float, clips: Sequence[Watched], rule: Sustain) -> float:
    """Of all leads that can come about, misses as 0, the one in the middle."""
    chances: list[tuple[float, float]] = []
    for each in clips:
        found = _kept(probability, len(each.times_s), rule)
        chances += [(each.lead_at(time_s), chance) for time_s, chance in zip(each.times_s, found, strict=True)]
        chances.append((0.0, 1 - sum(found)))
    reached = 0.0
    for lead, chance in sorted(chances):
        reached += chance / len(clips)
        if reached >= 0.5 - 1e-12:
            return lead
    return 0.0


def _beyond(own: Floats, expected: Floats, at: np.ndarray[Any, Any]) -> Estimate:
    """The mean of a model's figures minus those of chance, of rows [probabilities, clips] of which the first is at the
    model's own rate; the interval holds for every row."""
    places, clusters = np.unique(at, return_inverse=True)
    counts = np.bincount(clusters)
    each = np.stack([np.bincount(clusters, weights=own - chance) / counts for chance in expected])
    value = float(each[0].mean())
    if len(places) < 2:
        return {"value": value, "low": None, "high": None}
    drawn = np.random.default_rng(SEED).integers(0, len(places), (_DRAWS, len(places)))
    often = np.stack([np.bincount(draw, minlength=len(places)) for draw in drawn]).astype(np.float64)
    means = np.einsum("dc,pc->pd", often, each) / len(places)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, (tail, 1 - tail), axis=1)
    return {"value": value, "low": min(value, float(low.min())), "high": max(value, float(high.max()))}


def _verdict(more: Estimate, clips: int) -> Literal["beats", "undecided", "does_not_beat"]:
    if clips < LEAST:
        return "undecided"
    if more["low"] is not None and more["low"] > 0:
        return "beats"
    return "does_not_beat" if more["high"] is not None and more["high"] <= 0 else "undecided"


@lru_cache(maxsize=256)
def _kept(probability: float, moments: int, rule: Sustain) -> tuple[float, ...]:
    return tuple(float(each) for each in first_alarms(probability, moments, rule))


def _stated(value: float) -> Estimate:
    return {"value": value, "low": None, "high": None}
