"""Warm-up and compilation: what is paid once and belongs in no percentile of latency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
import pandas as pd

from ghostbench.scoring.account_metrics import WarmUpAttempts

WARM_UP = "warm-up"
"""A ledger note that begins with this marks an attempt that also paid for compiling or first use."""
FACT = "warm_up_s"
"""The fact by which a model that warms up while it loads says how long that took."""
WHOLE = "all"
"""The device under which a bare number of seconds is kept."""
MOST_DEVICES = 64
_MOST_S = 1e9


def stated_warm_up(facts: Mapping[str, Any]) -> dict[str, float] | None:
    """Seconds of warm-up by device, as a model's facts state them; None where they state none.

    The fact `warm_up_s` is a number of seconds, kept under "all", or an object of such numbers by device. Facts are
    untrusted: what is no number in [0, 1e9] is left out, and so are devices beyond the first 64.

    >>> stated_warm_up({"warm_up_s": {"cuda:0": 41.5, "cuda:1": "long"}})
    {'cuda:0': 41.5}
    """
    stated = facts.get(FACT)
    listed = stated if isinstance(stated, Mapping) else {WHOLE: stated}
    found = {str(device): float(value) for device, value in listed.items() if _is_seconds(value)}
    return dict(list(found.items())[:MOST_DEVICES]) or None


def warm_up_attempts(attempts: pd.DataFrame) -> WarmUpAttempts | None:
    """The attempts of one model that are marked as warm-up: `n`, and their `wall_s` together (seconds, null if
    unknown). None where no attempt is.

    >>> lines = pd.DataFrame({"notes": [("warm-up: compiled",), ()], "wall_s": [9.5, 0.1]})
    >>> warm_up_attempts(lines)
    {'n': 1, 'wall_s': 9.5}
    """
    marked = attempts[is_warm_up(attempts)]
    if marked.empty:
        return None
    return {"n": len(marked), "wall_s": None if marked["wall_s"].isna().all() else float(marked["wall_s"].sum())}


def is_warm_up(attempts: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which lines of a ledger are marked as warm-up, bool [lines].

    >>> is_warm_up(pd.DataFrame({"notes": [("warm-up",), None]})).tolist()
    [True, False]
    """
    return np.fromiter((_is_marked(notes) for notes in attempts["notes"]), dtype=np.bool_, count=len(attempts))


def _is_marked(notes: Any) -> bool:
    return bool(notes) and any(str(note).startswith(WARM_UP) for note in notes)


def _is_seconds(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_S
