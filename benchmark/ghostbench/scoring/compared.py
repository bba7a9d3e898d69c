"""How far an approximation of a model is from that model, as measured on the answers of a run that both gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ghostbench.scoring.account_metrics import ComparedWith

if TYPE_CHECKING:
    import pandas as pd

FACT = "compared_with"
"""The fact by which a model says what it is an approximation of."""
NOT_MEASURED = "not measured"
_LONGEST = 100


def stated(facts: Mapping[str, Any]) -> str | None:
    """What a model says that it is an approximation of; None for one that says nothing.

    >>> stated({"compared_with": "bfloat16"}), stated({"dtype": "bfloat16"}), stated({"compared_with": 16})
    ('bfloat16', None, None)
    """
    name = facts.get(FACT)
    return name if isinstance(name, str) and 0 < len(name) <= _LONGEST else None


def compared(attempts: pd.DataFrame, against: str) -> ComparedWith:
    """How far the answers of one row are from what the other model gave to the same requests.

    Parameters
    ----------
    attempts : the row's lines of the ledger. against : the other model's name.

    Returns
    -------
    `answers` that both gave; of these `changed_grades`, those for which another grade is the most likely, their share
    with a 95% interval (clustered by clip), and `largest_change`, the largest change of any grade's probability in any
    of them. Share and largest change are null where nothing was compared.

    Examples
    --------
    >>> import pandas as pd
    >>> lines = {"compared_with": ["bfloat16", "bfloat16", None], "grade_changed": [1.0, 0.0, float("nan")],
    ...          "score_change": [0.25, 0.01, float("nan")], "clip": ["a", "b", "c"]}
    >>> found = compared(pd.DataFrame(lines), "bfloat16")
    >>> found["answers"], found["changed_grades"], found["changed_share"]["value"], found["largest_change"]
    (2, 1, 0.5, 0.25)
    >>> compared(pd.DataFrame(lines), "float32")["largest_change"] is None
    True
    """
    from ghostbench.scoring.intervals import share

    lines = attempts[attempts["compared_with"] == against]
    by_clip = lines["grade_changed"].groupby(lines["clip"], sort=False)
    return {
        "against": against,
        "answers": len(lines),
        "changed_grades": int(lines["grade_changed"].sum()),
        "changed_share": share(by_clip.sum().to_numpy().astype("int64"), by_clip.size().to_numpy().astype("int64")),
        "largest_change": None if lines.empty else float(lines["score_change"].max()),
    }


def with_comparison(row: str, facts: Mapping[str, Any], attempts: pd.DataFrame) -> dict[str, Any]:
    """A row's facts, with how far it was measured to be from what it is an approximation of, or that it was not.

    attempts : the run's lines of the ledger. Facts of a model that is no approximation come back as they are.

    >>> import pandas as pd
    >>> none = {name: [None] for name in ("compared_with", "grade_changed", "score_change")}
    >>> lines = pd.DataFrame({"model": ["m"], "clip": ["a"], **none})
    >>> with_comparison("m", {"compared_with": "bfloat16", "load_s": 1.5}, lines)["changed_grade_rate"]
    'not measured'
    >>> with_comparison("m", {"load_s": 1.5}, lines)
    {'load_s': 1.5}
    """
    against = stated(facts)
    if against is None:
        return dict(facts)
    found = compared(attempts[attempts["model"] == row], against)
    share, largest = found["changed_share"], found["largest_change"]
    told: dict[str, Any] = {
        FACT: against,
        "compared_answers": found["answers"],
        "changed_grade_rate": NOT_MEASURED if share is None else share["value"],
        "largest_score_change": NOT_MEASURED if largest is None else largest,
    }
    return {**told, **{name: value for name, value in facts.items() if name not in told}}


def in_words(found: ComparedWith) -> str:
    """What stands beside the row everywhere.

    >>> in_words({"against": "bfloat16", "answers": 96, "changed_grades": 2, "changed_share": None,
    ...           "largest_change": 0.03125})
    'against bfloat16, of 96 answers 2 with another grade, a score changed by up to 0.031'
    """
    if not found["answers"] or found["largest_change"] is None:
        return f"how far from {found['against']}: {NOT_MEASURED}"
    return (
        f"against {found['against']}, of {found['answers']} answers {found['changed_grades']} with another grade, "
        f"a score changed by up to {found['largest_change']:.2g}"
    )
