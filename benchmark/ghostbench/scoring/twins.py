"""What a run over twins shows: its pairs, and its answers by dose, for one model at a time.

Clips whose parameters name a `scene` and a `twin` have twins; `bench render` writes such datasets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from ghostbench.scoring.dose_response import Floats, Level, pooled
from ghostbench.scoring.pairs import Bools, Pairs, both_right, find_pairs, score_pairs
from ghostbench.scoring.significance import mcnemar_exact
from ghostbench.scoring.views import VIEWS, View, alarms

DOSES: Final = {
    "visible_s": "visible time before contact, s",
    "visible_m": "distance at first sight, m",
    "visible_px": "visible pixels, log10",
}
"""The doses, by the parameter that holds them, with their units."""
_LOGARITHMIC: Final = frozenset({"visible_px"})


class Twins:
    """The twins among a run's clips."""

    def __init__(self, pairs: Pairs, positive: Bools, doses: Mapping[str, Floats]) -> None:
        self.pairs, self._positive, self._doses = pairs, positive, doses

    @classmethod
    def among(cls, clips: pd.DataFrame) -> Twins | None:
        """The twins among these clips (of clips.jsonl); None where there are none."""
        known = [values if isinstance(values, Mapping) else {} for values in clips["parameters"]]
        positive = np.asarray(clips["truth"] == "ghost_probing")
        words = [[_word(values.get(name)) for values in known] for name in ("scene", "twin")]
        pairs = find_pairs(words[0], words[1], positive)
        if pairs is None:
            return None
        return cls(pairs, positive, {name: np.array([_dose(values, name) for values in known]) for name in DOSES})

    def score(self, rows: pd.DataFrame, answered: Bools) -> dict[str, Any]:
        """`twins` of a row of metrics.json: `views` with the pairs of each view, and `doses`: for each dose the levels
        as `[dose, alarms, answers]`, and the twins' `false_alarms` and `twin_answers`, in the strict view."""
        views = {view: score_pairs(self.pairs, *self.answers(rows, answered, view)) for view in VIEWS}
        said, told = self.answers(rows, answered, "strict")
        twin_answers = int(told[~self._positive & self._in_a_pair].sum())
        false_alarms = int((said & told)[~self._positive & self._in_a_pair].sum())
        doses = {}
        for name, values in self._doses.items():
            shown = self._positive & np.isfinite(values)
            levels = pooled(np.broadcast_to(values[:, None], told.shape)[shown][told[shown]], said[shown][told[shown]])
            doses[name] = {"levels": [[level.dose, level.alarms, level.answers] for level in levels]}
        return {"views": views, "doses": doses, "false_alarms": false_alarms, "twin_answers": twin_answers}

    @property
    def _in_a_pair(self) -> Bools:
        inside = np.zeros(len(self._positive), dtype=bool)
        inside[self.pairs.first] = inside[self.pairs.second] = True
        return inside

    def answers(self, rows: pd.DataFrame, answered: Bools, view: View) -> tuple[Bools, Bools]:
        """Whether a model alarms, and whether it answered, [clips, repeats]."""
        at, repeat = rows["at"].to_numpy(), rows["repeat"].to_numpy()
        shape = (len(self._positive), int(repeat.max()) + 1 if len(repeat) else 1)
        said, told = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        told[at, repeat] = answered
        said[at, repeat] = alarms(rows["grade"], view)
        return said & told, told

    def right_on_both(self, rows: pd.DataFrame, answered: Bools, view: View) -> Bools:
        """Which pairs of opposite truths a model is right on both of, [pairs, repeats]; a non-answer is not right."""
        return both_right(self.pairs.take(self.pairs.opposite), *self.answers(rows, answered, view))


def pairs_p(first: Bools, second: Bools) -> float:
    """The exact McNemar p-value that two models are right on both of as many pairs, [pairs, repeats] each.

    >>> pairs_p(np.array([[True]] * 5), np.array([[False]] * 5))
    0.0625
    """
    return mcnemar_exact(int((first & ~second).sum()), int((second & ~first).sum()))


def levels_of(dose: Mapping[str, Any]) -> tuple[Level, ...]:
    """The levels that `Twins.score` wrote of a dose."""
    return tuple(Level(float(each), int(alarmed), int(answers)) for each, alarmed, answers in dose["levels"])


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _dose(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    if name in _LOGARITHMIC:
        return math.log10(value) if value > 0 else math.nan
    return float(value)
