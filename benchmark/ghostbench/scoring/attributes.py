"""Attributes of clips, labelled or given as parameters, as the parts of a split by which scores are shown."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ghostbench.label import COLUMNS, Scalar

MOST_WAYS = 24
"""Attributes by which a run is shown at most, in their order; those left out are named."""
MOST_PARTS = 8
"""Parts that an attribute has at most, beside the clips for which nobody states it."""
UNKNOWN, REST = "unknown", "all others"
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways to slice a split.

    parts : by attribute, `labels.NAME` or `parameters.NAME`, the part that each clip is in, ordered.
    left_out : attributes that differ between clips, and by which the split is not sliced: words that hardly come twice,
        and what is beyond `MOST_WAYS`.
    """

    parts: dict[str, pd.Categorical[Any]]
    left_out: tuple[str, ...]


def attribute_ways(clips: pd.DataFrame) -> Ways:
    """The ways to slice by what labels state and by parameters, those without a difference between clips left out.

    clips : lines of clips.jsonl, with the columns `labels` (`Label`) and `parameters` (mappings of scalars).

    >>> from ghostbench.label import Label
    >>> known = [{"light": "day", "lamps": True}, {"light": "night", "lamps": True}] * 2
    >>> ways = attribute_ways(pd.DataFrame({"labels": [Label()] * 4, "parameters": known}))
    >>> {name: list(parts) for name, parts in ways.parts.items()}
    {'parameters.light': ['day', 'night', 'day', 'night']}
    """
    columns: dict[str, list[Scalar | None]] = {
        f"labels.{name}": [getattr(label, name) for label in clips["labels"]] for name in COLUMNS
    }
    for name in dict.fromkeys(itertools.chain.from_iterable(clips["parameters"])):
        columns[f"parameters.{name}"] = [values.get(name) for values in clips["parameters"]]
    found: dict[str, pd.Categorical[Any]] = {}
    left_out = []
    for name, values in columns.items():
        if len(set(values)) < 2:
            continue
        parts = parts_of(values) if len(found) < MOST_WAYS else None
        if parts is None:
            left_out.append(name)
        else:
            found[name] = parts
    return Ways(found, tuple(left_out))


def parts_of(values: Sequence[Scalar | None]) -> pd.Categorical[Any] | None:
    """The part that each value is in, at most `MOST_PARTS` and those of clips without a value.

    Truth values and numbers of few kinds are parts by themselves; many numbers fall into four ranges of about as many
    clips; of many words the frequent ones are parts. None where that says nothing: where most values stand for a single
    clip.

    >>> list(parts_of(["night", None, "day", "day"]))
    ['night', 'unknown', 'day', 'day']
    >>> list(parts_of([0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9.5]).categories)
    ['under 2.25', '2.25 to 4.5', '4.5 to 6.75', 'from 6.75']
    >>> parts_of(["a child runs out", "plain driving", "a bus stands"]) is None
    True
    """
    parts = _parts(values)
    if parts is None:
        return None
    sizes = Counter(part for part, value in zip(parts, values, strict=True) if value is not None)
    shared = sum(clips for clips in sizes.values() if clips > 1)
    return parts if 2 * shared >= sum(sizes.values()) else None


def _parts(values: Sequence[Scalar | None]) -> pd.Categorical[Any] | None:
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known):
        named = [None if value is None else "yes" if value else "no" for value in values]
        return _categorical(named, ["yes", "no"])
    if all(isinstance(value, int | float) for value in known):
        return _numbers([None if value is None else float(value) for value in values])
    words = [None if value is None else _in_words(value) for value in values]
    count = Counter(word for word in words if word is not None)
    if len(count) <= MOST_PARTS:
        return _categorical(words, sorted(count))
    frequent = {word for word, clips in count.most_common(MOST_PARTS - 1) if clips > 1}
    if 2 * sum(count[word] for word in frequent) < len(known):
        return None
    return _categorical(
        [word if word is None or word in frequent else REST for word in words], [*sorted(frequent), REST]
    )


def _numbers(values: Sequence[float | None]) -> pd.Categorical[Any]:
    known = sorted(value for value in values if value is not None)
    kinds = sorted(set(known))
    if len(kinds) <= MOST_PARTS:
        return _categorical(
            [None if value is None else f"{value:.10g}" for value in values], (f"{v:.10g}" for v in kinds)
        )
    edges = sorted({float(_short(edge)) for edge in np.quantile(known, (0.25, 0.5, 0.75))})
    names = [
        f"under {_short(edges[0])}",
        *(f"{_short(low)} to {_short(high)}" for low, high in itertools.pairwise(edges)),
        f"from {_short(edges[-1])}",
    ]
    places = [None if value is None else int(np.searchsorted(edges, value, side="right")) for value in values]
    return _categorical([None if place is None else names[place] for place in places], names)


def _short(number: float) -> str:
    return f"{number:.4g}"


def _in_words(value: Scalar) -> str:
    text = " ".join(str(value).split()) or UNKNOWN
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _categorical(parts: Iterable[str | None], order: Iterable[str]) -> pd.Categorical[Any]:
    """The parts in this order, those of no clip left out, and `UNKNOWN` last."""
    named = [UNKNOWN if part is None else part for part in parts]
    there = set(named)
    return pd.Categorical(named, [part for part in dict.fromkeys((*order, UNKNOWN)) if part in there])
