"""Intervals by drawing tables from a Dirichlet distribution, for rates and differences without a closed form.

A table with counts x is taken for a draw from unknown shares, and the shares for Dirichlet(x + prior) given the table:
a Bayesian interval under a prior of so many rows in each cell. Jeffreys' prior is 1/2 a cell. Alone it misses too often
where hardly a cell but the right ones is filled (see `docs/what-the-numbers-mean.md` for what was measured), so the
interval is the hull of those under 1/2 and under 1/4. It always holds the value itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.rates import Floats

LEVEL = 0.95
DRAWS = 10_000
SEED = 20_000
PRIORS = (0.25, 0.5)
"""Rows that a cell is given before anything was seen, smallest first."""

_MOST_KEPT = 4096

Statistic = Callable[[Floats], Mapping[str, Floats]]
"""From tables, float [cells, ...] with any sum, to named values, float [...]; NaN where one is undefined."""


def drawn_intervals(counts: Floats, statistic: Statistic) -> Mapping[str, tuple[float, float]]:
    """The interval of each value of a statistic of a table, without the value itself being looked at.

    Parameters
    ----------
    counts : the table's cells, float [cells], >= 0, possibly fractional.
    statistic : a function of the module level; the intervals of a table are kept for the next caller.

    Returns
    -------
    For each name (low, high), the hull of the equal-tailed 95% intervals under either prior. The same at every call:
    the seed is fixed.

    Examples
    --------
    One cell's share of 3 of 10 rows; Jeffreys' interval alone, the quantiles of Beta(3.5, 7.5), is (.09, .61).

    >>> import numpy as np
    >>> def share(tables):
    ...     return {"share": tables[0] / tables.sum(axis=0)}
    >>> low, high = drawn_intervals(np.array([3.0, 7.0]), share)["share"]
    >>> print(f"{low:.2f} {high:.2f}")
    0.08 0.61
    """
    return _kept(tuple(float(count) for count in counts), statistic)


def around(value: float, interval: tuple[float, float]) -> tuple[float, float]:
    """The interval, widened where it does not hold the value itself.

    >>> around(1.0, (0.4, 0.97))
    (0.4, 1.0)
    """
    low, high = interval
    return min(low, value), max(high, value)


@lru_cache(maxsize=_MOST_KEPT)
def _kept(counts: tuple[float, ...], statistic: Statistic) -> Mapping[str, tuple[float, float]]:
    tail = (1 - LEVEL) / 2
    found: dict[str, tuple[float, float]] = {}
    for tables in _drawn(np.array(counts)):
        values = statistic(tables)
        bounds = np.quantile(np.stack(list(values.values())), [tail, 1 - tail], axis=1)
        for name, low, high in zip(values, *bounds, strict=True):
            before = found.get(name, (np.inf, -np.inf))
            found[name] = (min(before[0], float(low)), max(before[1], float(high)))
    return found


def _drawn(counts: Floats) -> tuple[Floats, Floats]:
    """Tables under the smaller and under the larger prior, float [cells, draws], not scaled to any sum.

    A gamma variate of the larger prior is one of the smaller plus an independent one of the difference, so both come
    from the same draws.
    """
    few, extra = _constant(len(counts))
    rng = np.random.default_rng(SEED)
    small = few.copy()
    filled = counts > 0
    small[filled] = rng.standard_gamma((counts[filled] + PRIORS[0])[:, None], size=(int(filled.sum()), DRAWS))
    return small, small + extra


@cache
def _constant(cells: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What does not depend on the counts: gamma variates of the smaller prior, and of the difference of the two."""
    rng = np.random.default_rng(SEED + 1)
    few = rng.standard_gamma(PRIORS[0], size=(cells, DRAWS))
    return few, rng.standard_gamma(PRIORS[1] - PRIORS[0], size=(cells, DRAWS))
