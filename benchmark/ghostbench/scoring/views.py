"""The two readings of a grade as yes or no, over answered clips and with the missing answers all wrong or all right."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ghostbench.scoring.intervals import Ints, estimate_rates

View = Literal["strict", "lenient"]
Basis = Literal["answered", "worst_case", "best_case"]
VIEWS: tuple[View, ...] = ("strict", "lenient")
BASES: tuple[Basis, ...] = ("answered", "worst_case", "best_case")

POSITIVE: dict[View, tuple[str, ...]] = {
    "strict": ("ghost_probing",),
    "lenient": ("ghost_probing", "potential_ghost_probing"),
}
"""The grades that count as a yes."""

Bools = npt.NDArray[np.bool_]


def alarms(grades: pd.Series[Any], view: View) -> Bools:
    """Whether each grade is a yes in that view; False where there is no answer.

    grades : [n]. Returns bool [n].

    >>> import pandas as pd
    >>> alarms(pd.Series(["ghost_probing", "potential_ghost_probing", None]), "lenient").tolist()
    [True, True, False]
    """
    if isinstance(grades.dtype, pd.CategoricalDtype):
        # By category and not by row; a code of -1, for no grade, is the last.
        counted = [grade in POSITIVE[view] for grade in grades.cat.categories]
        return np.array([*counted, False])[grades.cat.codes.to_numpy()]
    return np.asarray(grades.isin(POSITIVE[view]), dtype=np.bool_)


def cells(positive: Bools, alarm: Bools, answered: Bools, basis: Basis) -> Ints:
    """Each row's place in the two-by-two table, int [rows, 4] of 0 and 1: tp, fp, fn, tn.

    A non-answer is no row of the table over answered clips; in the worst case it is wrong (fn where the truth is
    positive, fp where it is not), in the best case right (tp or tn): whatever the missing answers would have been, a
    rate lies between the two.

    Examples
    --------
    >>> import numpy as np
    >>> positive, alarm, answered = np.array([True, True]), np.array([True, False]), np.array([True, False])
    >>> for basis in BASES:
    ...     print(basis, cells(positive, alarm, answered, basis).sum(axis=0))
    answered [1 0 0 0]
    worst_case [1 0 1 0]
    best_case [2 0 0 0]
    """
    said = np.where(answered, alarm, positive if basis == "best_case" else ~positive)
    counted = answered if basis == "answered" else np.ones_like(answered)
    table = np.stack([positive & said, ~positive & said, positive & ~said, ~positive & ~said], axis=1)
    return (table & counted[:, None]).astype(np.int64)


def by_clip(rows: Ints, at: Ints, clips: int) -> Ints:
    """Sums of the rows' counts per clip, int [clips, k]; `at` says which clip a row belongs to.

    >>> import numpy as np
    >>> by_clip(np.array([[1, 0], [0, 1], [1, 0]]), np.array([0, 2, 2]), 3).tolist()
    [[1, 0], [0, 0], [1, 1]]
    """
    total = np.zeros((clips, rows.shape[1]), dtype=np.int64)
    np.add.at(total, at, rows)
    return total


def score_views(rows: pd.DataFrame, answered: Bools, truth_of_clip: Bools) -> dict[View, dict[Basis, Any]]:
    """`views` of metrics.json for one model's predictions.

    Parameters
    ----------
    rows : that model's predictions. answered : whether each row has an answer of the model's own.
    truth_of_clip : whether each clip of the split is a ghost probing.

    Examples
    --------
    >>> rows = pd.DataFrame({"at": [0, 1], "grade": ["potential_ghost_probing", None]})
    >>> found = score_views(rows, np.array([True, False]), np.array([True, False]))
    >>> [found[view]["worst_case"]["recall"]["value"] for view in VIEWS], found["lenient"]["worst_case"]["fp"]
    ([0.0, 1.0], 1)
    """
    at = rows["at"].to_numpy()
    positive = truth_of_clip[at]
    found: dict[View, dict[Basis, Any]] = {}
    for view in VIEWS:
        found[view] = {}
        alarm = alarms(rows["grade"], view)
        for basis in BASES:
            table = by_clip(cells(positive, alarm, answered, basis), at, len(truth_of_clip))
            counts = dict(zip(("tp", "fp", "fn", "tn"), (int(v) for v in table.sum(axis=0)), strict=True))
            found[view][basis] = {**counts, **estimate_rates(table)}
    return found
