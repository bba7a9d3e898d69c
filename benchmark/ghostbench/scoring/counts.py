"""Counts over one model's rows: confusion matrix, outcomes, retries, fallbacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ghostbench.folder.lines import COLUMNS, NO_ANSWER
from ghostbench.outcomes import FALLS_BACK, Outcome
from ghostbench.records import TRUTHS
from ghostbench.scoring.account_metrics import AttemptCounts
from ghostbench.scoring.views import Bools

SECONDS_PER_HOUR = 3600


def own_answers(rows: pd.DataFrame, *, substitute: bool) -> Bools:
    """Whether each row holds an answer of the row's own.

    A substitute's answer counts in the row that is named for it, and in no other.

    rows : [n] predictions of one model. Returns bool [n].

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"grade": ["normal", None, "normal"], "answered_by": ["model", None, "substitute"]})
    >>> own_answers(rows, substitute=False).tolist()
    [True, False, False]
    """
    owner = "substitute" if substitute else "model"
    own = rows["answered_by"].isin([owner, "model"] if substitute else [owner])
    return np.asarray(rows["grade"].notna() & own, dtype=np.bool_)


def confusion(rows: pd.DataFrame, answered: Bools) -> dict[str, dict[str, int]]:
    """Rows per truth and grade, `no_answer` included; every cell is there.

    rows : [n] predictions of one model. answered : bool [n].

    >>> import numpy as np
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"truth": ["normal", "cut_in"], "grade": ["ghost_probing", "normal"]})
    >>> confusion(rows, np.array([True, False]))["cut_in"]
    {'ghost_probing': 0, 'potential_ghost_probing': 0, 'normal': 0, 'no_answer': 1}
    """
    said = np.where(answered, rows["grade"].astype(object).to_numpy(), NO_ANSWER)
    table = Counter(zip(rows["truth"].astype(object).to_numpy(), said, strict=True))
    return {truth: {grade: table[truth, grade] for grade in COLUMNS} for truth in TRUTHS}


def detection_rates(table: Mapping[str, Mapping[str, int]]) -> dict[str, float | None]:
    """The share of all rows that got each grade, whatever the truth; null for no rows.

    table : rows per truth and grade, as `confusion` gives them.

    >>> detection_rates({"normal": {"ghost_probing": 1, "potential_ghost_probing": 0, "normal": 2, "no_answer": 1}})
    {'ghost_probing': 0.25, 'potential_ghost_probing': 0.0, 'normal': 0.5, 'no_answer': 0.25}
    """
    total = sum(sum(row.values()) for row in table.values())
    return {grade: sum(row[grade] for row in table.values()) / total if total else None for grade in COLUMNS}


def outcomes(rows: pd.DataFrame) -> dict[str, int]:
    """Rows per final outcome, those that happened, in the order of `Outcome`.

    >>> import pandas as pd
    >>> outcomes(pd.DataFrame({"outcome": ["refused", "answered", "answered"]}))
    {'answered': 2, 'refused': 1}
    """
    counts = rows["outcome"].value_counts()
    return {str(o): int(counts[str(o)]) for o in Outcome if counts.get(str(o), 0)}


def attempt_counts(attempts: pd.DataFrame) -> AttemptCounts:
    """`attempts`, `retries` and `fallbacks` of one model.

    Every line of the ledger is a clip's first attempt, a retry with the same settings, or a step on the ladder, which
    follows a failure that leads to another rung. `fallbacks` counts by level the steps to it and the clips that began
    there. `attempt_outcomes` counts the lines by their own outcome.

    attempts : [lines] the ledger's lines of one model.

    >>> import pandas as pd
    >>> lines = {"clip": ["a"] * 3, "repeat": [0] * 3, "moment_s": [None] * 3, "attempt": [1, 2, 3],
    ...          "fallback_level": [0, 0, 1], "outcome": ["timed_out", "truncated", "answered"]}
    >>> found = attempt_counts(pd.DataFrame(lines))
    >>> found["attempts"], found["retries"], found["fallbacks"]
    (3, 1, {'1': 1})
    """
    unit = ["clip", "repeat", "moment_s"]
    ordered = attempts.sort_values([*unit, "attempt"], kind="stable")
    before = ordered.groupby(unit, sort=False, dropna=False)[["fallback_level", "outcome"]].shift()
    level, first = ordered["fallback_level"], before["fallback_level"].isna()
    step = ~first & ((level > before["fallback_level"]) | before["outcome"].isin(FALLS_BACK))
    steps = level[step | (first & (level > 0))].value_counts().sort_index()
    return {
        "attempts": len(attempts),
        "retries": int((~first & ~step).sum()),
        "fallbacks": {f"{key:.0f}": int(count) for key, count in steps.items()},
        "attempt_outcomes": outcomes(attempts),
    }


def false_alarms_per_hour(
    rows: pd.DataFrame, answered: Bools, alarm: Bools, duration_s: pd.Series[Any]
) -> float | None:
    """False alarms per hour of negative footage that the model answered for.

    Footage without an answer could raise no alarm and does not count. Null when there is none, or its length is not
    known for every clip. duration_s : per row, NaN where unknown.

    rows : [n] predictions of one model. answered, alarm : bool [n]. duration_s : float [n].

    >>> import numpy as np
    >>> import pandas as pd
    >>> rows, yes = pd.DataFrame({"truth": ["normal", "normal", "ghost_probing"]}), np.array([True, False, True])
    >>> false_alarms_per_hour(rows, np.array([True, True, True]), yes, pd.Series([900.0, 900.0, 900.0]))
    2.0
    """
    negative = np.asarray(rows["truth"] != "ghost_probing") & answered
    footage = duration_s.to_numpy()[negative]
    if not len(footage) or np.isnan(footage).any() or footage.sum() <= 0:
        return None
    return float((alarm & negative).sum() / (footage.sum() / SECONDS_PER_HOUR))
