"""How far raters agree: on what a clip shows, on when things happen, and on who comes from behind what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS
from ghostbench.labelling.raters import Rater
from ghostbench.labelling.rating import Rating
from ghostbench.records import TRUTHS
from ghostbench.scoring.intervals import share
from ghostbench.scoring.rates import Estimate
from ghostbench.scoring.reliability import cohen_kappa, interval_alpha, nominal_alpha

WITHIN_S = (0.25, 0.5, 1.0)
"""Times count as the same when they are no further apart."""
APART_S = 0.5
"""Further apart, two times of an event are a disagreement."""
EVENT = "event_s"
_SLACK_S = 1e-9
_YES = ("other", "ghost_probing")


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two raters on the `n` clips of which both say what they show.

    same : the share on which they say the same. kappa : Cohen's, None where chance alone would do it. confusion : the
    first's word by row, the second's by column.
    """

    first: str
    second: str
    n: int
    same: Estimate | None
    kappa: Estimate | None
    confusion: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class TimeAgreement:
    """Two raters on the `n` clips of which both state a time.

    median_s : of the distance, seconds. earlier_s : the median of the first's time minus the second's. within : by
    `WITHIN_S`, the share that is no further apart.
    """

    first: str
    second: str
    n: int
    median_s: float | None
    earlier_s: float | None
    within: Mapping[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class Categories:
    """Agreement on words: alpha of all raters with gaps, and every pair. clips : those with two raters or more."""

    clips: int
    alpha: Estimate | None
    pairs: tuple[PairAgreement, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """Agreement on a time, likewise."""

    clips: int
    alpha: Estimate | None
    pairs: tuple[TimeAgreement, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything that `bench agree` says.

    clips : those that any rater names. truth : over the three labels. ghost_probing : as scores take them, ghost
    probing or not. times, words : by column, where two raters say something of a clip. again : each rater that was
    asked twice, against itself. other_media : clips of which two raters looked at different files.
    """

    raters: tuple[Rater, ...]
    clips: int
    truth: Categories
    ghost_probing: Categories
    times: Mapping[str, Times]
    words: Mapping[str, Categories]
    again: tuple[Agreement, ...] = ()
    other_media: int = 0


def agree(raters: Sequence[Rater]) -> Agreement:
    """Compare raters clip by clip, and with themselves where they were asked twice.

    Raises `BadInput` where no clip has two ratings.
    """
    again = tuple(_compared([rater, _second(rater)]) for rater in raters if rater.again)
    if len(raters) < 2 and not again:
        raise BadInput("one annotator agrees with nobody: give the files of two or more")
    found = _compared(raters)
    if not again and not any(sum(clip in rater.ratings for rater in raters) > 1 for clip in _clips(raters)):
        raise BadInput("no clip is labelled twice: give files about the same clips")
    return replace(found, again=again, other_media=_seen_in_two_files(raters))


def _seen_in_two_files(raters: Sequence[Rater]) -> int:
    return sum(len({rater.media.get(clip) for rater in raters} - {None}) > 1 for clip in _clips(raters))


def differ(ratings: Sequence[Rating | None]) -> bool:
    """Whether annotators differ on a clip: on what it shows, or by more than `APART_S` on when."""
    said = [rating for rating in ratings if rating is not None and rating.truth is not None]
    times = [rating.event_s for rating in said if rating.event_s is not None]
    return len({rating.truth for rating in said}) > 1 or (len(times) > 1 and max(times) - min(times) > APART_S)


def _second(rater: Rater) -> Rater:
    return Rater(f"{rater.name}, asked again", rater.form, rater.again)


def _clips(raters: Sequence[Rater]) -> list[str]:
    return list(dict.fromkeys(clip for rater in raters for clip in rater.ratings))


def _compared(raters: Sequence[Rater]) -> Agreement:
    clips = _clips(raters)
    times = {EVENT: _times(raters, clips, lambda rating: rating.event_s)}
    words = {}
    for name, kind in COLUMNS.items():
        if kind == "seconds":
            times[name] = _times(raters, clips, lambda rating, name=name: getattr(rating.labels, name))  # type: ignore[misc]
        elif kind == "words" and name != "annotator":
            words[name] = _categories(raters, clips, lambda rating, name=name: _folded(getattr(rating.labels, name)))  # type: ignore[misc]
    return Agreement(
        raters=tuple(raters),
        clips=len(clips),
        truth=_categories(raters, clips, lambda rating: rating.truth, TRUTHS),
        ghost_probing=_categories(raters, clips, _yes, _YES),
        times={name: found for name, found in times.items() if found.clips},
        words={name: found for name, found in words.items() if found.clips},
    )


def _yes(rating: Rating) -> str | None:
    return None if rating.truth is None else _YES[rating.truth == "ghost_probing"]


def _folded(words: str | None) -> str | None:
    return None if words is None else words.casefold()


def _categories(
    raters: Sequence[Rater],
    clips: Sequence[str],
    said: Callable[[Rating], str | None],
    known: Sequence[str] | None = None,
) -> Categories:
    table = [[_of(rater, clip, said) for rater in raters] for clip in clips]
    names = list(known) if known is not None else sorted({word for row in table for word in row if word is not None})
    place = {name: number for number, name in enumerate(names)}
    coded = [[None if word is None else place[word] for word in row] for row in table]
    pairs = [
        _pair(raters[one].name, raters[other].name, [(row[one], row[other]) for row in coded], names)
        for one, other in combinations(range(len(raters)), 2)
    ]
    twice = sum(sum(word is not None for word in row) > 1 for row in coded)
    return Categories(twice, nominal_alpha(coded, len(names)), tuple(pair for pair in pairs if pair.n))


def _pair(
    first: str, second: str, rows: Sequence[tuple[int | None, int | None]], names: Sequence[str]
) -> PairAgreement:
    both = [(one, other) for one, other in rows if one is not None and other is not None]
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    for one, other in both:
        table[one, other] += 1
    return PairAgreement(
        first=first,
        second=second,
        n=len(both),
        same=_share([one == other for one, other in both]),
        kappa=cohen_kappa(table),
        confusion={name: dict(zip(names, map(int, row), strict=True)) for name, row in zip(names, table, strict=True)},
    )


def _times(raters: Sequence[Rater], clips: Sequence[str], said: Callable[[Rating], float | None]) -> Times:
    table = [[_of(rater, clip, said) for rater in raters] for clip in clips]
    pairs = []
    for one, other in combinations(range(len(raters)), 2):
        both = [(row[one], row[other]) for row in table]
        apart = np.array([a - b for a, b in both if a is not None and b is not None])
        if len(apart):
            pairs.append(_time_pair(raters[one].name, raters[other].name, apart))
    twice = sum(sum(time_s is not None for time_s in row) > 1 for row in table)
    return Times(twice, interval_alpha(table), tuple(pairs))


def _time_pair(first: str, second: str, apart: Any) -> TimeAgreement:
    return TimeAgreement(
        first=first,
        second=second,
        n=len(apart),
        median_s=float(np.median(np.abs(apart))),
        earlier_s=float(np.median(apart)),
        within={f"{limit:g}": _share(np.abs(apart) <= limit + _SLACK_S) for limit in WITHIN_S},
    )


def _of(rater: Rater, clip: str, said: Callable[[Rating], Any]) -> Any:
    rating = rater.ratings.get(clip)
    return None if rating is None else said(rating)


def _share(hits: Any) -> Estimate | None:
    flags = np.asarray(hits, dtype=np.int64)
    return share(flags, np.ones_like(flags)) if len(flags) else None
