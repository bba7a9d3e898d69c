"""Charts of tasks that ask at moments: when each model alarms, what it said when, and what its leads cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ghostbench.report.data import RunData
from ghostbench.report.drawing import FAINT, PALETTE, Drawn, figure_of, legend_below, named, note_on
from ghostbench.report.escape import plain
from ghostbench.scoring.alarm_thresholds import FALSE_ALARM_RATE, alarm_threshold, first_alarms_of, leads_by_rate
from ghostbench.scoring.chance_alarms import leads_by_chance
from ghostbench.scoring.warning_metrics import VisibleTime
from ghostbench.scoring.watched import Watched, watched
from ghostbench.tasks.sustain import Sustain

MOST_CLIPS = 12
"""The most clips whose answers are drawn over time, each in a chart of its own."""
MOST_LINES = 40
"""The most clips on the timeline of alarms."""
_NAME = 24


@dataclass(frozen=True, slots=True)
class _Told:
    """One model: its name in a legend, its clips by their place (with repeats: the first), when its first alarm holds,
    and from which score it alarms (None: by grade)."""

    name: str
    label: str
    rows: tuple[Watched, ...]
    by_clip: Mapping[int, tuple[Watched, float | None]]
    threshold: float | None


def warning_charts(run: RunData, names: Sequence[str]) -> Iterable[tuple[str, Drawn]]:
    """The charts of these models, as (description in words, chart); none for a task that looks at whole clips."""
    if not any(row["early_warning"] is not None for row in run.rows.values()):
        return
    rule = run.manifest.task.sustained
    told = [_told(run, name, rule) for name in list(names)[: len(PALETTE)]]
    if not told:
        return
    for words, drawn in _charts(run, told, rule):
        yield words + note_on(names, run.rows, len(PALETTE)), drawn


def _charts(run: RunData, told: Sequence[_Told], rule: Sustain) -> Iterable[tuple[str, Drawn]]:
    clips = [plain(str(clip)) for clip in run.clips["clip"]]
    asked = {at: each for at, (each, _) in told[0].by_clip.items() if each.times_s}
    windows = [at for at, each in asked.items() if each.has_window(rule)]
    if asked:
        yield _timeline(told, clips, [*windows, *(at for at in asked if at not in windows)], rule)
    for at in windows[:MOST_CLIPS]:
        yield _over_time(clips[at], at, told, len(windows))
    scored = [each for each in told if each.threshold is not None]
    if windows and scored:
        yield _leads(scored, rule)
    doses = {name: row["early_warning"]["by_visible_s"] for name, row in run.rows.items() if row["early_warning"]}
    if any(len(doses[each.name]) > 1 for each in told):
        yield _by_visible_time([(each.label, doses[each.name]) for each in told])


def _told(run: RunData, name: str, rule: Sustain) -> _Told:
    rows = tuple(watched(run.predictions[run.predictions["model"] == name], run.clips, run.manifest.task.moments_per_s))
    threshold = alarm_threshold(rows, rule)
    by_clip: dict[int, tuple[Watched, float | None]] = {}
    for each, first in zip(rows, first_alarms_of(rows, threshold, rule), strict=True):
        by_clip.setdefault(each.at, (each, first))
    return _Told(name, named(name, run.rows), rows, by_clip, threshold)


def _timeline(told: Sequence[_Told], clips: Sequence[str], places: Sequence[int], rule: Sustain) -> tuple[str, Drawn]:
    """One line a clip: its length, its window, and where each model's first alarm lies."""
    shown = places[:MOST_LINES]
    figure, axes = figure_of(5.2, 0.9 + 0.2 * len(shown), "First alarms")
    height = 0.7 / len(told)
    for line, at in enumerate(shown):
        each, _ = told[0].by_clip[at]
        axes.plot([0, each.times_s[-1]], [line, line], color=FAINT, linewidth=0.8)
        if each.has_window(rule) and each.start_s is not None and each.event_s is not None:
            axes.broken_barh([(each.start_s, each.event_s - each.start_s)], (line - 0.4, 0.8),
                             facecolor=FAINT, alpha=0.25)  # fmt: skip
    for number, (one, colour) in enumerate(zip(told, PALETTE, strict=False)):
        found = [(one.by_clip[at], line) for line, at in enumerate(shown) if at in one.by_clip]
        at_y = [(first, line - 0.35 + height * (number + 0.5)) for (_, first), line in found if first is not None]
        axes.plot([x for x, _ in at_y], [y for _, y in at_y], "o", color=colour, markersize=3.5, linestyle="none",
                  label=one.label)  # fmt: skip
    axes.set_yticks(range(len(shown)), [clips[at][:_NAME] for at in shown], fontsize=7)
    axes.set(xlabel="seconds", xlim=(0, None), ylim=(len(shown) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    legend_below(figure)
    more = f" {len(places) - len(shown)} more clips are not drawn." if len(places) > len(shown) else ""
    words = (
        "First alarm of each model in each clip, by its own threshold or by grade; the window of a warning is shaded, "
        "lines without one are safe clips, or clips whose window is not known or does not count. Where a model has no "
        "dot it gave no alarm, or no answer, which counts as wrong. Clips whose media failed are not drawn."
        f"{more}"
    )
    return words, Drawn(figure, "warning-timeline")


def _over_time(clip: str, at: int, told: Sequence[_Told], windows: int) -> tuple[str, Drawn]:
    """Scores over time, with the window shaded; a dot where a model's first alarm holds."""
    figure, axes = figure_of(5.2, 2.2, clip)
    axes.set(xlabel="seconds", ylabel="score", ylim=(-0.05, 1.05))
    window = None
    for one, colour in zip(told, PALETTE, strict=False):
        if at not in one.by_clip:
            continue
        each, first = one.by_clip[at]
        window = window or each
        levels = each.levels()
        axes.plot(each.times_s, levels, color=colour, drawstyle="steps-post", label=one.label)
        if first is not None:
            axes.plot([first], [levels[each.times_s.index(first)]], "o", color=colour, markersize=4)
    if window is not None and window.start_s is not None and window.event_s is not None:
        axes.axvspan(window.start_s, window.event_s, color=FAINT, alpha=0.3)
    legend_below(figure)
    more = f"; one of {windows} clips with a window" if windows > MOST_CLIPS else ""
    words = (
        f"{clip}: score at each moment (yes and no as 1 and 0), none where an answer is missing; the window is shaded, "
        f"dots are first alarms{more}."
    )
    return words, Drawn(figure, f"warning-{at}")


def _leads(told: Sequence[_Told], rule: Sustain) -> tuple[str, Drawn]:
    """Mean lead against the share of safe clips with an alarm, over all thresholds, and what chance makes of it."""
    figure, axes = figure_of(3.8, 3.6, "Lead against false alarms")
    axes.set(xlabel="safe clips with an alarm", ylabel="mean lead, seconds", xlim=(-0.02, 1.02))
    for one, colour in zip(told, PALETTE, strict=False):
        points = leads_by_rate(one.rows, rule)
        axes.plot(
            [rate for rate, _ in points],
            [lead for _, lead in points],
            color=colour,
            drawstyle="steps-post",
            label=one.label,
        )
    rates = np.linspace(0, 1, 21)
    chance = leads_by_chance(told[0].rows, [float(rate) for rate in rates], rule)
    axes.plot(rates, chance, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), label="alarms by chance")
    axes.axvline(FALSE_ALARM_RATE, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    legend_below(figure)
    words = (
        "Mean lead, misses as 0, against the share of safe clips with an alarm, over all thresholds; dotted: alarms by "
        "chance; the dashed line is at 10%."
    )
    return words, Drawn(figure, "warning-leads")


def _by_visible_time(doses: Sequence[tuple[str, Sequence[VisibleTime]]]) -> tuple[str, Drawn]:
    """Mean true lead against how long the road user can be seen before contact."""
    figure, axes = figure_of(4.6, 3.2, "Lead against visible time")
    longest = 0.0
    for (label, levels), colour in zip(doses, PALETTE, strict=False):
        points = [
            ((level["from_s"] + level["to_s"]) / 2, lead["value"])
            for level in levels
            if (lead := level["lead_s"]) is not None
        ]
        longest = max([longest, *(at for at, _ in points)])
        axes.plot([x for x, _ in points], [y for _, y in points], "o-", color=colour, markersize=4,
                  label=label)  # fmt: skip
    axes.plot([0, longest], [0, longest], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlabel="visible before contact, seconds", ylabel="mean lead, seconds")
    legend_below(figure)
    words = "Mean lead, misses as 0, against how long the road user can be seen; dashed: a warning at first sight."
    return words, Drawn(figure, "warning-visible")
