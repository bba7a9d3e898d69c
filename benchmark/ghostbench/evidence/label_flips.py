"""What the order of models hangs on: the labels that are doubted, and how many labels would have to be wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from ghostbench.evidence.contenders import Contender, Field
from ghostbench.scoring.intervals import Ints
from ghostbench.scoring.label_doubt import Lead, lead, places_under_doubt
from ghostbench.scoring.rates import Floats
from ghostbench.scoring.views import VIEWS, Bools, View

TableOf = Callable[[Contender, View], Ints]
"""tp, fp, fn, tn per common clip over what the model answered."""


@dataclass(frozen=True, slots=True)
class PairLead:
    """What the first's lead on the second hangs on, over the `n` clips that both answered.

    doubted : of these, the clips with a doubted label. lead : None where not both kinds of clips are among them.
    """

    first: str
    second: str
    view: View
    n: int
    doubted: int
    lead: Lead | None


@dataclass(frozen=True, slots=True)
class Places:
    """Best and worst place of a ranked model, whichever way the doubted labels go."""

    name: str
    view: View
    best: int
    worst: int


def pair_leads(field: Field, table_of: TableOf) -> tuple[PairLead, ...]:
    """Every pair of models in both views, the one that is ahead first."""
    return tuple(
        _pair(field, one, other, view, table_of) for view in VIEWS for one, other in combinations(field.contenders, 2)
    )


def possible_places(field: Field, table_of: TableOf, ranked: Mapping[View, Sequence[str]]) -> tuple[Places, ...]:
    """Of the models that are ranked in each view, on the clips that all of these answered; none where none of those
    clips has a doubted label."""
    return tuple(each for view, names in ranked.items() for each in _places(field, table_of, view, names))


def _pair(field: Field, one: Contender, other: Contender, view: View, table_of: TableOf) -> PairLead:
    (has, said), (too, says) = _alarm_share(table_of(one, view)), _alarm_share(table_of(other, view))
    both = has & too
    doubted, positive, ahead = field.doubted[both], field.positive[both], (said - says)[both]
    found = lead(ahead, positive, doubted)
    if found is not None and found.value < 0:
        one, other, found = other, one, lead(-ahead, positive, doubted)
    return PairLead(one.name, other.name, view, int(both.sum()), int(doubted.sum()), found)


def _places(field: Field, table_of: TableOf, view: View, names: Sequence[str]) -> Iterator[Places]:
    shares = {one.name: _alarm_share(table_of(one, view)) for one in field.contenders if one.name in names}
    common = np.all([has for has, _ in shares.values()], axis=0) if shares else np.zeros(0, np.bool_)
    if not common.any() or not field.doubted[common].any():
        return
    doubted, positive = field.doubted[common], field.positive[common]
    leads = {
        (one, other): lead((shares[one][1] - shares[other][1])[common], positive, doubted)
        for one, other in permutations(shares, 2)
    }
    for name, (best, worst) in places_under_doubt(leads, shares).items():
        yield Places(name, view, best, worst)


def _alarm_share(table: Ints) -> tuple[Bools, Floats]:
    """Per clip whether the model answered, and the share of its answers that are alarms."""
    tp, fp, fn, tn = table.T
    answers = tp + fp + fn + tn
    return answers > 0, (tp + fp) / np.maximum(answers, 1)
