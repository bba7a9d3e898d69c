"""Charts of a run over twins: what each model says by dose and by light."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import Final

import numpy as np

from ghostbench.report.columns import Rows
from ghostbench.report.drawing import MOST_CURVES, PALETTE, Drawn, figure_of, legend_below, named, note_on, short
from ghostbench.report.twin_tables import curves, lights_of
from ghostbench.scoring.twins import DOSES, levels_of

_LETTERS_ACROSS: Final = 32
"""Letters that stand side by side below a chart, in a column of a paper too."""


def twin_charts(rows: Rows, fits: bool) -> Iterable[tuple[str, Drawn]]:
    """The charts of these rows, as (description in words, chart); none without twins.

    fits : whether curves are fitted.
    """
    yield from _doses(rows, fits)
    yield from _by_light(rows)


def _doses(rows: Rows, fits: bool) -> Iterable[tuple[str, Drawn]]:
    """For each dose, the answers by dose and the curve of each model that has a threshold."""
    seen = [(name, row, curves(row, fits)) for name, row in rows.items() if "twins" in row][:MOST_CURVES]
    note = note_on([name for name, row in rows.items() if "twins" in row], rows, MOST_CURVES)
    for dose, title in DOSES.items():
        counted = [(name, levels_of(row["twins"]["doses"][dose]["levels"]), found[dose]) for name, row, found in seen]
        if not any(len(levels) > 1 for _, levels, _ in counted):
            continue
        figure, axes = figure_of(4.6, 3.2, title)
        for (name, levels, fit), colour in zip(counted, PALETTE, strict=False):
            at = [level.dose for level in levels]
            axes.scatter(at, [level.alarms / level.answers for level in levels], s=16, color=colour)
            threshold = fit.threshold if fit is not None else None
            if fit is None or threshold is None:
                axes.plot([], [], color=colour, label=f"{named(name, rows)}: none")
                continue
            fine = np.linspace(at[0], at[-1], 80)
            rise = [fit.at(float(each)) or 0.0 for each in fine]
            axes.plot(fine, rise, color=colour, label=f"{named(name, rows)} {threshold['value']:.2f}")
        axes.set_ylim(-0.04, 1.04)
        axes.set_ylabel("says ghost probing")
        legend_below(figure, title="threshold")
        yield (
            f"Share of clips with the event that are called ghost probing, against {title}; the lines are fitted."
            + note,
            Drawn(figure, f"dose-{dose}"),
        )


def _by_light(rows: Rows) -> Iterable[tuple[str, Drawn]]:
    """In each light, how often each model says that the event is there, and how often on the counterparts."""
    seen = [(name, by_light) for name, row in rows.items() if (by_light := lights_of(row))]
    if not seen:
        return
    lights = list(seen[0][1])
    figure, axes = figure_of(4.6, 3.2, "light")
    for place, ((name, counted), colour) in enumerate(zip(seen[:MOST_CURVES], PALETTE, strict=False)):
        said = [("o", colour, [each["says_event"] for each in counted.values()])]
        said += [("s", "none", [each["on_twins"] for each in counted.values()])]
        for marker, filled, shares in said:
            known = [(at, found) for at, found in enumerate(shares) if found is not None]
            at = [each + 0.08 * (place - (len(seen[:MOST_CURVES]) - 1) / 2) for each, _ in known]
            for x, (_, found) in zip(at, known, strict=True):
                if found["low"] is not None and found["high"] is not None:
                    axes.plot([x, x], [found["low"], found["high"]], color=colour, linewidth=1)
            label = named(name, rows) if marker == "o" else None
            values = [found["value"] for _, found in known]
            axes.plot(at, values, marker, color=colour, markerfacecolor=filled, markersize=4, label=label)
    room = max(8, _LETTERS_ACROSS // len(lights))
    axes.set_xticks(range(len(lights)), ["\n".join(wrap(short(light), room)) for light in lights])
    axes.set_xlim(-0.5, len(lights) - 0.5)
    axes.set_ylim(-0.04, 1.04)
    axes.set_ylabel("says ghost probing")
    legend_below(figure)
    yield (
        "Share of clips that are called ghost probing, by light: dots with the event, squares their counterparts."
        + note_on([name for name, _ in seen], rows, MOST_CURVES),
        Drawn(figure, "dose-light"),
    )
