"""How far annotators agree beyond chance: Cohen's kappa for two, Krippendorff's alpha for any number with gaps.

Intervals are drawn as those of `ghostbench.scoring.draws`: how often each pattern of ratings occurs is taken for a draw
from unknown shares, a clip's ratings staying together, with so many rows of the prior on every pair of categories.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.draws import DRAWS, LEVEL, PRIORS, SEED, around, drawn_intervals
from ghostbench.scoring.rates import Estimate, Floats

FEWEST = 5
"""Clips from which on alpha of numbers has an interval."""


def cohen_kappa(table: npt.ArrayLike) -> Estimate | None:
    """Cohen's kappa of two raters (J. Cohen (1960), Educ. Psychol. Meas. 20(1), 37-46).

    Parameters
    ----------
    table : how often the first rater gave the row's category and the second the column's, [categories, categories].

    Returns
    -------
    None where chance agreement is 1: no rating, or a single category in use.

    Examples
    --------
    Two hundred cases in three categories: .70 agree, .41 by chance.

    >>> cohen_kappa([[88, 14, 18], [10, 40, 10], [2, 6, 12]])["value"].__round__(3)
    0.492
    >>> cohen_kappa([[5, 0], [0, 0]]) is None
    True
    """
    counts = np.asarray(table, dtype=np.float64)
    value = float(_kappa(counts.ravel())["kappa"])
    if np.isnan(value):
        return None
    low, high = around(value, drawn_intervals(counts.ravel(), _kappa)["kappa"])
    return {"value": value, "low": low, "high": high}


def nominal_alpha(ratings: Sequence[Sequence[int | None]], categories: int) -> Estimate | None:
    """Krippendorff's alpha for categories (K. Krippendorff (2011), Computing Krippendorff's alpha-reliability).

    Parameters
    ----------
    ratings : for each clip each rater's category, from 0, None where it gave none. categories : how many there are.

    Returns
    -------
    None where no clip has two ratings, or all of those that are held together are the same one category.

    Examples
    --------
    Example C of the paper: four observers, twelve units.

    >>> units = [[1, 1, None, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    ...          [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [None, 5, 5, 5], [None, None, 1, 1], [None, None, 3, None]]
    >>> found = nominal_alpha([[None if v is None else v - 1 for v in unit] for unit in units], 5)
    >>> round(found["value"], 3)
    0.743
    """
    kept = [[v for v in unit if v is not None] for unit in ratings]
    kept = [unit for unit in kept if len(unit) > 1]
    if not kept:
        return None
    counts = np.array([np.bincount(unit, minlength=categories) for unit in kept], dtype=np.float64)
    value = float(_nominal(np.ones((1, len(counts))), counts)[0])
    if np.isnan(value):
        return None
    rng = np.random.default_rng(SEED)
    pairs = np.eye(categories)[:, None] + np.eye(categories)[None, :]
    patterns, times = np.unique(counts, axis=0, return_counts=True)
    extended = np.concatenate([patterns, pairs.reshape(-1, categories)])
    low, high = np.inf, -np.inf
    for prior in PRIORS:
        shape = np.concatenate([times.astype(np.float64), np.full(categories**2, prior)])
        drawn = rng.standard_gamma(shape, size=(DRAWS, len(shape)))
        values = _nominal(drawn * len(counts) / drawn.sum(axis=1, keepdims=True), extended)
        bounds = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low, high = min(low, float(bounds[0])), max(high, float(bounds[1]))
    low, high = around(value, (low, high))
    return {"value": value, "low": low, "high": high}


def interval_alpha(ratings: Sequence[Sequence[float | None]]) -> Estimate | None:
    """Krippendorff's alpha for numbers, such as times.

    Parameters
    ----------
    ratings : for each clip each rater's number, None where it gave none.

    Returns
    -------
    None where no clip has two numbers, or all numbers are the same. The interval, of a Bayesian bootstrap over clips
    (D. B. Rubin (1981), Ann. Stat. 9(1), 130-134), is left out below `FEWEST` clips.

    Examples
    --------
    Example C of the paper, its categories read as numbers.

    >>> units = [[1, 1, None, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    ...          [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [None, 5, 5, 5], [None, None, 1, 1], [None, None, 3, None]]
    >>> round(interval_alpha(units)["value"], 3)
    0.849
    """
    units = [np.array([v for v in unit if v is not None], dtype=np.float64) for unit in ratings]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return None
    middle = float(np.concatenate(units).mean())  # alpha is the same for numbers that are all moved
    sums = np.array([[len(u), (u - middle).sum(), ((u - middle) ** 2).sum()] for u in units])
    within = np.array(
        [2 * (len(u) * (u**2).sum() - u.sum() ** 2) / (len(u) - 1) for u in (each - middle for each in units)]
    )
    value = float(_interval(np.ones((1, len(units))), sums, within)[0])
    if np.isnan(value):
        return None
    if len(units) < FEWEST:
        return {"value": value, "low": None, "high": None}
    rng = np.random.default_rng(SEED)
    drawn = rng.standard_exponential(size=(DRAWS, len(units)))
    values = _interval(drawn * len(units) / drawn.sum(axis=1, keepdims=True), sums, within)
    bounds = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = around(value, (float(bounds[0]), float(bounds[1])))
    return {"value": value, "low": low, "high": high}


def _kappa(tables: Floats) -> dict[str, Floats]:
    """Kappa of tables, float [categories squared, ...]; NaN where chance agreement is 1."""
    size = round(len(tables) ** 0.5)
    square = tables.reshape(size, size, *tables.shape[1:])
    total = square.sum(axis=(0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.trace(square) / total
        chance = (square.sum(axis=0) * square.sum(axis=1)).sum(axis=0) / total**2
        return {"kappa": np.where(1 - chance > 1e-12, (seen - chance) / (1 - chance), np.nan)}


def _nominal(weights: Floats, counts: Floats) -> Floats:
    """Alpha of units, float [draws], under weights [draws, units]; counts [units, categories]."""
    sizes = counts.sum(axis=1)
    apart = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)
    totals = weights @ counts
    values = totals.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (values**2 - (totals**2).sum(axis=1)) / (values - 1)
        return np.where(expected > 1e-12, 1 - (weights @ apart) / expected, np.nan)


def _interval(weights: Floats, sums: Floats, within: Floats) -> Floats:
    """Alpha of numbers, float [draws]: of each unit its size, sum and sum of squares, and its own disagreement."""
    size, total, squares = (weights @ sums).T
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = 2 * (size * squares - total**2) / (size - 1)
        return np.where(expected > 1e-12, 1 - (weights @ within) / expected, np.nan)
