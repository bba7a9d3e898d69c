"""Alarms by who the model says emerged.

DADA-2000's labels name no actor, so the labels cannot be sliced by one; a model's own words can. A group's precision
says for which kinds of road user its alarms can be believed.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ghostbench.scoring.intervals import shares
from ghostbench.scoring.metrics import ActorAlarms
from ghostbench.scoring.slices import SMALL
from ghostbench.scoring.views import Bools, alarms

OTHER, UNSTATED = "other", "unstated"
_KINDS = (
    ("motorbike", r"motor ?-?(?:bike|cycle|cyclist|ist)\w*|scooters?|mopeds?|e-?bikes?|electric bikes?"),
    ("cyclist", r"cyclists?|bicycl\w*|bikes?|bikers?|tricycles?"),
    (
        "pedestrian",
        r"pedestrians?|child|children|kids?|boys?|girls?|persons?|people|m[ae]n|wom[ae]n|adults?|runners?|walkers?",
    ),
    ("vehicle", r"cars?|vans?|truck\w*|lorr\w+|bus(?:es)?|taxis?|vehicles?|suvs?|sedans?|minivans?|tractors?"),
)
_PATTERNS = tuple((kind, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for kind, words in _KINDS)
_RIDDEN = {"motorbike": 0, "cyclist": 1}
KINDS = (*(kind for kind, _ in _KINDS), OTHER, UNSTATED)


def actor_kind(words: str | None) -> str:
    """The kind of road user that the words name first; a rider goes by what is ridden, whoever rides.

    >>> [actor_kind(words) for words in ("a child", "man on a bicycle", None)]
    ['pedestrian', 'cyclist', 'unstated']
    """
    if not words or not words.strip():
        return UNSTATED
    found = [(match.start(), kind) for kind, pattern in _PATTERNS if (match := pattern.search(words))]
    ridden = [kind for _, kind in found if kind in _RIDDEN]
    if ridden:
        return min(ridden, key=lambda kind: _RIDDEN[kind])
    return min(found)[1] if found else OTHER


_OCCLUDERS = (
    ("plants", r"hedges?|bush(?:es)?|shrubs?|trees?|plants?|greenery|vegetation|foliage"),
    (
        "structure",
        r"walls?|buildings?|houses?|fences?|barriers?|pillars?|poles?|corners?|bridges?|stalls?|booths?|kiosks?",
    ),
    ("terrain", r"crests?|hills?|slopes?|rises?|bends?|curves?|embankments?"),
    (
        "vehicle",
        r"(?:mini|moving)?vans?|cars?|trucks?|lorr(?:y|ies)|bus(?:es)?|taxis?|vehicles?|suvs?|sedans?|traffic|queues?|trailers?",
    ),
)
_OCCLUDER_PATTERNS = tuple((kind, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for kind, words in _OCCLUDERS)


def occluder_kind(words: str | None) -> str:
    """The kind of thing that the words name first as what hides somebody; an underscore counts as a space.

    >>> [occluder_kind(words) for words in ("parked_cars", "a hedge beside a van", "the sun", None)]
    ['vehicle', 'plants', 'other', 'unstated']
    """
    if not words or words.strip().lower() in ("", "none"):
        return UNSTATED
    text = words.replace("_", " ")
    found = [(match.start(), kind) for kind, pattern in _OCCLUDER_PATTERNS if (match := pattern.search(text))]
    return min(found)[1] if found else OTHER


def alarms_by_actor(rows: pd.DataFrame, answered: Bools) -> dict[str, ActorAlarms]:
    """`actors` of metrics.json for one model: its alarms in the lenient view by the actor that each names.

    rows : the model's lines of predictions.jsonl. answered : which of them are its own answers.

    Returns
    -------
    Per kind of `KINDS` that occurs: `alarms`, `tp`, `fp`, and `precision` as `{value, low, high}`, null for fewer than
    `SMALL` alarms.

    Examples
    --------
    >>> rows = pd.DataFrame({"grade": ["ghost_probing"] * 2, "actor": ["a child", None], "at": [0, 1],
    ...                      "truth": ["ghost_probing", "normal"]})
    >>> found = alarms_by_actor(rows, np.array([True, True]))
    >>> found["pedestrian"]["tp"], found["unstated"]["fp"]
    (1, 1)
    """
    used = rows[answered & alarms(rows["grade"], "lenient")]
    kinds = np.array([actor_kind(said if isinstance(said, str) else None) for said in used["actor"]], dtype=object)
    right = np.asarray(used["truth"] == "ghost_probing")
    places = used["at"].to_numpy()
    found: dict[str, ActorAlarms] = {}
    wanted = []
    for kind in KINDS:
        inside = kinds == kind
        if not inside.any():
            continue
        hits = np.bincount(places[inside], weights=right[inside]).astype(np.int64)
        count, right_ones = int(inside.sum()), int(hits.sum())
        found[kind] = {"alarms": count, "tp": right_ones, "fp": count - right_ones, "precision": None}
        if inside.sum() >= SMALL:
            wanted.append((kind, (hits, np.bincount(places[inside]).astype(np.int64))))
    for (kind, _), estimate in zip(wanted, shares([part for _, part in wanted]), strict=True):
        found[kind]["precision"] = estimate
    return found
