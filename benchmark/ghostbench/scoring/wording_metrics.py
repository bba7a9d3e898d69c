"""`change` of a row of metrics.json, and its `wordings`, by type: what other words or a probe's frames do."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.views import Basis, View

Order = Literal["first", "second", "depends", "equal"] | None
"""Who is ahead; None where no wording gives both models an F1."""


class Difference(TypedDict):
    """One row against the row that it is of, on the clips of a basis. p_holm : over the family; see `add_changes`."""

    n: int
    differences: dict[str, Estimate | None] | None
    first_only: int
    second_only: int
    p: float
    p_holm: NotRequired[float]


class Change(TypedDict):
    """See `scoring.changes.change`, in one view."""

    answered: Difference
    worst_case: Difference
    verdict_changed: Estimate | None


class RateSpread(TypedDict):
    """A rate under each wording, and how far it moves; null where a wording leaves it undefined."""

    by_wording: dict[str, Estimate | None]
    lowest: str | None
    highest: str | None
    range: float | None
    sd: float | None


class Spread(TypedDict):
    """Of one model. same_verdict : the share of clips of which it says the same in every wording."""

    f1: RateSpread
    balanced_accuracy: RateSpread
    same_verdict: Estimate | None


class Variance(TypedDict):
    """Whose variance it is: `model`, `wording`, `both` and `clips`. of : how many of each were crossed."""

    of: dict[str, int]
    variances: dict[str, float]
    sds: dict[str, float]
    shares: dict[str, float | None]


class WordingTest(TypedDict):
    """Two models in one wording: the first's F1 minus the second's, and on how many clips only one was right."""

    f1: Estimate | None
    first_only: int
    second_only: int
    p: float
    p_holm: NotRequired[float]


class Ahead(TypedDict):
    """The wordings in which each is ahead."""

    first: list[str]
    second: list[str]


class Shown(TypedDict):
    """In how many wordings each is shown to be ahead."""

    first: int
    second: int


class PairOrder(TypedDict):
    """Two models: who is ahead in which wording."""

    first: str
    second: str
    by_wording: dict[str, WordingTest]
    ahead: Ahead
    order: Order
    shown: Shown


class WordingView(TypedDict):
    """One view. spread : by model. variance : null for one model. order : of every two models."""

    spread: dict[str, Spread]
    variance: Variance | None
    order: list[PairOrder]


class Wordings(TypedDict):
    """See `scoring.wordings.score_wordings`."""

    names: list[str]
    models: list[str]
    basis: Basis
    views: dict[View, WordingView]
