"""What hangs on labels that are doubted: every rate and every place, whichever way those labels go.

These are bounds and no intervals: each is reached by some way of deciding the doubted labels, and none lies beyond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ghostbench.scoring.intervals import Ints
from ghostbench.scoring.metrics import LabelDoubt
from ghostbench.scoring.rates import RATES, Estimate, Floats, RateName, rates
from ghostbench.scoring.views import BASES, VIEWS, Basis, Bools, View, alarms, by_clip, cells

_BLOCK = 1 << 17
"""How many ways of deciding the labels are looked at together, about."""


def score_doubt(rows: pd.DataFrame, answered: Bools, truth_of_clip: Bools, doubted: Bools) -> LabelDoubt | None:
    """`label_doubt` of metrics.json for one model's predictions; None where no label is doubted.

    Returns
    -------
    `clips`, the doubted ones, and in `views`, for either view and every basis, each rate as `{value, low, high}`: as
    the labels stand, and the least and the largest that it can be; null where it is undefined as they stand.

    Examples
    --------
    Two alarms, one of them right, on clips whose second label is doubted.

    >>> rows = pd.DataFrame({"at": [0, 1], "grade": ["ghost_probing"] * 2})
    >>> found = score_doubt(rows, np.array([True, True]), np.array([True, False]), np.array([False, True]))
    >>> found["clips"], found["views"]["strict"]["answered"]["precision"]
    (1, {'value': 0.5, 'low': 0.5, 'high': 1.0})
    """
    if not doubted.any():
        return None
    at = rows["at"].to_numpy()
    n = len(truth_of_clip)
    found: dict[View, dict[Basis, dict[RateName, Estimate | None]]] = {}
    for view in VIEWS:
        alarm = alarms(rows["grade"], view)
        kinds = np.stack([answered & alarm, answered & ~alarm, ~answered], axis=1).astype(np.int64)
        said = by_clip(kinds, at, n)
        found[view] = {}
        for basis in BASES:
            table = by_clip(cells(truth_of_clip[at], alarm, answered, basis), at, n)
            found[view][basis] = rate_bounds(table, said, doubted, basis)
    return {"clips": int(doubted.sum()), "views": found}


def rate_bounds(table: Ints, said: Ints, doubted: Bools, basis: Basis) -> dict[RateName, Estimate | None]:
    """Every rate as the labels stand, and between what it lies whichever way the doubted ones go.

    Parameters
    ----------
    table : tp, fp, fn, tn per clip as the labels stand, int [clips, 4]. said : the clip's alarms, its answers without
        one, and its missing answers, int [clips, 3]. doubted : whether the clip's label is doubted.

    Returns
    -------
    Each rate as `{value, low, high}`; None where its denominator is zero as the labels stand. Ways of deciding that
    leave a rate without a denominator do not count.

    Examples
    --------
    Of four alarms two are right, and one of each kind is doubted: precision lies between 1/4 and 3/4.

    >>> import numpy as np
    >>> table = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    >>> said = np.array([[1, 0, 0]] * 4)
    >>> found = rate_bounds(table, said, np.array([True, False, True, False]), "answered")
    >>> found["precision"]
    {'value': 0.5, 'low': 0.25, 'high': 0.75}
    """
    fixed, open_ = table[~doubted].sum(axis=0), said[doubted]
    if basis == "answered":
        open_ = open_ * np.array([1, 1, 0])
    whole = open_.sum(axis=0)
    worst, best = dict.fromkeys(RATES, np.nan), dict.fromkeys(RATES, np.nan)
    for sums in _outermost(open_):
        alarm, quiet, missing = sums.T
        wrong, right = (missing, 0 * missing) if basis == "worst_case" else (0 * missing, missing)
        left = whole[2] - missing
        left_wrong, left_right = (left, 0 * left) if basis == "worst_case" else (0 * left, left)
        each = rates(
            fixed[0] + alarm + right,
            fixed[1] + (whole[0] - alarm) + left_wrong,
            fixed[2] + quiet + wrong,
            fixed[3] + (whole[1] - quiet) + left_right,
        )
        for name in RATES:
            worst[name] = np.fmin(worst[name], np.fmin.reduce(each[name]))
            best[name] = np.fmax(best[name], np.fmax.reduce(each[name]))
    stands = rates(*table.sum(axis=0))
    return {
        name: None
        if np.isnan(stands[name])
        else {"value": float(stands[name]), "low": float(worst[name]), "high": float(best[name])}
        for name in RATES
    }


def _outermost(clips: Ints) -> Iterator[Ints]:
    """Sums of alarms, quiet and missing answers over some choices of these clips as positives, int [sums, 3], among
    which are those at which each rate is least and largest. No block is empty.

    No rate falls when one more clip of nothing but alarms is positive, nor rises when one more of nothing but quiet
    answers is (the rate of false alarms the other way round). So at the ends all of the one kind are and none of the
    other, but where that leaves no positive or no negative at all: then one clip is decided otherwise than all others.

    clips : the three numbers of each, int [clips, 3].
    """
    kinds, counts = np.unique(np.append(clips, [[0, 0, 0]], axis=0), axis=0, return_counts=True)
    yield np.concatenate([kinds, clips.sum(axis=0) - kinds])
    plain = (kinds[:, 2] == 0) & ((kinds[:, 0] == 0) | (kinds[:, 1] == 0))
    alarms_, quiet, _ = counts[plain] @ kinds[plain]
    for most, sure in ((True, (alarms_, 0, 0)), (False, (0, quiet, 0))):
        for sums in _reachable(kinds[~plain], counts[~plain], most=most):
            yield sums + np.array(sure)


_NEVER = -(1 << 30)


def _reachable(kinds: Ints, counts: Ints, *, most: bool) -> Iterator[Ints]:
    """The sums of alarms, quiet and missing answers, int [sums, 3], over choices of clips of these kinds: for each
    number of answers and of missing ones that can be had, the choice with the most alarms, or the fewest.

    With these numbers fixed each rate goes one way with the alarms. Their number grows with the answers of these clips
    times their missing ones, so they come in blocks.

    kinds : the three numbers of a clip of each kind, int [kinds, 3]. counts : how many clips are of it.
    """
    sign = 1 if most else -1
    alarm, quiet, missing = counts @ kinds
    grid = np.full((alarm + quiet + 1, missing + 1), _NEVER, dtype=np.int32)
    grid[0, 0], reached = 0, np.array([1, 1])
    for place in np.argsort(kinds[:, 2], kind="stable"):  # the grid has one column until answers are missing
        each, left, step = kinds[place], int(counts[place]), 1
        while left:  # so many of a kind in steps of 1, 2, 4 … and the rest: each number of them can be put together
            taken = min(step, left)
            answers, lacking = taken * (each[0] + each[1]), taken * each[2]
            moved = grid[: reached[0], : reached[1]] + np.int32(sign * taken * each[0])
            into = grid[answers : answers + reached[0], lacking : lacking + reached[1]]
            np.maximum(into, moved, out=into)
            reached += (answers, lacking)
            left, step = left - taken, step * 2
    at_once = max(1, _BLOCK // grid.shape[1])
    for first in range(0, len(grid), at_once):
        block = grid[first : first + at_once]
        answers, lacking = np.nonzero(block > _NEVER // 2)
        if len(answers):
            of = sign * block[answers, lacking].astype(np.int64)
            yield np.stack([of, answers + first - of, lacking], axis=1)


@dataclass(frozen=True, slots=True)
class Lead:
    """By how much a model is ahead of another, in balanced accuracy over clips, and what its lead hangs on.

    value : as the labels stand. low, high : whichever way the doubted ones go.
    flips : how many labels, whichever they are, must be wrong before the other is ahead; None where no number does it.
    doubted_flips : how many of the doubted ones; None where all of them together do not.
    """

    value: float
    low: float
    high: float
    flips: int | None
    doubted_flips: int | None


def lead(ahead: Floats, positive: Bools, doubted: Bools) -> Lead | None:
    """What a model's lead on another hangs on.

    Parameters
    ----------
    ahead : per clip, the share of the model's answers that are alarms minus that of the other's, in [-1, 1].
    positive : whether the clip is a ghost probing. doubted : whether that is doubted.

    Returns
    -------
    None where there is no positive or no negative. All ways of deciding that leave clips of both kinds count, each
    number of flips is the least of all, and a tie is not yet a change of places.

    Examples
    --------
    The first finds three positives of four and the other one, both without false alarms. Were the two labels wrong on
    which only the first sounds the alarm, those would be its false alarms.

    >>> import numpy as np
    >>> ahead = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    >>> found = lead(ahead, np.arange(8) < 4, np.arange(8) == 0)
    >>> found.value, round(found.low, 3), found.high, found.flips, found.doubted_flips
    (0.25, 0.067, 0.25, 2, None)
    """
    positives, n = int(positive.sum()), len(positive)
    if positives in (0, n):
        return None
    value = float(_difference(ahead[positive].sum(), positives, ahead.sum(), n))
    return Lead(
        value=value,
        low=float(np.nanmin(_outermost_leads(ahead, positive, doubted, least=True))),
        high=float(np.nanmax(_outermost_leads(ahead, positive, doubted, least=False))),
        flips=_fewest(ahead, positive, np.ones(n, dtype=np.bool_)),
        doubted_flips=_fewest(ahead, positive, doubted),
    )


_TIE = 1e-12


def _fewest(ahead: Floats, positive: Bools, allowed: Bools) -> int | None:
    """The least number of allowed flips after which the difference is below zero.

    That is where the sum of `ahead` over the positives is below its mean times their number. Each flip changes that by
    an amount of its own: of so many flips those that lower it most are the best.
    """
    towards = np.where(positive, -1.0, 1.0)[allowed]
    own = ahead[allowed]
    order = np.argsort(towards * (own - ahead.mean()), kind="stable")
    inside = ahead[positive].sum() + np.cumsum(np.append(0.0, (towards * own)[order]))
    positives = positive.sum() + np.cumsum(np.append(0.0, towards[order]))
    below = np.flatnonzero(_difference(inside, positives, ahead.sum(), len(ahead)) < -_TIE)
    return int(below[0]) if len(below) else None


def _outermost_leads(ahead: Floats, positive: Bools, allowed: Bools, *, least: bool) -> Floats:
    """The smallest (or largest) difference for each number of positives that allowed flips can leave; NaN where one
    kind of clip is gone.

    For a given number of positives the difference grows with the sum over the positives of `ahead`. From the fewest
    flips that leave so many, one more of each kind is turned as long as the two together lower that sum (or raise it).
    """
    sign = 1.0 if least else -1.0
    gained = np.sort(sign * ahead[~positive & allowed])
    lost = np.sort(-sign * ahead[positive & allowed])
    more_positives = np.arange(-len(lost), len(gained) + 1)
    up, down = np.maximum(more_positives, 0), np.maximum(-more_positives, 0)
    turned, most = np.zeros_like(up), np.minimum(len(gained) - up, len(lost) - down)
    while (open_ := turned < most).any():  # by halves: what two more change ascends
        half = (turned + most) // 2
        lowers = np.zeros_like(open_)
        lowers[open_] = gained[(up + half)[open_]] + lost[(down + half)[open_]] < 0
        turned, most = np.where(lowers, half + 1, turned), np.where(open_ & ~lowers, half, most)
    changes = [np.append(0.0, np.cumsum(each)) for each in (gained, lost)]
    inside = ahead[positive].sum() + sign * (changes[0][up + turned] + changes[1][down + turned])
    return _difference(inside, positive.sum() + more_positives, ahead.sum(), len(ahead))


def _difference(inside: Any, positives: Any, whole: float, n: int) -> Floats:
    """Recall's and specificity's differences, halved: `inside` is the sum of `ahead` over so many positives."""
    positives = np.asarray(positives, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: npt.NDArray[np.float64] = (inside / positives - (whole - inside) / (n - positives)) / 2
    return np.where((positives > 0) & (positives < n), found, np.nan)


def places_under_doubt(
    leads: Mapping[tuple[str, str], Lead | None], names: Iterable[str]
) -> dict[str, tuple[int, int]]:
    """The best and the worst place of each model that the doubted labels can leave it.

    leads : for every ordered pair, the first's lead on the second. A place counts who is ahead under any one way of
    deciding, pair by pair: no way leads beyond these places, and the outermost need not be reached together.

    >>> sure, open_ = Lead(0.3, 0.1, 0.4, 5, None), Lead(0.1, -0.1, 0.2, 1, 1)
    >>> behind, maybe = Lead(-0.3, -0.4, -0.1, 0, 0), Lead(-0.1, -0.2, 0.1, 0, 0)
    >>> leads = {("a", "b"): open_, ("b", "a"): maybe, ("a", "c"): sure, ("c", "a"): behind}
    >>> places_under_doubt({**leads, ("b", "c"): sure, ("c", "b"): behind}, "abc")
    {'a': (1, 2), 'b': (1, 2), 'c': (3, 3)}
    """
    order = list(names)
    found = {}
    for name in order:
        others = [each for other in order if other != name and (each := leads[other, name]) is not None]
        always, ever = (sum(bound > _TIE for bound in bounds) for bounds in
                        ([each.low for each in others], [each.high for each in others]))  # fmt: skip
        found[name] = (1 + always, 1 + ever)
    return found
