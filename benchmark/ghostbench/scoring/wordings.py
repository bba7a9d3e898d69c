"""Models that were asked in several wordings: how far each one's score moves, whose variance that is, and whether the
order of two models hangs on it.

Every clip counts, and a missing answer is wrong: a wording that leads to none is the worse for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, Literal

import numpy as np

from ghostbench.scoring.changes import Said, right_only
from ghostbench.scoring.intervals import Ints, estimate_rates, share
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.significance import ALPHA, clip_scores, holm, mcnemar_exact
from ghostbench.scoring.variance import components
from ghostbench.scoring.views import VIEWS, Basis, Bools, View, alarms
from ghostbench.scoring.wording_metrics import (
    Ahead,
    Order,
    PairOrder,
    RateSpread,
    Spread,
    Variance,
    Wordings,
    WordingTest,
)
from ghostbench.tasks.wording import MAIN

BASIS: Final[Basis] = "worst_case"
RATES: Final[tuple[Literal["f1", "balanced_accuracy"], ...]] = ("f1", "balanced_accuracy")
"""The rates whose spread is told."""


def score_wordings(
    models: Mapping[str, TableRow], said: Mapping[str, Said], positive: Bools, variants: Sequence[str]
) -> Wordings | None:
    """`wordings` of metrics.json; None where no model was asked in all of several wordings.

    Parameters
    ----------
    models : the rows by name. said : what each says. positive : whether each clip is a ghost probing.
    variants : the names of the wordings beside the main one, in order.

    Returns
    -------
    `names` of the wordings, the main one first; `models`, those that were asked in all of them; and in each view
    `spread` (by model), `variance` (null for one model) and `order` (one entry for each two models).

    Examples
    --------
    Two clips, the first a ghost probing; in other words the model says yes to both.

    >>> import pandas as pd
    >>> def said(*grades):
    ...     return Said(pd.DataFrame({"at": [0, 1], "repeat": 0, "grade": grades}), np.ones(2, dtype=bool))
    >>> yes, no = "ghost_probing", "normal"
    >>> rows = {"m": {"variant": None, "of": None}, "m@bold": {"variant": "bold", "of": "m"}}
    >>> answers = {"m": said(yes, no), "m@bold": said(yes, yes)}
    >>> found = score_wordings(rows, answers, np.array([True, False]), ["bold"])
    >>> f1 = found["views"]["strict"]["spread"]["m"]["f1"]
    >>> f1["lowest"], f1["highest"], round(f1["range"], 3)
    ('bold', 'main', 0.333)
    """
    rows = _rows_by_model(models, variants)
    if not variants or not rows:
        return None
    found: Wordings = {"names": [MAIN, *variants], "models": list(rows), "basis": BASIS, "views": {}}
    for view in VIEWS:
        tables = {
            model: {wording: said[name].table(positive, view, BASIS) for wording, name in names.items()}
            for model, names in rows.items()
        }
        found["views"][view] = {
            "spread": {
                model: _spread(tables[model], _same_verdict(said, names, len(positive), view))
                for model, names in rows.items()
            },
            "variance": _variance(tables),
            "order": _order(tables),
        }
    return found


def _rows_by_model(models: Mapping[str, TableRow], variants: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each model that was asked in every wording the names of its rows, by wording, the main one first."""
    found: dict[str, dict[str, str]] = {}
    for name, row in models.items():
        if row["variant"] and row["of"] in models:
            found.setdefault(str(row["of"]), {MAIN: str(row["of"])})[str(row["variant"])] = name
    return {
        model: {wording: names[wording] for wording in (MAIN, *variants)}
        for model, names in found.items()
        if set(names) == {MAIN, *variants}
    }


def _spread(tables: Mapping[str, Ints], same_verdict: Estimate | None) -> Spread:
    """Each rate under each wording, and how far it moves between them."""
    rates = {wording: estimate_rates(table) for wording, table in tables.items()}
    f1, balanced_accuracy = (_moves({wording: each[rate] for wording, each in rates.items()}) for rate in RATES)
    return {"f1": f1, "balanced_accuracy": balanced_accuracy, "same_verdict": same_verdict}


def _moves(values: dict[str, Estimate | None]) -> RateSpread:
    """How far a rate moves between wordings. values : by wording."""
    known = {wording: each["value"] for wording, each in values.items() if each is not None}
    whole = len(known) == len(values)
    return {
        "by_wording": values,
        "lowest": min(known, key=lambda wording: known[wording]) if whole else None,
        "highest": max(known, key=lambda wording: known[wording]) if whole else None,
        "range": max(known.values()) - min(known.values()) if whole else None,
        "sd": float(np.std(list(known.values()), ddof=1)) if whole else None,
    }


def _same_verdict(said: Mapping[str, Said], names: Mapping[str, str], clips: int, view: View) -> Estimate | None:
    """The share of clips of which the model says the same, yes or no, in every wording and repeat; a missing answer is
    like no other."""
    same = np.ones(clips, dtype=np.bool_)
    first = np.full(clips, -1, dtype=np.int64)
    for name in names.values():
        rows, answered = said[name].rows, said[name].answered
        at, yes = rows["at"].to_numpy(), alarms(rows["grade"], view).astype(np.int64)
        for place, verdict, known in zip(at, yes, answered, strict=True):
            if first[place] == -1:
                first[place] = verdict
            same[place] &= bool(known) and first[place] == verdict
    return share(same.astype(np.int64), np.ones(clips, dtype=np.int64))


def _variance(tables: Mapping[str, Mapping[str, Ints]]) -> Variance | None:
    right = np.array([[clip_scores(table) for table in of_model.values()] for of_model in tables.values()])
    if min(right.shape) < 2:
        return None
    found = components(right)
    parts = {"model": found.model, "wording": found.wording, "both": found.both, "clips": found.clips}
    shape = dict(zip(("models", "wordings", "clips"), right.shape, strict=True))
    return {
        "of": shape,
        "variances": parts,
        "sds": {name: float(np.sqrt(value)) for name, value in parts.items()},
        "shares": found.shares,
    }


def _order(tables: Mapping[str, Mapping[str, Ints]]) -> list[PairOrder]:
    """For each two models who is ahead by F1 in each wording, and in how many the difference is shown.

    `p` is exact McNemar over right answers, `p_holm` adjusted over all pairs and wordings of the view.
    """
    found: list[tuple[str, str, dict[str, WordingTest]]] = []
    for first, second in combinations(tables, 2):
        by_wording: dict[str, WordingTest] = {}
        for wording, table in tables[first].items():
            other = tables[second][wording]
            only = right_only(table, other)
            f1 = paired_differences(table, other, ("f1",))["f1"]
            by_wording[wording] = {"f1": f1, "first_only": only[0], "second_only": only[1], "p": mcnemar_exact(*only)}
        found.append((first, second, by_wording))
    tests = [test for *_, by_wording in found for test in by_wording.values()]
    for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p_holm"] = p
    return [_pair_order(*each) for each in found]


def _pair_order(first: str, second: str, by_wording: dict[str, WordingTest]) -> PairOrder:
    """Who is ahead, where, and in how many wordings it is shown."""
    leads = {wording: each["f1"]["value"] for wording, each in by_wording.items() if each["f1"] is not None}
    ahead: Ahead = {
        "first": [wording for wording, lead in leads.items() if lead > 0],
        "second": [wording for wording, lead in leads.items() if lead < 0],
    }
    shown = [each for each in by_wording.values() if each["p_holm"] <= ALPHA]
    order: Order = "equal" if leads else None
    if ahead["first"] and ahead["second"]:
        order = "depends"
    elif ahead["first"] or ahead["second"]:
        order = "first" if ahead["first"] else "second"
    return {
        "first": first,
        "second": second,
        "by_wording": by_wording,
        "ahead": ahead,
        "order": order,
        "shown": {
            "first": sum(each["first_only"] > each["second_only"] for each in shown),
            "second": sum(each["first_only"] < each["second_only"] for each in shown),
        },
    }
