"""Whether a model beats the trivial baselines: the difference in F1 on the clips that it answered, and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ghostbench.scoring.intervals import Ints, estimate_rates
from ghostbench.scoring.metrics import BeatsTrivial, BesideBaseline, HeldAgainst, Verdict
from ghostbench.scoring.paired import paired_differences
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.views import VIEWS, Bools, View, alarms, by_clip, cells

LEAST = 20
"""With fewer answered clips nothing beats anything: a run of luck does too."""


def against_trivial(
    rows: pd.DataFrame, answered: Bools, trivial: Mapping[str, pd.DataFrame], positive: Bools
) -> BeatsTrivial:
    """`beats_trivial` of metrics.json for one model.

    Parameters
    ----------
    rows, answered : the model's predictions, and which of them hold an answer of its own.
    trivial : the baselines' predictions by name, one for each clip and repeat. positive : per clip.

    Returns
    -------
    clips : how many were answered, in any repeat. verdict : that of both views together, `overall`. Per view: the
    model's `f1`; the `best` baseline by F1 on the very rows that the model answered, with `best_f1`; `verdict`; and
    `baselines`, for each the `f1` and the `difference`, the model's F1 minus its own, with a paired interval; null
    where an F1 has no denominator.

    Examples
    --------
    A model that is right on forty clips, and `always`, which is right on half of them.

    >>> said = ["ghost_probing", "normal"] * 20
    >>> rows = pd.DataFrame({"at": range(40), "repeat": 0, "grade": said})
    >>> positive = np.array([True, False] * 20)
    >>> found = against_trivial(rows, positive | True, {"always": rows.assign(grade="ghost_probing")}, positive)
    >>> found["verdict"], found["strict"]["best"], round(found["strict"]["best_f1"], 3)
    ('beats', 'always', 0.667)
    """
    key = pd.MultiIndex.from_arrays([rows["at"].to_numpy(), rows["repeat"].to_numpy()])
    at, count = rows["at"].to_numpy(), len(positive)
    clips = int((np.bincount(at, weights=answered, minlength=count) > 0).sum())
    grades = {name: frame.set_index(["at", "repeat"])["grade"].loc[key] for name, frame in trivial.items()}
    found: dict[View, HeldAgainst] = {}
    for view in VIEWS:
        tables = {
            name: by_clip(cells(positive[at], alarms(said, view), answered, "answered"), at, count)
            for name, said in {"": rows["grade"], **grades}.items()
        }
        used = tables[""].sum(axis=1) > 0
        found[view] = held_against(tables.pop("")[used], {name: table[used] for name, table in tables.items()})
    verdict = overall(each["verdict"] for each in found.values())
    return {"clips": clips, "verdict": verdict, "strict": found["strict"], "lenient": found["lenient"]}


def held_against(own: Ints, trivial: Mapping[str, Ints]) -> HeldAgainst:
    """One view of `against_trivial`.

    Parameters
    ----------
    own, trivial : tp, fp, fn, tn per clip, int [clips, 4], of the model and of each baseline, on clips that both have.

    Examples
    --------
    Forty clips, half of them positive: the model is right on thirty-six, `always` has F1 2/3.

    >>> import numpy as np
    >>> cell = np.eye(4, dtype=int)
    >>> own = cell[[0] * 18 + [2] * 2 + [3] * 18 + [1] * 2]
    >>> found = held_against(own, {"always": cell[[0] * 20 + [1] * 20]})
    >>> found["verdict"], round(found["f1"], 2), round(found["best_f1"], 2)
    ('beats', 0.9, 0.67)
    >>> held_against(own[18:22], {"always": cell[[0] * 2 + [1] * 2]})["verdict"]
    'undecided'
    """
    baselines = {name: _beside(own, table) for name, table in trivial.items()}
    known = {name: each["f1"] for name, each in baselines.items() if each["f1"] is not None}
    best = max(known, key=lambda name: known[name]) if known else None
    estimate = estimate_rates(own)["f1"] if len(own) else None
    return {
        "f1": None if estimate is None else estimate["value"],
        "best": best,
        "best_f1": None if best is None else known[best],
        "verdict": _verdict(len(own), best, {name: each["difference"] for name, each in baselines.items()}),
        "baselines": baselines,
    }


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for several views: theirs where they agree, else undecided.

    >>> overall(["beats", "undecided"]), overall(["does_not_beat", "does_not_beat"])
    ('undecided', 'does_not_beat')
    """
    alike = set(verdicts)
    return alike.pop() if len(alike) == 1 else "undecided"


def _beside(own: Ints, trivial: Ints) -> BesideBaseline:
    if not len(own):
        return {"f1": None, "difference": None}
    f1 = estimate_rates(trivial)["f1"]
    return {"f1": None if f1 is None else f1["value"], "difference": paired_differences(own, trivial, ("f1",))["f1"]}


def _verdict(clips: int, best: str | None, differences: Mapping[str, Estimate | None]) -> Verdict:
    """Beats: better than every baseline by its interval. Does not beat: worse than the best one by its interval."""
    lows = [each["low"] for each in differences.values() if each is not None]
    if clips >= LEAST and lows and all(low is not None and low > 0 for low in lows):
        return "beats"
    against_best = None if best is None else differences[best]
    if against_best is not None and against_best["high"] is not None and against_best["high"] < 0:
        return "does_not_beat"
    return "undecided"
