"""`early_warning` of metrics.json, by type."""

from __future__ import annotations

from typing import Literal, TypedDict

from ghostbench.scoring.rates import Estimate


class Leads(TypedDict):
    """Seconds from a first alarm to the event; a lead without a warning is 0."""

    median: Estimate | None
    mean: Estimate | None


class Warnings(TypedDict):
    """Warnings and false alarms under a rule. threshold : the score from which there is an alarm, null by grade and
    where no score of safe clips may give one. early : a first alarm before the window."""

    threshold: float | None
    warned: Estimate | None
    early: Estimate | None
    false_alarms_per_clip: Estimate | None
    false_alarms_per_hour: Estimate | None
    lead_s: Leads


class ByChance(TypedDict):
    """See `scoring.chance_alarms.by_chance`."""

    alarms_per_moment: float
    warned: Estimate
    false_alarms_per_clip: Estimate
    false_alarms_per_hour: Estimate | None
    lead_s: Leads
    more_warned: Estimate
    more_lead_s: Estimate
    verdict: Literal["beats", "undecided", "does_not_beat"]


class OfVisible(TypedDict):
    """Of clips with a window: the share with a warning, and the mean lead, whatever a person has, seconds."""

    warned: Estimate | None
    lead_s: Estimate | None


class VisibleTime(OfVisible):
    """The same of the clips whose road user can be seen so long before contact, seconds. clips : how many."""

    from_s: float
    to_s: float
    clips: int


class Legacy(TypedDict):
    """See `scoring.anticipation.legacy`; without intervals."""

    mtta_s: Estimate | None
    tta_r80_s: Estimate | None


class Named(TypedDict):
    """Of the warnings by grade, the share whose words name what is labelled."""

    named: Estimate | None
    named_actor: Estimate | None
    named_occluder: Estimate | None


class EarlyWarning(Warnings, Named):
    """See `scoring.early_warning.early_warning`. ap_at : by milliseconds before the event. sustain : by rule."""

    moments_per_s: float | None
    rule: str
    clips_with_window: int
    safe_clips: int
    by: Literal["score", "grade"]
    false_alarm_rate: Estimate | None
    random: ByChance | None
    ap_at: dict[str, Estimate | None]
    ap_mean: Estimate | None
    sustain: dict[str, Warnings]
    by_visible_s: list[VisibleTime]
    legacy: Legacy
