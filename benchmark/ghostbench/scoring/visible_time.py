"""Leads by how long the road user can be seen, where labels say it: what is made of each glimpse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ghostbench.scoring.warning_metrics import OfVisible, VisibleTime
from ghostbench.scoring.watched import Watched
from ghostbench.tasks.sustain import Sustain

_MOST_TIMES: Final = 8
"""Times that are shown one by one; more fall into four ranges of about as many clips."""
Groups = Sequence[tuple[float, float, list[tuple[Watched, float | None]]]]


def by_visible_time(
    seen: Sequence[Watched],
    firsts: Sequence[float | None],
    rule: Sustain,
    measure: Callable[[list[tuple[Watched, float | None]]], OfVisible],
) -> list[VisibleTime]:
    """`by_visible_s` of `early_warning`: what `measure` gives for the clips with a window of each time, shortest first.

    seen, firsts : the clips as the model watched them, and when its first alarm holds.

    Returns
    -------
    For each group `from_s` and `to_s`, seconds from first sight to contact, and `clips`, beside what was measured; []
    where no clip's labels say both.
    """
    known = [(each, first) for each, first in zip(seen, firsts, strict=True) if each.has_window(rule)]
    known = [(each, first) for each, first in known if each.visible_s is not None]
    return [
        {"from_s": low, "to_s": high, "clips": len({each.at for each, _ in inside}), **measure(inside)}
        for low, high, inside in _groups(known)
    ]


def _groups(known: list[tuple[Watched, float | None]]) -> Groups:
    times = np.array([round(each.visible_s or 0.0, 2) for each, _ in known])
    distinct = np.unique(times)
    edges = distinct if len(distinct) <= _MOST_TIMES else np.unique(np.quantile(times, (0.25, 0.5, 0.75, 1.0)))
    place = np.searchsorted(edges, times)
    found = []
    for number in np.unique(place):
        inside = place == number
        pairs = [pair for pair, within in zip(known, inside, strict=True) if within]
        found.append((float(times[inside].min()), float(times[inside].max()), pairs))
    return found
