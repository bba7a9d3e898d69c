"""When the model says the event begins against when the label says so, and whether a frame could have shown it.

The model has seen the whole clip: these are errors of dating in retrospect, not warning times.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ghostbench.scoring.intervals import Ints, share
from ghostbench.scoring.metrics import ConstantTime, DatingErrors, EventCoverage, EventTime
from ghostbench.scoring.paired import share_difference
from ghostbench.scoring.rates import Estimate, Floats
from ghostbench.scoring.views import VIEWS, Bools, View, alarms

WINDOW_S = 1.0
"""An event counts as sampled when a frame lies in [t*, t* + WINDOW_S]."""
HITS_S = (1.0, 2.0)
_SLACK_S = 1e-9


def sampled(clips: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Per clip: True if a sampled frame lies in the event's window, False if none does, None where it cannot be said
    (no positive, no stated time, no frames).

    clips : lines of clips.jsonl, [n], with `truth`, `truth_time_s` and `frame_times_s` (a tuple of seconds or None).

    >>> clips = pd.DataFrame({"truth": ["ghost_probing"] * 2 + ["normal"], "truth_time_s": [2.0, 5.0, None],
    ...                       "frame_times_s": [(0.5, 2.5)] * 3})
    >>> list(sampled(clips))
    [True, False, None]
    """
    found = np.full(len(clips), None, dtype=object)
    for place, (truth, time_s, frames) in enumerate(
        zip(clips["truth"], clips["truth_time_s"], clips["frame_times_s"], strict=True)
    ):
        if truth == "ghost_probing" and time_s is not None and not pd.isna(time_s) and isinstance(frames, tuple):
            times = np.asarray(frames, dtype=np.float64)
            found[place] = bool(((times >= time_s - _SLACK_S) & (times <= time_s + WINDOW_S + _SLACK_S)).any())
    return found


def event_coverage(clips: pd.DataFrame) -> EventCoverage:
    """For how many positives the sampling could have shown the event.

    Returns
    -------
    positives, with_time (label states a time), with_frames (of those, frames were decoded), covered (of those, a frame
    lies in [t*, t* + 1 s]), rate (covered of with_frames, with Wilson's interval).

    Examples
    --------
    >>> clips = pd.DataFrame({"truth": ["ghost_probing"] * 2, "truth_time_s": [2.0, 5.0],
    ...                       "frame_times_s": [(0.5, 2.5)] * 2})
    >>> found = event_coverage(clips)
    >>> found["covered"], found["with_frames"], found["rate"]["value"]
    (1, 2, 0.5)
    """
    positive = clips["truth"] == "ghost_probing"
    flags = sampled(clips)
    known = np.array([flag is not None for flag in flags])
    hits = np.array([flag is True for flag in flags])
    return {
        "window_s": WINDOW_S,
        "positives": int(positive.sum()),
        "with_time": int((positive & clips["truth_time_s"].notna()).sum()),
        "with_frames": int(known.sum()),
        "covered": int(hits.sum()),
        "rate": share(hits[known].astype(np.int64), np.ones(int(known.sum()), dtype=np.int64)),
    }


def constant_times(clips: pd.DataFrame) -> Floats:
    """Per clip, what somebody would say who knows the labels of the other clips and has not looked at this one: the
    median of the times that the labels of all *other* positives state; NaN where no other states one.

    >>> clips = pd.DataFrame({"truth": ["ghost_probing"] * 3 + ["normal"], "truth_time_s": [1.0, 2.0, 6.0, None]})
    >>> constant_times(clips).tolist()
    [4.0, 3.5, 1.5, 2.0]
    """
    times = clips["truth_time_s"].astype("float64").where(clips["truth"] == "ghost_probing").to_numpy()
    known = np.flatnonzero(~np.isnan(times))
    everywhere = np.full(len(times), np.median(times[known]) if len(known) else np.nan)
    for place in known:
        others = np.delete(times[known], np.searchsorted(known, place))
        everywhere[place] = np.median(others) if len(others) else np.nan
    return everywhere


def event_time(
    rows: pd.DataFrame, answered: Bools, flags: npt.NDArray[np.object_], constant: Floats
) -> dict[View, EventTime]:
    """`event_time` of metrics.json for one model: per view, errors over true positives and the account of misses.

    Parameters
    ----------
    rows, answered : the model's predictions, and which of them hold an answer of its own.
    flags, constant : per clip, from `sampled` and `constant_times`.

    Returns
    -------
    Per view: `true_positives`, `stated` (both the label and the answer state a time), `median_abs_error_s`,
    `within_1s` and `within_2s` (of `stated`, with intervals); `constant`: the same figures of the constant time on the
    same rows, its median `time_s`, and `gain_1s` and `gain_2s`, the model's share minus the constant's, paired; and
    `misses`: positives answered with no, split into `event_not_sampled`, `sampled_but_missed` and `unknown` (no stated
    time, or no frames).

    Examples
    --------
    Two alarms, half a second and three seconds off; the constant time is right once, too.

    >>> rows = pd.DataFrame({"at": [0, 1], "truth": ["ghost_probing"] * 2, "truth_time_s": [2.0, 5.0],
    ...                      "event_time_s": [2.5, 8.0], "grade": ["ghost_probing"] * 2})
    >>> yes = np.array([True, True])
    >>> found = event_time(rows, yes, np.array([True, False], dtype=object), np.array([5.0, 5.0]))["strict"]
    >>> found["median_abs_error_s"], found["within_1s"]["value"], found["constant"]["within_1s"]["value"]
    (1.75, 0.5, 0.5)
    """
    at = rows["at"].to_numpy()
    positive = np.asarray(rows["truth"] == "ghost_probing") & answered
    truth: Floats = rows["truth_time_s"].to_numpy()
    error: Floats = np.abs(rows["event_time_s"].to_numpy() - truth)
    found: dict[View, EventTime] = {}
    for view in VIEWS:
        alarm = alarms(rows["grade"], view)
        stated = positive & alarm & ~np.isnan(error)
        missed = flags[at[positive & ~alarm]]
        found[view] = {
            "true_positives": int((positive & alarm).sum()),
            "stated": int(stated.sum()),
            **_errors(error[stated], at[stated], len(flags)),
            "constant": _beside(error[stated], constant[at[stated]], truth[stated], at[stated], len(flags)),
            "misses": {
                "event_not_sampled": sum(flag is False for flag in missed),
                "sampled_but_missed": sum(flag is True for flag in missed),
                "unknown": sum(flag is None for flag in missed),
            },
        }
    return found


def _errors(error: Floats, at: Ints, clips: int) -> DatingErrors:
    return {
        "median_abs_error_s": float(np.median(error)) if len(error) else None,
        "within_1s": _within(error, at, HITS_S[0], clips),
        "within_2s": _within(error, at, HITS_S[1], clips),
    }


def _beside(own: Floats, said: Floats, truth: Floats, at: Ints, clips: int) -> ConstantTime | None:
    """The constant time on the rows where the model states one; None where there is none to say."""
    if not len(own) or np.isnan(said).any():
        return None
    error = np.abs(said - truth)
    gains = []
    for limit in HITS_S:
        right = [each <= limit + _SLACK_S for each in (own, error)]
        cells = [right[0] & right[1], right[0] & ~right[1], ~right[0] & right[1], ~right[0] & ~right[1]]
        table = np.stack([np.bincount(at, weights=cell, minlength=clips) for cell in cells], axis=1)
        gains.append(share_difference(table[table.sum(axis=1) > 0]))
    errors = _errors(error, at, clips)
    return {"time_s": float(np.median(said)), **errors, "gain_1s": gains[0], "gain_2s": gains[1]}


def _within(error: Floats, at: npt.NDArray[np.int64], limit: float, clips: int) -> Estimate | None:
    hits = np.bincount(at, weights=error <= limit + _SLACK_S, minlength=clips).astype(np.int64)
    return share(hits, np.bincount(at, minlength=clips).astype(np.int64))
