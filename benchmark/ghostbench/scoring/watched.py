"""A clip as a model watched it: its moments, what was said at them, and the window in which an alarm is a warning."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ghostbench.folder.lines import ClipLine, MomentLine
from ghostbench.label import Label
from ghostbench.outcomes import Outcome
from ghostbench.tasks.base import ALARMS
from ghostbench.tasks.sustain import AT_ONCE, Sustain


@dataclass(frozen=True, slots=True)
class Watched:
    """A clip as a model watched it.

    at : the clip's row. event : whether there is one. start_s, event_s : its window; None where the labels do not say.
    human_s : the lead of a person who saw the danger begin, seconds; None where the labels do not say.
    times_s, alarms, scores : by moment; a score is NaN where there is none. whole : whether every moment is answered.
    visible_s : from first sight to contact, seconds; None where the labels do not say both. gaps : by moment, whether
    nothing was said at it; () where something was at all. unasked_step_s : of a clip whose media failed, so that
    nothing could be asked, how far apart its moments would have been, seconds; None of all others. It has no moments,
    in `alarms` what a yardstick that looks at nothing says of it, is `whole` only where that is no alarm, and counts as
    wrong otherwise.
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
    visible_s: float | None = None
    gaps: tuple[bool, ...] = ()
    unasked_step_s: float | None = None

    @property
    def safe(self) -> bool:
        """Whether false alarms are counted: there is no event, and the clip was asked about or should have been."""
        return not self.event and bool(self.times_s or self.unasked_step_s)

    def alarms_at(self, threshold: float | None) -> Sequence[bool]:
        """Which moments alarm: those with such a score, or by grade where there is no threshold."""
        return self.alarms if threshold is None else [score >= threshold for score in self.scores]

    def first(self, alarms: Sequence[bool], rule: Sustain = AT_ONCE) -> float | None:
        """When the first alarm holds, seconds; None without one."""
        for place, time_s in enumerate(self.times_s):
            if sum(alarms[max(0, place - rule.n + 1) : place + 1]) >= rule.k:
                return time_s
        return None

    def peak(self, rule: Sustain = AT_ONCE) -> float:
        """The highest threshold at which an alarm holds at any moment; minus infinity where the clip is too short, and
        infinity where a moment has no answer."""
        if not self.whole:
            return math.inf
        back = (self.scores[max(0, place - rule.n + 1) : place + 1] for place in range(len(self.scores)))
        return max((sorted(seen)[-rule.k] for seen in back if len(seen) >= rule.k), default=-math.inf)

    def has_window(self, rule: Sustain = AT_ONCE) -> bool:
        """Whether an alarm can hold before the window and in it."""
        if not self.event or self.start_s is None or self.event_s is None:
            return False
        held_s = self._moment_s(rule.k)
        return held_s is not None and held_s < self.start_s and self._asked_in_window()

    def _asked_in_window(self) -> bool:
        """Whether a question falls into the window, or would have had the media not failed."""
        assert self.event_s is not None
        if self.unasked_step_s is not None:
            return self.in_window(self.unasked_step_s * math.floor(self.event_s / self.unasked_step_s + 1e-9))
        return any(self.in_window(time_s) for time_s in self.times_s)

    def asked_by(self, time_s: float) -> bool:
        """Whether there was a question by then, or would have been one had the media not failed."""
        first_s = self._moment_s(1)
        return first_s is not None and first_s <= time_s

    def _moment_s(self, number: int) -> float | None:
        """When the first, second, … question is, or would have been, seconds; None where there are fewer."""
        if self.unasked_step_s is not None:
            return number * self.unasked_step_s
        return self.times_s[number - 1] if number <= len(self.times_s) else None

    def in_window(self, time_s: float) -> bool:
        """Whether a first alarm then is a warning."""
        assert self.start_s is not None
        assert self.event_s is not None
        return self.start_s <= time_s <= self.event_s

    def lead_at(self, time_s: float) -> float:
        """Seconds from a first alarm then to the event, no more than a person has; 0 for what is no warning."""
        if not self.in_window(time_s):
            return 0.0
        assert self.event_s is not None
        return min(self.event_s - time_s, math.inf if self.human_s is None else self.human_s)

    def lead_s(self, alarm_s: float | None) -> float:
        """The lead of the first alarm that the model gave; 0 without one, and where an answer is missing."""
        return self.lead_at(alarm_s) if self.whole and alarm_s is not None else 0.0

    def true_lead_s(self, alarm_s: float | None) -> float:
        """The same, whatever a person has: where first sight is known exactly, any of it can be made use of."""
        if not self.warned(alarm_s):
            return 0.0
        assert self.event_s is not None
        assert alarm_s is not None
        return self.event_s - alarm_s

    def warned(self, alarm_s: float | None) -> bool:
        """Whether the first alarm that the model gave is a warning."""
        return self.whole and alarm_s is not None and self.in_window(alarm_s)

    def early(self, alarm_s: float | None) -> bool:
        """Whether the first alarm that the model gave comes before the window."""
        return self.whole and alarm_s is not None and self.start_s is not None and alarm_s < self.start_s

    def false_alarm(self, alarm_s: float | None) -> bool:
        """Of a safe clip, whether it counts as alarmed: where the model alarms, and where an answer is missing."""
        return alarm_s is not None or not self.whole

    def score_at(self, time_s: float) -> float | None:
        """The last score not later than that, or 1 and 0 for alarm and none where there are no scores."""
        if self.unasked_step_s is not None:
            return float(self.alarms[0]) if self.alarms else None
        seen = [place for place, moment in enumerate(self.times_s) if moment <= time_s]
        if not seen or not self.whole:
            return None
        score = self.scores[seen[-1]]
        return float(self.alarms[seen[-1]]) if math.isnan(score) else score

    def levels(self, yes: float = 1.0) -> tuple[float, ...]:
        """The scores; where there are none, `yes` for an alarm and 0 for none; NaN where nothing was said at all."""
        said = zip(self.alarms, self.scores, self.gaps or (False,) * len(self.times_s), strict=True)
        return tuple(s if gap or not math.isnan(s) else yes * a for a, s, gap in said)


def watched(rows: pd.DataFrame, clips: pd.DataFrame, moments_per_s: float | None = None) -> Iterable[Watched]:
    """A model's lines of predictions.jsonl, in order, with the windows that the clips' labels state.

    moments_per_s : how often the run asks; None where its task does not say: then clips whose media failed would have
        been asked as soon as most others were.
    """
    nothing = [None] * len(rows)
    columns = [rows.get(name, nothing) for name in ("moments", "outcome", "grade")]
    step_s = _step_s(clips, moments_per_s)
    for at, said, outcome, grade in zip(rows["at"], *columns, strict=True):
        clip = clips.iloc[at]
        lines: tuple[MomentLine, ...] = said if isinstance(said, tuple) else ()
        start_s, event_s, human_s = window_of(clip)
        questions = moments_of(clip["questions"])
        answered = outcome == Outcome.ANSWERED
        # A clip that is over before its first moment has a list without questions, and one asked as a whole an answer.
        made = isinstance(clip["questions"], tuple) or (answered and isinstance(clip.get("frames_sha256"), str))
        unasked = not lines and not made
        alarms = tuple(line.grade in ALARMS for line in lines) or (False,) * len(questions)
        whole = bool(lines) and all(line.outcome == Outcome.ANSWERED for line in lines)
        if unasked:
            whole = answered and grade not in ALARMS
            alarms = (grade in ALARMS,) if answered else ()
        yield Watched(
            at=int(at),
            event=clip["truth"] == "ghost_probing",
            start_s=start_s,
            event_s=event_s,
            human_s=human_s,
            times_s=tuple(line.moment_s for line in lines) or questions,
            alarms=alarms,
            scores=tuple(math.nan if line.score is None else line.score for line in lines)
            or (math.nan,) * len(questions),
            whole=whole,
            visible_s=_visible_s(clip),
            gaps=tuple(_is_gap(line) for line in lines) or (True,) * len(questions),
            unasked_step_s=step_s if unasked else None,
        )


def _is_gap(line: MomentLine) -> bool:
    return line.outcome != Outcome.ANSWERED and line.grade is None and line.score is None


def _step_s(clips: pd.DataFrame, moments_per_s: float | None) -> float | None:
    if moments_per_s is not None:
        return 1 / moments_per_s
    firsts = [asked[0] for questions in clips["questions"] if (asked := moments_of(questions))]
    return statistics.median(firsts) if firsts else None


def window_of(clip: Any) -> tuple[float | None, float | None, float | None]:
    """Of a row of clips.jsonl: when its window begins, when its event is, and the lead of a person, seconds; None for
    what the labels do not say."""
    label = clip["labels"] if isinstance(clip.get("labels"), Label) else Label()
    event_s = label.contact_s if label.contact_s is not None else _number(clip["truth_time_s"])
    start_s = label.first_visible_s if label.first_visible_s is not None else label.danger_s
    human_s = None if label.danger_s is None or event_s is None else max(0.0, event_s - label.danger_s)
    return start_s, event_s, human_s


def window_shown(line: ClipLine, rule: Sustain = AT_ONCE) -> dict[str, Any] | None:
    """The window of a clip for those who look at it: `start_s`, `event_s` (its end, which is in it), and whether it
    `counts`: an alarm in a window that is open when one can first hold tells nothing. None for a clip without an event,
    and where the labels state no window.

    >>> from ghostbench.folder.lines import QuestionLine
    >>> line = ClipLine(clip="a", truth="ghost_probing", truth_time_s=2.0, category=None, remark=None, duration_s=4.0,
    ...                 frame_indices=None, frame_times_s=None, decoder=None, frames_sha256=None,
    ...                 labels=Label(first_visible_s=2.0, contact_s=3.0),
    ...                 questions=tuple(QuestionLine(moment_s=at_s, frames_sha256=None) for at_s in (1.5, 2.5)))
    >>> window_shown(line)
    {'start_s': 2.0, 'event_s': 3.0, 'counts': True}
    """
    start_s, event_s, human_s = window_of({"labels": line.labels, "truth_time_s": line.truth_time_s})
    if line.truth != "ghost_probing" or start_s is None or event_s is None or start_s > event_s:
        return None
    times_s = moments_of(line.questions)
    nothing = (False,) * len(times_s), (math.nan,) * len(times_s)
    seen = Watched(0, True, start_s, event_s, human_s, times_s, *nothing, whole=False)
    return {"start_s": start_s, "event_s": event_s, "counts": seen.has_window(rule)}


def _visible_s(clip: Any) -> float | None:
    label = clip["labels"] if isinstance(clip.get("labels"), Label) else Label()
    known = label.first_visible_s is not None and label.contact_s is not None
    return label.contact_s - label.first_visible_s if known else None  # type: ignore[operator]


def moments_of(questions: Any) -> tuple[float, ...]:
    """When a clip is asked about, seconds, from its questions in clips.jsonl; () where it is asked about as a whole.

    >>> from ghostbench.folder.lines import QuestionLine
    >>> moments_of((QuestionLine(moment_s=0.5, frames_sha256=None), QuestionLine(moment_s=1.0, frames_sha256=None)))
    (0.5, 1.0)
    """
    if not isinstance(questions, tuple):
        return ()
    return tuple(question.moment_s for question in questions if question.moment_s is not None)


def asks_at_moments(clips: pd.DataFrame, moments_per_s: float | None) -> bool:
    """Whether a run asks at moments: its manifest says how often, or any clip was asked so.

    moments_per_s : `task.moments_per_s` of the manifest. It alone says so where all media failed; a task may ask at
        moments of its own, and then the questions alone do.
    """
    if "questions" not in clips:
        return False
    return moments_per_s is not None or any(moments_of(questions) for questions in clips["questions"])


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
