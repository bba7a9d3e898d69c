"""Rows that come in clusters, a clip with its repeats: how many independent rows would know a figure as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.rates import Floats

_NOTHING = 1e-18


def effective_rows(cells: Floats, value: Callable[[Floats], Any]) -> float:
    """How many independent rows would know a statistic as well as these, which come in clusters.

    Parameters
    ----------
    cells : rows per cluster (a clip with its repeats) and cell of the table, float [clusters, cells].
    value : the statistic of a table, unchanged when all cells are multiplied; defined for the sum of these.

    Returns
    -------
    The rows, where each cluster has one at most. Else the rows times the ratio of the statistic's linearised variance
    between rows to that between clusters, at least the clusters and at most the rows: the effective sample size of
    N. Dean and M. Pagano (2015), J. Surv. Stat. Methodol. 3(4), 484-503, for a statistic of any table.

    Examples
    --------
    Three repeats that all agree are one row; those that do not are more.

    >>> import numpy as np
    >>> def share(table):
    ...     return table[0] / table.sum()
    >>> effective_rows(np.array([[3.0, 0.0], [0.0, 3.0]]), share)
    2.0
    >>> effective_rows(np.array([[2.0, 1.0], [1.0, 2.0]]), share)
    6.0
    """
    sizes = cells.sum(axis=1)
    rows, clusters = float(sizes.sum()), float((sizes > 0).sum())
    if sizes.max(initial=0.0) <= 1.0:
        return rows
    shares = cells.sum(axis=0) / rows
    here, step = float(value(shares)), 1e-6
    slope = np.array([(float(value(shares + step * one)) - here) / step for one in np.eye(len(shares))])
    slope -= float(shares @ slope)
    between = float(((cells @ slope) ** 2).sum()) / rows
    within = float(shares @ slope**2)
    if between <= _NOTHING:
        return clusters
    return min(max(rows * within / between, clusters), rows)


def effective_values(values: Floats, at: npt.NDArray[np.int64]) -> float:
    """The same for the mean of one value a row.

    Parameters
    ----------
    values : float [rows], at least one. at : the cluster of each row, int [rows].

    Examples
    --------
    >>> import numpy as np
    >>> effective_values(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 0, 1, 1]))
    2.0
    """
    rows, clusters = float(len(values)), float(len(np.unique(at)))
    if rows == clusters:
        return rows
    apart = values - values.mean()
    between = float((np.bincount(at, weights=apart) ** 2).sum()) / rows
    if between <= _NOTHING:
        return clusters
    return min(max(rows * float((apart**2).mean()) / between, clusters), rows)
