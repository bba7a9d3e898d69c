"""Whether two models differ on the same clips, by how much, and how small a difference so many clips could show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.intervals import DRAWS, SEED, Estimate, Ints, draw_tables, drawn_rates, percentile
from ghostbench.scoring.rates import RATES, rates
from ghostbench.scoring.views import Bools

ALPHA = 0.05
POWER = 0.8


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """The exact two-sided McNemar p-value of `first_only` clips that only the first model got right, and `second_only`
    that only the second did; 1 if there are none.

    Binomial with p = 1/2 over the discordant clips (Q. McNemar (1947), Psychometrika 12, 153-157), by statsmodels.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    if first_only + second_only == 0:
        return 1.0
    return min(1.0, float(mcnemar([[0, first_only], [second_only, 0]], exact=True).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (S. Holm (1979), Scand. J. Stat. 6, 65-70), in the order given, by statsmodels."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), alpha=ALPHA, method="holm")[1]]


def paired_differences(first: Ints, second: Ints, positive: Bools) -> dict[str, Estimate | None]:
    """Every rate of the first model minus the second's, with a paired bootstrap interval; None where one is undefined.

    Parameters
    ----------
    first, second : tp, fp, fn, tn per clip, int [clips, 4], of the same clips in the same order.
    positive : the clips' stratum, bool [clips]. Each draw takes whole clips, with both models' answers.
    """
    values_a, values_b = rates(*first.sum(axis=0)), rates(*second.sum(axis=0))
    drawn = draw_tables(np.concatenate([first, second], axis=1), positive, DRAWS, SEED)
    drawn_a, drawn_b = drawn_rates(drawn[:, :4]), drawn_rates(drawn[:, 4:])
    found: dict[str, Estimate | None] = {}
    for name in RATES:
        value = float(values_a[name] - values_b[name])
        if math.isnan(value):
            found[name] = None
            continue
        low, high = percentile(drawn_a[name] - drawn_b[name]) or (None, None)
        found[name] = {"value": value, "low": low, "high": high}
    return found


@dataclass(frozen=True, slots=True)
class Power:
    """What so many clips could show, as differences in accuracy between 0 and 1; None where nothing could be shown.

    smallest_significant : the smallest observed difference with p <= .05, given how many clips were discordant.
    detectable : the smallest true difference that would come out significant four times in five.
    """

    n: int
    discordant: int
    smallest_significant: float | None
    detectable: float | None


def power(n: int, discordant: int) -> Power:
    """What n clips, `discordant` of them right for one model only, could show.

    `detectable` solves R. J. Connor's sample size for McNemar's test (Biometrics 43 (1987), 207-211) for the
    difference d: n = (z_alpha sqrt(q) + z_beta sqrt(q - d^2))^2 / d^2, q the share of discordant clips.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    needed = smallest_split(discordant)
    significant = None if needed is None else needed / n
    share = discordant / n if n else 0.0
    detectable = None
    if share > 0:
        z_alpha, z_beta = float(ndtri(1 - ALPHA / 2)), float(ndtri(POWER))

        def missing(d: float) -> float:
            return (z_alpha * math.sqrt(share) + z_beta * math.sqrt(max(share - d * d, 0.0))) ** 2 / (d * d) - n

        if missing(share) <= 0:
            detectable = float(brentq(missing, 1e-9, share))
    return Power(n, discordant, significant, detectable)


def smallest_split(discordant: int) -> int | None:
    """The smallest |b - c| with b + c = discordant whose exact McNemar test has p <= .05; None below six clips."""
    from scipy.special import bdtr

    fewer = np.arange(discordant // 2 + 1)
    significant = np.flatnonzero(2 * bdtr(fewer, discordant, 0.5) <= ALPHA) if discordant else np.array([], dtype=int)
    return None if not len(significant) else int(discordant - 2 * significant[-1])


def letters(names: Sequence[str], differ: Mapping[frozenset[str], bool]) -> dict[str, str]:
    """A compact letter display: two models share a letter unless they differ significantly.

    names : best first. differ : for each pair of names, whether they differ.

    The insert-and-absorb algorithm of H.-P. Piepho (2004), J. Comput. Graph. Stat. 13(2), 456-466.
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


def places(names: Sequence[str], differ: Mapping[frozenset[str], bool], value: Mapping[str, float]) -> dict[str, str]:
    """The range of places that a model may hold: models that are significantly better stand before it, those that are
    significantly worse behind it, and all others share with it. names : best first by value."""
    found = {}
    for name in names:
        others = [other for other in names if other != name and differ[frozenset({name, other})]]
        better = sum(value[other] > value[name] for other in others)
        worse = sum(value[other] < value[name] for other in others)
        first, last = 1 + better, len(names) - worse
        found[name] = str(first) if first == last else f"{first}–{last}"
    return found


def clip_scores(table: Ints) -> npt.NDArray[np.float64]:
    """The share of a clip's counted rows that were right, from tp, fp, fn, tn per clip; NaN where none counted."""
    right, total = table[:, 0] + table[:, 3], table.sum(axis=1)
    shares: npt.NDArray[np.float64] = np.divide(right, total, out=np.full(len(table), np.nan), where=total > 0)
    return shares


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else f"({place + 1})"
