"""95% intervals: Wilson's for shares, a stratified bootstrap of whole clips for everything else.

Every draw of the bootstrap keeps the number of positive and of negative clips, and takes a clip with all its repeats.
For counts this needs no resampling of rows: clips with equal counts are interchangeable, so the number of each kind of
clip in a draw is multinomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.rates import PROPORTIONS, RATES, Floats, rates

Z = 1.959964
"""The standard normal quantile of 97.5%, as every file states it."""
LEVEL = 0.95
DRAWS = 10_000
SEED = 20_000

Ints = npt.NDArray[np.int64]


class Estimate(TypedDict):
    """A value with its 95% interval; `low` and `high` are null where an interval cannot be had."""

    value: float
    low: float | None
    high: float | None


def wilson(hits: Any, n: Any) -> tuple[Floats, Floats]:
    """Wilson's score interval of `hits` out of `n`, numbers or arrays, possibly fractional; 0 <= hits <= n, n > 0.

    E. B. Wilson (1927), J. Am. Stat. Assoc. 22, 209-212; computed by statsmodels.
    """
    from scipy.special import ndtr
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(
        np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64), alpha=float(2 * ndtr(-Z)), method="wilson"
    )
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def share(hits: Ints, sizes: Ints) -> Estimate | None:
    """`shares` of one."""
    return shares([(hits, sizes)])[0]


def shares(parts: Sequence[tuple[Ints, Ints]]) -> list[Estimate | None]:
    """Shares over rows that come in clusters, with Wilson's intervals.

    Parameters
    ----------
    parts : for each share (hits, sizes), counts per cluster (a clip with its repeats), int [clusters], with
        0 <= hits <= sizes.

    Returns
    -------
    None where there are no rows. With one row a cluster this is Wilson's interval. With more, n is replaced by the
    effective sample size p(1-p)/V, V the linearised variance of the ratio between clusters, bounded by the number of
    clusters and of rows (N. Dean and M. Pagano (2015), J. Surv. Stat. Methodol. 3(4), 484-503): repeats that all
    agree give the interval of a single pass.
    """
    sizes = [_effective(hits, each) for hits, each in parts]
    known = [size for size in sizes if size is not None]
    if not known:
        return [None] * len(parts)
    p, n = np.array(known).T
    bounds = iter(zip(*wilson(p * n, n), strict=True))
    found: list[Estimate | None] = []
    for size in sizes:
        if size is None:
            found.append(None)
        else:
            low, high = next(bounds)
            found.append({"value": size[0], "low": float(low), "high": float(high)})
    return found


def _effective(hits: Ints, sizes: Ints) -> tuple[float, float] | None:
    """The share, and the number of independent rows that would know it as well; None where there are no rows."""
    n = int(sizes.sum())
    if n == 0:
        return None
    p = float(hits.sum() / n)
    clusters = int((sizes > 0).sum())
    if n == clusters:
        return p, float(n)
    variance = float((((hits - p * sizes) / n) ** 2).sum())
    return p, min(max(p * (1 - p) / variance, clusters), n) if variance > 0 else float(clusters)


def draw_tables(cells: Ints, positive: npt.NDArray[np.bool_], draws: int = DRAWS, seed: int = SEED) -> Ints:
    """Two-by-two tables of a stratified bootstrap.

    Parameters
    ----------
    cells : counts per clip, int [clips, k] (k = 4: tp, fp, fn, tn; any other counts resample alike).
    positive : the clip's stratum, bool [clips].

    Returns
    -------
    int [draws, k]: the sums over one resample of the clips, drawn with replacement within each stratum.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((draws, cells.shape[1]), dtype=np.int64)
    for stratum in (True, False):
        inside = cells[positive == stratum]
        if not len(inside):
            continue
        kinds, counts = np.unique(inside, axis=0, return_counts=True)
        total += rng.multinomial(len(inside), counts / len(inside), size=draws) @ kinds
    return total


def drawn_rates(tables: Ints) -> dict[str, Floats]:
    """Every rate of each draw's table, int [draws, 4].

    A draw in which all answers are alike has no association: its MCC counts as 0 (scikit-learn's convention), because
    leaving such draws out would cut the interval short on the side of chance.
    """
    found = rates(*tables.T)
    found["mcc"] = np.nan_to_num(found["mcc"], nan=0.0)
    return found


def percentile(values: Floats) -> tuple[float, float] | None:
    """The percentile interval of bootstrap draws; NaN draws (undefined there) are left out; None if all are."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def estimate_rates(cells: Ints, positive: npt.NDArray[np.bool_]) -> dict[str, Estimate | None]:
    """Every rate with its interval, from counts per clip as `draw_tables` takes them; None where it is undefined."""
    columns = dict(zip(("tp", "fp", "fn", "tn"), cells.T, strict=True))
    values = {name: float(value) for name, value in rates(*cells.sum(axis=0)).items()}
    parts = {}
    for name, (hit_cells, other_cells) in PROPORTIONS.items():
        hits = np.sum([columns[cell] for cell in hit_cells], axis=0)
        parts[name] = (hits, hits + np.sum([columns[cell] for cell in other_cells], axis=0))
    found: dict[str, Estimate | None] = dict(zip(parts, shares(list(parts.values())), strict=True))
    drawn: dict[str, Floats] | None = None
    for name in RATES:
        if name in PROPORTIONS:
            continue
        if np.isnan(values[name]):
            found[name] = None
            continue
        if drawn is None:
            drawn = drawn_rates(draw_tables(cells, positive))
        low, high = percentile(drawn[name]) or (None, None)
        found[name] = {"value": values[name], "low": low, "high": high}
    return {name: found[name] for name in RATES}
