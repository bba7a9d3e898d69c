"""Twins: whether a model tells a clip with the event from its counterpart that differs in one thing.

A clip as it is and a counterpart of another truth are a pair. A model is *right on both* if it alarms on the one and
not on the other: always saying yes, or never, is right on none, and a coin on a quarter. Repeats are pairs of their
own; intervals cluster by scene, since all pairs of a scene show the same street.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.intervals import share
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.significance import flipped_signs
from ghostbench.scoring.twin_metrics import Detection, PairRates, TwinView

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

AS_IS: Final = "as_is"
CHANCE: Final = 0.25
"""The share of pairs on which a coin is right on both."""
_Z: Final = 1.959964


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Clips and their counterparts, by their places among a run's clips; one row a pair.

    first : the clip as it is. second : its counterpart. scene : the number of the scene. twin : what differs.
    first_positive, second_positive : whether each shows the event.
    """

    first: Ints
    second: Ints
    scene: Ints
    twin: tuple[str, ...]
    first_positive: Bools
    second_positive: Bools

    def __len__(self) -> int:
        return len(self.first)

    @property
    def opposite(self) -> Bools:
        """Which pairs differ in their truth: those that can be told apart."""
        return np.asarray(self.first_positive != self.second_positive)

    def take(self, chosen: Bools) -> Pairs:
        """Only these pairs, (n,)."""
        twins = tuple(twin for twin, keep in zip(self.twin, chosen, strict=True) if keep)
        return Pairs(
            self.first[chosen],
            self.second[chosen],
            self.scene[chosen],
            twins,
            self.first_positive[chosen],
            self.second_positive[chosen],
        )


def find_pairs(scenes: Sequence[str | None], twins: Sequence[str | None], positive: Bools) -> Pairs | None:
    """The pairs among clips of which it is known to which scene they belong and which twin they are; None without any.

    >>> found = find_pairs(["a", "a", "b", None], ["as_is", "no_actor", "as_is", None], np.array([1, 0, 1, 0]) > 0)
    >>> found.first.tolist(), found.second.tolist(), found.twin
    ([0], [1], ('no_actor',))
    """
    known = list(enumerate(zip(scenes, twins, strict=True)))
    as_is = {scene: place for place, (scene, twin) in known if scene and twin == AS_IS}
    numbers = {scene: number for number, scene in enumerate(as_is)}
    rows = [
        (as_is[scene], place, numbers[scene], twin)
        for place, (scene, twin) in enumerate(zip(scenes, twins, strict=True))
        if scene in as_is and twin is not None and twin != AS_IS
    ]
    if not rows:
        return None
    first, second, scene_of, names = zip(*rows, strict=True)
    places = np.array(first), np.array(second)
    return Pairs(*places, np.array(scene_of), tuple(map(str, names)), positive[places[0]], positive[places[1]])


def score_pairs(pairs: Pairs, alarms: Bools, answered: Bools) -> TwinView:
    """What a model makes of the pairs.

    Parameters
    ----------
    alarms, answered : whether it alarms, and whether it answered at all, per clip and repeat, [clips, repeats].

    Returns
    -------
    Over the pairs of opposite truths: `pairs`, `scenes`, `rows` (pairs with their repeats), `answered` (rows in which
    both were answered), `both_right` and `flip_rate` (its answer differs between the two) over answered rows,
    `both_right_worst_case` over all rows (a pair with a non-answer counts as wrong), `alarm_only_on` `{event, twin}`
    and `mcnemar_p`, the exact test that alarms are as frequent on either side (`signs_by_scene`); `d_prime` and
    `criterion` (see `detection`); `by_twin` the same rates for each kind of counterpart. `same_truth`: `pairs` and
    `flip_rate` over the pairs whose truth is the same, such as mirror images. Null where there is nothing to divide by.

    Examples
    --------
    Two scenes; on the first the model tells the twins apart, on the second it alarms at both.

    >>> pairs = find_pairs(["a", "a", "b", "b"], ["as_is", "no_actor"] * 2, np.array([1, 0, 1, 0]) > 0)
    >>> said = np.array([[True], [False], [True], [True]])
    >>> found = score_pairs(pairs, said, np.ones((4, 1), dtype=bool))
    >>> found["both_right"]["value"], found["flip_rate"]["value"], found["alarm_only_on"]
    (0.5, 0.5, {'event': 1, 'twin': 0})
    """
    opposite, same = pairs.take(pairs.opposite), pairs.take(~pairs.opposite)
    both, differs = _both(same, answered), alarms[same.first] != alarms[same.second]
    of_twin = {
        twin: opposite.take(np.array([each == twin for each in opposite.twin], dtype=bool))
        for twin in sorted(set(opposite.twin))
    }
    return {
        **_rates(opposite, alarms, answered),
        "by_twin": {twin: _rates(each, alarms, answered) for twin, each in of_twin.items()},
        **detection(*_sides(opposite, alarms, answered)),
        "same_truth": {"pairs": len(same), "flip_rate": share_by_scene(differs & both, both, same.scene)},
    }


def both_right(pairs: Pairs, alarms: Bools, answered: Bools) -> Bools:
    """Which pairs of opposite truths, with their repeats, a model is right on both of, [pairs, repeats].

    alarms, answered : as `score_pairs` takes them.

    >>> pairs = find_pairs(["a", "a"], ["as_is", "no_actor"], np.array([True, False]))
    >>> both_right(pairs, np.array([[True, True], [False, True]]), np.ones((2, 2), dtype=bool)).tolist()
    [[True, False]]
    """
    right = alarms[pairs.first] == pairs.first_positive[:, None]
    right &= alarms[pairs.second] == pairs.second_positive[:, None]
    both: Bools = right & _both(pairs, answered)
    return both


def _rates(pairs: Pairs, alarms: Bools, answered: Bools) -> PairRates:
    both, right = _both(pairs, answered), both_right(pairs, alarms, answered)
    first, second = alarms[pairs.first], alarms[pairs.second]
    event = np.where(pairs.first_positive[:, None], first, second)
    twin = np.where(pairs.first_positive[:, None], second, first)
    event_only, twin_only = int((event & ~twin & both).sum()), int((twin & ~event & both).sum())
    return {
        "pairs": len(pairs),
        "scenes": len(np.unique(pairs.scene)),
        "rows": int(both.size),
        "answered": int(both.sum()),
        "both_right": share_by_scene(right, both, pairs.scene),
        "both_right_worst_case": share_by_scene(right, np.ones_like(both), pairs.scene),
        "flip_rate": share_by_scene((first != second) & both, both, pairs.scene),
        "alarm_only_on": {"event": event_only, "twin": twin_only},
        "mcnemar_p": signs_by_scene(event & both, twin & both, pairs.scene) if both.any() else None,
    }


def _both(pairs: Pairs, answered: Bools) -> Bools:
    both: Bools = answered[pairs.first] & answered[pairs.second]
    return both


def signs_by_scene(first: Bools, second: Bools, scene: Ints) -> float:
    """The exact p-value that either is as frequent, a scene's pairs and repeats taken together; 1 without a difference.

    Parameters
    ----------
    first, second : [pairs, repeats]. scene : the scene of each pair, from 0, (n,).

    Each scene's difference gets a random sign (`flipped_signs`): with one pair a scene and no repeats this is the exact
    McNemar test, and pairs that show one street do not count as so many.

    >>> one, none = np.array([[True]] * 6), np.array([[False]] * 6)
    >>> signs_by_scene(one, none, np.arange(6)), signs_by_scene(one, none, np.array([0, 0, 0, 1, 1, 1]))
    (0.03125, 0.5)
    """
    differences = (first.astype(np.float64) - second).sum(axis=1)
    return flipped_signs(np.bincount(scene, weights=differences).astype(np.float64)) if len(scene) else 1.0


def share_by_scene(hits: Bools, rows: Bools, scene: Ints) -> Estimate | None:
    """The share of hits among rows, with an interval that clusters by scene; None without rows.

    Parameters
    ----------
    hits, rows : [clips or pairs, repeats], every hit a row. scene : the scene of each, from 0, (n,).

    >>> share_by_scene(np.array([[True], [False]]), np.array([[True], [True]]), np.array([0, 0]))["value"]
    0.5
    """
    if not len(scene):
        return None
    count = int(scene.max()) + 1
    of_scene = [np.bincount(scene, weights=each.sum(axis=1), minlength=count).astype(np.int64) for each in (hits, rows)]
    return share(of_scene[0], of_scene[1])


def _sides(pairs: Pairs, alarms: Bools, answered: Bools) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
    """Alarms and answers by scene, on the clips with the event and on their counterparts, each clip once."""
    count = int(pairs.scene.max()) + 1 if len(pairs) else 0
    sides = []
    for positive in (True, False):
        firsts = pairs.first[pairs.first_positive == positive], pairs.scene[pairs.first_positive == positive]
        seconds = pairs.second[pairs.second_positive == positive], pairs.scene[pairs.second_positive == positive]
        places = np.concatenate([firsts[0], seconds[0]])
        unique, at = np.unique(places, return_index=True)
        scene = np.concatenate([firsts[1], seconds[1]])[at]
        hits = (alarms[unique] & answered[unique]).sum(axis=1)
        rows = answered[unique].sum(axis=1)
        sides.append(tuple(np.bincount(scene, weights=each, minlength=count).astype(np.int64) for each in (hits, rows)))
    return sides[0], sides[1]  # type: ignore[return-value]


def detection(event: tuple[Ints, Ints], twins: tuple[Ints, Ints]) -> Detection:
    """d' and criterion: how well the event is told from its counterparts, and how readily there is an alarm.

    Parameters
    ----------
    event, twins : alarms and answers by scene, (scenes,), on the clips with the event and on their counterparts.

    d' = z(H) - z(F) and c = -(z(H) + z(F)) / 2 with half an alarm added to each side's alarms and one to its answers,
    so that no rate is 0 or 1 (M. J. Hautus (1995), Behav. Res. Methods 27, 46-51). Intervals by the variance of A. S.
    Gourevitch and E. Galanter (1967), Psychometrika 32, 25-33, each side's answers scaled to as many as would be
    independent. None where a side has no answers.

    >>> found = detection((np.array([9, 9]), np.array([10, 10])), (np.array([1, 2]), np.array([10, 10])))
    >>> round(found["d_prime"]["value"], 2), round(found["criterion"]["value"], 2)
    (2.15, -0.11)
    """
    from scipy.special import ndtri
    from scipy.stats import norm

    scored, variances = [], []
    for hits, rows in (event, twins):
        whole = share(hits, rows)
        if whole is None:
            return {"d_prime": None, "criterion": None}
        n = float(rows.sum())
        rate = (float(hits.sum()) + 0.5) / (n + 1)
        independent = _independent(hits, rows)
        z = float(ndtri(rate))
        scored.append(z)
        variances.append(rate * (1 - rate) / (independent * float(norm.pdf(z)) ** 2))
    reach = _Z * math.sqrt(sum(variances))
    d_prime, criterion = scored[0] - scored[1], -(scored[0] + scored[1]) / 2
    return {
        "d_prime": {"value": d_prime, "low": d_prime - reach, "high": d_prime + reach},
        "criterion": {"value": criterion, "low": criterion - reach / 2, "high": criterion + reach / 2},
    }


def _independent(hits: Ints, rows: Ints) -> float:
    """As many independent answers as know the share as well: their number over what clustering by scene costs."""
    n, used = int(rows.sum()), rows > 0
    rate = hits.sum() / n
    variance = float((((hits[used] - rate * rows[used]) / n) ** 2).sum())
    clusters = int(used.sum())
    if n == clusters or variance <= 0 or not 0 < rate < 1:
        return float(clusters)
    return float(min(max(rate * (1 - rate) / variance, clusters), n))
