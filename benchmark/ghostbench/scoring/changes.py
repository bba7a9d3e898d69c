"""What another wording, or frames that a probe changed, do to a model's rates: its row against the row it is of, on the
same clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from ghostbench.scoring.intervals import Ints, share
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.significance import clip_scores, holm, mcnemar_exact
from ghostbench.scoring.views import VIEWS, Basis, Bools, View, alarms, by_clip, cells
from ghostbench.scoring.wording_metrics import Change, Difference

BASES: Final[tuple[Literal["answered", "worst_case"], ...]] = ("answered", "worst_case")


@dataclass(frozen=True, slots=True)
class Said:
    """What a row says. rows : its predictions. answered : whether each is an answer of its own."""

    rows: pd.DataFrame
    answered: Bools

    def table(self, positive: Bools, view: View, basis: Basis) -> Ints:
        """tp, fp, fn, tn per clip, int [clips, 4]; all zero where the basis leaves the clip out."""
        at = self.rows["at"].to_numpy()
        found = cells(positive[at], alarms(self.rows["grade"], view), self.answered, basis)
        return by_clip(found, at, len(positive))


def change(one: Said, other: Said, positive: Bools) -> dict[View, Change]:
    """How a row differs from another, in both views.

    Parameters
    ----------
    one, other : two rows of the same clips and repeats. positive : whether each clip is a ghost probing.

    Returns
    -------
    By view and basis: `n` clips compared, `differences` of every rate, the first minus the second, paired by clip with
    95% intervals (`paired_differences`), `first_only` and `second_only`, clips on which only that one was right, and
    the exact McNemar `p`. And by view `verdict_changed`, the share of rows, answered by both, whose yes or no is not
    the same.

    Examples
    --------
    Two clips, both ghost probings; the second row misses one of them.

    >>> def said(*grades):
    ...     rows = pd.DataFrame({"at": [0, 1], "repeat": 0, "grade": grades})
    ...     return Said(rows, np.ones(2, dtype=bool))
    >>> found = change(said("ghost_probing", "normal"), said("ghost_probing", "ghost_probing"), np.array([True, True]))
    >>> found["strict"]["answered"]["differences"]["recall"]["value"], found["strict"]["verdict_changed"]["value"]
    (-0.5, 0.5)
    """
    return {view: _change(one, other, positive, view) for view in VIEWS}


def add_changes(models: Mapping[str, TableRow], said: Mapping[str, Said], positive: Bools) -> None:
    """Give each row of a probe or another wording its `change` against the row that it is of.

    `p_holm` is Holm's correction over all rows of a probe, or over all of another wording, of the same view and basis.

    >>> rows = {"m": {"probe": None, "variant": None, "of": None}, "m+dark": {"probe": "dark", "of": "m"}}
    >>> rows["m+dark"]["variant"] = None
    >>> said = Said(pd.DataFrame({"at": [0], "repeat": [0], "grade": ["normal"]}), np.ones(1, dtype=bool))
    >>> add_changes(rows, {"m": said, "m+dark": said}, np.array([False]))
    >>> "change" in rows["m"], rows["m+dark"]["change"]["strict"]["answered"]["p_holm"]
    (False, 1.0)
    """
    for kind in ("probe", "variant"):
        family = [row for name, row in models.items() if row[kind] and row["of"] in said and name in said]
        for name, row in models.items():
            if any(row is each for each in family):
                row["change"] = change(said[name], said[str(row["of"])], positive)
        for view in VIEWS:
            for basis in BASES:
                found = [row["change"][view][basis] for row in family]
                for each, p in zip(found, holm([one["p"] for one in found]), strict=True):
                    each["p_holm"] = p


def right_only(one: Ints, other: Ints) -> tuple[int, int]:
    """On how many clips only the first was right, and only the second (with repeats: right more often).

    >>> right_only(np.array([[1, 0, 0, 0], [0, 0, 1, 0]]), np.array([[0, 0, 1, 0], [0, 0, 1, 0]]))
    (1, 0)
    """
    better = clip_scores(one) - clip_scores(other)
    return int((better > 0).sum()), int((better < 0).sum())


def _change(one: Said, other: Said, positive: Bools, view: View) -> Change:
    answered, worst = (_difference(*(each.table(positive, view, basis) for each in (one, other))) for basis in BASES)
    changed = _verdict_changed(one, other, len(positive), view)
    return {"answered": answered, "worst_case": worst, "verdict_changed": changed}


def _difference(first: Ints, second: Ints) -> Difference:
    both = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    first, second = first[both], second[both]
    only = right_only(first, second)
    return {
        "n": len(first),
        "differences": paired_differences(first, second) if len(first) else None,
        "first_only": only[0],
        "second_only": only[1],
        "p": mcnemar_exact(*only),
    }


def _verdict_changed(one: Said, other: Said, clips: int, view: View) -> Estimate | None:
    yes = [_in_order(each, alarms(each.rows["grade"], view)) for each in (one, other)]
    answered = [_in_order(each, each.answered) for each in (one, other)]
    at = _in_order(one, one.rows["at"].to_numpy())
    both = answered[0] & answered[1]
    counted = np.stack([both & (yes[0] != yes[1]), both], axis=1).astype(np.int64)
    changed, sizes = by_clip(counted, at, clips).T
    return share(changed, sizes)


def _in_order(said: Said, values: Any) -> Any:
    """Values of each row in the order of clips and repeats."""
    order = np.lexsort((said.rows["repeat"].to_numpy(), said.rows["at"].to_numpy()))
    return values[order]
