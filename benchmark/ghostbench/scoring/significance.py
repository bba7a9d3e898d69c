"""Whether two models differ on the same clips, by how much, and how small a difference so many clips could show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.draws import SEED
from ghostbench.scoring.intervals import Ints

ALPHA = 0.05
POWER = 0.8


@cache
def mcnemar_exact(first_only: int, second_only: int) -> float:
    """The exact two-sided McNemar p-value of `first_only` clips that only the first model got right, and `second_only`
    that only the second did; 1 if there are none.

    Binomial with p = 1/2 over the discordant clips (Q. McNemar (1947), Psychometrika 12, 153-157), by statsmodels.

    >>> mcnemar_exact(0, 5)
    0.0625
    """
    from statsmodels.stats.contingency_tables import mcnemar

    if first_only + second_only == 0:
        return 1.0
    return min(1.0, float(mcnemar([[0, first_only], [second_only, 0]], exact=True).pvalue))


def flipped_signs(differences: npt.NDArray[np.float64]) -> float:
    """The two-sided p-value of paired differences under random signs (R. A. Fisher (1935), The Design of Experiments,
    section 21): the share of all ways to sign them whose sum is as far from 0; 1 where all are 0.

    Exact over whole numbers, and over up to `_MOST_SIGNED` differences that are not 0; of more, 20 000 ways are drawn
    from a fixed seed, the one that was seen among them. Of differences of 1 it is the exact McNemar test.

    >>> import numpy as np
    >>> flipped_signs(np.array([0.5, 1.0, 0.25, 2.0, 0.0]))
    0.125
    >>> flipped_signs(np.array([1.0] * 5)) == mcnemar_exact(5, 0)
    True
    """
    apart = np.abs(differences[differences != 0])
    if not len(apart):
        return 1.0
    if (apart == np.round(apart)).all() and apart.sum() <= _MOST_COUNTED:
        return _flipped_counts(apart.astype(np.int64), abs(int(differences.sum())))
    seen = abs(float(differences.sum())) - 1e-9 * float(apart.sum())
    if len(apart) <= _MOST_SIGNED:
        sums = np.zeros(1)
        for each in apart:
            sums = np.concatenate([sums + each, sums - each])
        return float((np.abs(sums) >= seen).mean())
    signs = np.random.default_rng(SEED).integers(0, 2, (_SIGNED - 1, len(apart))) * 2 - 1
    return float((1 + (np.abs(signs @ apart) >= seen).sum()) / _SIGNED)


def _flipped_counts(apart: npt.NDArray[np.int64], seen: int) -> float:
    """The same of whole numbers > 0, from the distribution of their signed sum."""
    most = int(apart.sum())
    chance = np.zeros(2 * most + 1)
    chance[most] = 1.0
    for each in apart:
        chance = (np.roll(chance, each) + np.roll(chance, -each)) / 2
    return float(min(1.0, chance[np.abs(np.arange(-most, most + 1)) >= seen].sum()))


_MOST_SIGNED = 16
_MOST_COUNTED = 20_000
"""Whole differences of a larger sum are drawn."""
_SIGNED = 20_000


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (S. Holm (1979), Scand. J. Stat. 6, 65-70), in the order given.

    The smallest is multiplied by their number, the next by one less, and so on; none is below the one before it, or
    above 1. (statsmodels' function collects the garbage of the whole process at every call, a tenth of a second each.)

    >>> holm([0.04, 0.01])
    [0.04, 0.02]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1.0)
    return [float(p) for p in adjusted]


@dataclass(frozen=True, slots=True)
class Power:
    """What so many clips could show, as differences in accuracy between 0 and 1; None where nothing could be shown.

    level : the level that the smallest p-value of the family must reach, .05 over the number of its tests (Holm's first
        step, so that nothing else need be significant).
    smallest_significant : the smallest observed difference with p <= level, given how many clips were right for one
        model only.
    detectable : the smallest true difference that would come out significant four times in five.
    """

    level: float
    smallest_significant: float | None
    detectable: float | None


@cache
def power(n: int, discordant: int, family: int = 1) -> Power:
    """What n clips, `discordant` of them right for one model only, could show in a family of so many tests.

    `detectable` is the difference at which the exact test has the power: the number of discordant clips is binomial
    with the share that was seen, those for the first model are binomial among them, and both are summed (exact
    unconditional power of the conditional test: S. W. Duffy (1984), Biometrics 40, 1005-1015).

    Examples
    --------
    >>> found = power(200, 40)
    >>> print(f"{found.smallest_significant:.2f} {found.detectable:.3f}")
    0.07 0.091
    >>> power(5, 5).smallest_significant is None
    True
    """
    level = ALPHA / max(family, 1)
    needed = smallest_split(discordant, level)
    share = discordant / n if n else 0.0
    return Power(level, None if needed is None else needed / n, detectable_difference(n, share, level))


@cache
def detectable_difference(n: int, share: float, level: float = ALPHA) -> float | None:
    """`Power.detectable` of n clips, where each has a chance of `share`, in [0, 1], to be right for one model only;
    None where no difference would be found four times in five.

    >>> print(f"{detectable_difference(200, 0.2):.3f}", detectable_difference(5, 0.4))
    0.091 None
    """
    from scipy.optimize import brentq

    if share <= 0 or _found(share, n, share, level) < POWER:
        return None
    return float(brentq(lambda d: _found(d, n, share, level) - POWER, 0.0, share, xtol=1e-6))


def _found(difference: float, n: int, share: float, level: float) -> float:
    """The chance that the exact test of n clips is significant, for a true difference and share of discordant clips."""
    from scipy.special import bdtr
    from scipy.stats import binom

    middle, spread = n * share, math.sqrt(n * share * (1 - share))
    counts = np.arange(max(math.floor(middle - 8 * spread), 0), min(math.ceil(middle + 8 * spread), n) + 1)
    critical = _criticals(_rounded_up(n), level)[counts]
    for_first = min((share + difference) / (2 * share), 1.0)
    possible = critical >= 0
    fewer = np.where(possible, critical, 0)
    reached = np.where(possible, bdtr(fewer, counts, for_first) + bdtr(fewer, counts, 1 - for_first), 0.0)
    return float(binom.pmf(counts, n, share) @ reached)


def _rounded_up(count: int) -> int:
    """To a power of two, so that pairs of many different numbers of clips share what is kept."""
    return 1 << (count - 1).bit_length() if count > 0 else 0


@cache
def _criticals(most: int, level: float) -> npt.NDArray[np.int64]:
    """For 0 to `most` discordant clips, the most that may be for the worse model in a significant result; -1: none."""
    from scipy.special import bdtr
    from scipy.stats import binom

    counts = np.arange(most + 1)
    guess = binom.ppf(level / 2, counts, 0.5).astype(np.int64)
    guess[0] = 0
    over = 2 * bdtr(guess, counts, 0.5) > level
    critical: npt.NDArray[np.int64] = np.where(over, guess - 1, guess)
    return critical


def smallest_split(discordant: int, level: float = ALPHA) -> int | None:
    """The smallest |b - c| with b + c = discordant whose exact McNemar test has p <= level; None where none has.

    >>> [smallest_split(discordant) for discordant in (5, 6, 20)]
    [None, 6, 10]
    """
    critical = int(_criticals(_rounded_up(discordant), level)[discordant])
    return None if critical < 0 else discordant - 2 * critical


def letters(names: Sequence[str], differ: Mapping[frozenset[str], bool]) -> dict[str, str]:
    """A compact letter display: two models share a letter unless they differ significantly.

    names : best first. differ : for each pair of names, whether they differ.

    The insert-and-absorb algorithm of H.-P. Piepho (2004), J. Comput. Graph. Stat. 13(2), 456-466.

    >>> pairs = {frozenset("ab"): False, frozenset("ac"): True, frozenset("bc"): False}
    >>> letters(["a", "b", "c"], pairs)
    {'a': 'a', 'b': 'ab', 'c': 'b'}
    """
    groups: list[frozenset[str]] = [frozenset(names)]
    for pair, different in differ.items():
        if not different:
            continue
        one, other = sorted(pair)
        split: list[frozenset[str]] = []
        for group in groups:
            split += [group - {one}, group - {other}] if pair <= group else [group]
        groups = [
            group
            for place, group in enumerate(split)
            if not any(group < bigger for bigger in split) and group not in split[:place]
        ]
    order = {name: place for place, name in enumerate(names)}
    groups.sort(key=lambda group: sorted(order[name] for name in group))
    return {name: "".join(_letter(i) for i, group in enumerate(groups) if name in group) for name in names}


def places(names: Sequence[str], before: Mapping[tuple[str, str], bool]) -> dict[str, str]:
    """The range of places that each model may hold: those that stand before it come first, those that it stands before
    come last, and all others share with it.

    before : for each ordered pair of different names, whether the first stands before the second.

    >>> order = {("a", "b"): False, ("b", "a"): False, ("a", "c"): True, ("c", "a"): False,
    ...          ("b", "c"): False, ("c", "b"): False}
    >>> places(["a", "b", "c"], order)
    {'a': '1–2', 'b': '1–3', 'c': '2–3'}
    """
    found = {}
    for name in names:
        others = [other for other in names if other != name]
        first = 1 + sum(before[other, name] for other in others)
        last = len(names) - sum(before[name, other] for other in others)
        found[name] = str(first) if first == last else f"{first}–{last}"
    return found


def clip_scores(table: Ints) -> npt.NDArray[np.float64]:
    """The share of a clip's counted rows that were right, from tp, fp, fn, tn per clip; NaN where none counted.

    >>> import numpy as np
    >>> clip_scores(np.array([[2, 0, 1, 0], [0, 0, 0, 3]])).round(3).tolist()
    [0.667, 1.0]
    """
    right, total = table[:, 0] + table[:, 3], table.sum(axis=1)
    shares: npt.NDArray[np.float64] = np.divide(right, total, out=np.full(len(table), np.nan), where=total > 0)
    return shares


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else f"({place + 1})"
