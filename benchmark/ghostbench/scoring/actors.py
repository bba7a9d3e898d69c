"""Alarms by who the model says emerged.

DADA-2000's labels name no actor, so the labels cannot be sliced by one; a model's own words can. A group's precision
says for which kinds of road user its alarms can be believed.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd

from ghostbench.errors import BadInput, Unparseable
from ghostbench.folder.ledger_text import LedgerTexts
from ghostbench.scoring.intervals import shares
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
    """The kind of road user that the words name first; a rider goes by what is ridden, whoever rides."""
    if not words or not words.strip():
        return UNSTATED
    found = [(match.start(), kind) for kind, pattern in _PATTERNS if (match := pattern.search(words))]
    ridden = [kind for _, kind in found if kind in _RIDDEN]
    if ridden:
        return min(ridden, key=lambda kind: _RIDDEN[kind])
    return min(found)[1] if found else OTHER


def alarms_by_actor(
    rows: pd.DataFrame, answered: Bools, attempts: pd.DataFrame, texts: LedgerTexts, task: str
) -> dict[str, Any]:
    """`actors` of metrics.json for one model: its alarms in the lenient view by the actor that each names.

    texts : of the run's ledger.

    Returns
    -------
    Per kind of `KINDS` that occurs: `alarms`, `tp`, `fp`, and `precision` as `{value, low, high}`, null for fewer than
    `SMALL` alarms.
    """
    used = rows[answered & alarms(rows["grade"], "lenient")]
    key = ["clip", "repeat"]
    said = attempts[(attempts["outcome"] == "answered") & attempts["raw_length"].notna()]
    lines = said[[*key, "starts_at"]].drop_duplicates(key, keep="last").set_index(key)["starts_at"]
    starts = lines.reindex(pd.MultiIndex.from_frame(used[key]), fill_value=-1)
    read = _Reader(task)
    kinds = np.array([actor_kind(read.actor(text.raw)) for text in texts.of(starts)], dtype=object)
    right = np.asarray(used["truth"] == "ghost_probing")
    places = used["at"].to_numpy()
    found: dict[str, Any] = {}
    wanted = []
    for kind in KINDS:
        inside = kinds == kind
        if not inside.any():
            continue
        hits = np.bincount(places[inside], weights=right[inside]).astype(np.int64)
        found[kind] = {"alarms": int(inside.sum()), "tp": int(hits.sum()), "fp": int(inside.sum() - hits.sum())}
        found[kind]["precision"] = None
        if inside.sum() >= SMALL:
            wanted.append((kind, (hits, np.bincount(places[inside]).astype(np.int64))))
    for (kind, _), estimate in zip(wanted, shares([part for _, part in wanted]), strict=True):
        found[kind]["precision"] = estimate
    return found


class _Reader:
    """Reads the actor out of raw answers: plain JSON quickly, anything else as the task reads it."""

    def __init__(self, task: str) -> None:
        self._name = task
        self._task: Any = None

    def actor(self, raw: str | None) -> str | None:
        if raw is None:
            return None
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            return self._parsed(raw)
        actor = value.get("actor") if isinstance(value, dict) else None
        return actor if isinstance(actor, str) else None

    def _parsed(self, raw: str) -> str | None:
        from ghostbench.plugins.registry import find, load_target, registry

        try:
            if self._task is None:
                self._task = load_target(find("task", registry().tasks, self._name).load)()
            actor: str | None = self._task.parse(raw).actor
        except (BadInput, ImportError, AttributeError, Unparseable):
            return None
        return actor
