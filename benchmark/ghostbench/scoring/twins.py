"""What a run over twins shows: its pairs, and its answers by dose, for one model at a time.

Clips whose parameters name a `scene` and a `twin` have twins; `bench render` writes such datasets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ghostbench.scoring.dose_response import Floats, Level, pooled
from ghostbench.scoring.pairs import Bools, Pairs, both_right, find_pairs, score_pairs, share_by_scene
from ghostbench.scoring.twin_metrics import InLight, OnTwins, TwinMetrics
from ghostbench.scoring.views import VIEWS, View, alarms

Words = npt.NDArray[np.str_]

DOSES: Final = {
    "visible_s": "visible time before contact, s",
    "visible_m": "distance at first sight, m",
    "visible_px": "visible pixels, log10",
}
"""The doses, by the parameter that holds them, with their units."""
_LOGARITHMIC: Final = frozenset({"visible_px"})
LIGHT_DOSE: Final = "visible_s"
"""The dose against which answers are counted in each light apart."""
_LIGHTS: Final = ("day", "dusk", "night")
"""From much light to little; others follow by name."""


class Twins:
    """The twins among a run's clips."""

    def __init__(
        self, pairs: Pairs, positive: Bools, doses: Mapping[str, Floats], scenes: Words, lights: Words
    ) -> None:
        self.pairs, self._positive, self._doses, self._lights = pairs, positive, doses, lights
        self._scenes = np.unique(scenes, return_inverse=True)[1]

    @classmethod
    def among(cls, clips: pd.DataFrame) -> Twins | None:
        """The twins among these clips (of clips.jsonl); None where there are none."""
        known = [values if isinstance(values, Mapping) else {} for values in clips["parameters"]]
        positive = np.asarray(clips["truth"] == "ghost_probing")
        words = [[_word(values.get(name)) for values in known] for name in ("scene", "twin")]
        pairs = find_pairs(words[0], words[1], positive)
        if pairs is None:
            return None
        doses = {name: np.array([_dose(values, name) for values in known]) for name in DOSES}
        scenes, lights = (np.array([_word(values.get(name)) or "" for values in known]) for name in ("scene", "light"))
        return cls(pairs, positive, doses, scenes, lights)

    def score(self, rows: pd.DataFrame, answered: Bools) -> TwinMetrics:
        """`twins` of a row of metrics.json: `views` with the pairs of each view, and `doses`: for each dose the levels
        as `[dose, alarms, answers]`, and the twins' `false_alarms` and `twin_answers`, in the strict view. `lights`,
        where there are two or more, counts the clips of each apart: the `levels` of `LIGHT_DOSE`, the events'
        `answers`, and the rates `says_event` on them and `on_twins`, with intervals that cluster by scene."""
        views = {view: score_pairs(self.pairs, *self.answers(rows, answered, view)) for view in VIEWS}
        said, told = self.answers(rows, answered, "strict")
        everywhere = np.ones(len(self._positive), dtype=bool)
        on_twins = self._on_twins(said, told, everywhere)
        found: TwinMetrics = {
            "views": views,
            "doses": {name: {"levels": self._levels(name, said, told, everywhere)} for name in self._doses},
            "false_alarms": on_twins["false_alarms"],
            "twin_answers": on_twins["twin_answers"],
        }
        lights = sorted({str(light) for light in self._lights} - {""}, key=_by_light)
        if len(lights) > 1:
            found["lights"] = {light: self._in_light(self._lights == light, said, told) for light in lights}
        return found

    def _levels(self, dose: str, said: Bools, told: Bools, among: Bools) -> list[list[float]]:
        values = self._doses[dose]
        shown = self._positive & among & np.isfinite(values)
        levels = pooled(np.broadcast_to(values[:, None], told.shape)[shown][told[shown]], said[shown][told[shown]])
        return [[level.dose, level.alarms, level.answers] for level in levels]

    def _on_twins(self, said: Bools, told: Bools, among: Bools) -> OnTwins:
        twins = ~self._positive & self._in_a_pair & among
        return {"false_alarms": int((said & told)[twins].sum()), "twin_answers": int(told[twins].sum())}

    def _in_light(self, among: Bools, said: Bools, told: Bools) -> InLight:
        events, twins = self._positive & among, ~self._positive & self._in_a_pair & among
        return {
            "answers": int(told[events].sum()),
            "says_event": share_by_scene(said[events], told[events], self._scenes[events]),
            "on_twins": share_by_scene(said[twins], told[twins], self._scenes[twins]),
            "levels": self._levels(LIGHT_DOSE, said, told, among),
            **self._on_twins(said, told, among),
        }

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

    @property
    def opposite_scenes(self) -> npt.NDArray[np.int64]:
        """The scene of each pair of opposite truths, from 0."""
        return self.pairs.take(self.pairs.opposite).scene

    def right_on_both(self, rows: pd.DataFrame, answered: Bools, view: View) -> Bools:
        """Which pairs of opposite truths a model is right on both of, [pairs, repeats]; a non-answer is not right."""
        return both_right(self.pairs.take(self.pairs.opposite), *self.answers(rows, answered, view))


def levels_of(written: Sequence[Sequence[float]]) -> tuple[Level, ...]:
    """The levels that `Twins.score` wrote of a dose.

    >>> levels_of([[0.5, 3, 12]])
    (Level(dose=0.5, alarms=3, answers=12),)
    """
    return tuple(Level(float(each), int(alarmed), int(answers)) for each, alarmed, answers in written)


def _by_light(light: str) -> tuple[int, str]:
    return (_LIGHTS.index(light) if light in _LIGHTS else len(_LIGHTS), light)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _dose(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    if name in _LOGARITHMIC:
        return math.log10(value) if value > 0 else math.nan
    return float(value)
