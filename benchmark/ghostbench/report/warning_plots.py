"""Charts of tasks that ask at moments: what each model said when, and what its leads cost in false alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ghostbench.report.data import RunData
from ghostbench.report.escape import plain
from ghostbench.scoring.early_warning import leads_by_rate
from ghostbench.scoring.watched import Watched, watched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLIPS = 6
"""The most clips whose answers are drawn over time."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart under its name, to be saved."""

    figure: Figure
    name: str


@dataclass(frozen=True, slots=True)
class Pens:
    """How charts are drawn here. figure : of a width and height, inches, and a title. colours : of models, in order.
    faint : of rules."""

    figure: Callable[[float, float, str], tuple[Figure, Axes]]
    colours: Sequence[str]
    faint: str


def warning_charts(run: RunData, names: Sequence[str], pens: Pens) -> Iterable[tuple[str, Drawn]]:
    """The charts of these models, as (description in words, chart); none for a task that looks at whole clips."""
    if not any(row["early_warning"] is not None for row in run.rows.values()):
        return
    shown = list(names)[: len(pens.colours)]
    seen = {name: list(watched(run.predictions[run.predictions["model"] == name], run.clips)) for name in shown}
    windows = dict.fromkeys(each.at for said in seen.values() for each in said if each.has_window())
    for at in list(windows)[:MOST_CLIPS]:
        yield _over_time(plain(run.clips["clip"].iloc[at]), {n: _of(said, at) for n, said in seen.items()}, pens)
    scored = {name: said for name, said in seen.items() if run.rows[name]["early_warning"]["by"] == "score"}  # type: ignore[index]
    if windows and scored:
        yield _leads(scored, pens)


def _of(said: Sequence[Watched], at: int) -> Watched:
    return next(each for each in said if each.at == at)


def _over_time(clip: str, said: Mapping[str, Watched], pens: Pens) -> tuple[str, Drawn]:
    """Scores over time, with the window shaded; a dot where a model's first alarm by grade lies."""
    figure, axes = pens.figure(5.2, 2.0, clip)
    axes.set(xlabel="seconds", ylabel="score", ylim=(-0.05, 1.05))
    for (name, each), colour in zip(said.items(), pens.colours, strict=False):
        levels = [float(a) if math.isnan(s) else s for a, s in zip(each.alarms, each.scores, strict=True)]
        axes.plot(each.times_s, levels, color=colour, drawstyle="steps-post", label=plain(name)[:24])
        first = each.first(each.alarms)
        if first is not None:
            axes.plot([first], [levels[each.times_s.index(first)]], "o", color=colour, markersize=4)
    window = next(iter(said.values()))
    assert window.start_s is not None
    assert window.event_s is not None
    axes.axvspan(window.start_s, window.event_s, color=pens.faint, alpha=0.15)
    axes.legend(loc="upper left")
    words = f"{clip}: score at each moment; the window from first visible to the event is shaded, dots are first alarms"
    return words, Drawn(figure, f"warning-{window.at}")


def _leads(said: Mapping[str, Sequence[Watched]], pens: Pens) -> tuple[str, Drawn]:
    """Mean lead against the share of safe clips with an alarm, over all thresholds."""
    figure, axes = pens.figure(3.6, 3.5, "Lead against false alarms")
    axes.set(xlabel="safe clips with an alarm", ylabel="mean lead, seconds", xlim=(-0.02, 1.02))
    for (name, each), colour in zip(said.items(), pens.colours, strict=False):
        points = leads_by_rate(each)
        axes.plot(
            [rate for rate, _ in points],
            [lead for _, lead in points],
            color=colour,
            drawstyle="steps-post",
            label=plain(name)[:24],
        )
    axes.axvline(0.1, color=pens.faint, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.legend(loc="upper left")
    words = "Mean lead, misses as 0, against the share of safe clips with an alarm; the dashed line is at 10%."
    return words, Drawn(figure, "warning-leads")
