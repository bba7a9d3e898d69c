"""What one model's answers cost: time by stage, throughput, memory, tokens and money."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ghostbench.folder.lines import MEMORY, STAGES
from ghostbench.scoring.account_metrics import BatchSize, Percentiles, Usage, Workers, WorkerShare
from ghostbench.scoring.warm_up import is_warm_up

Quantile = Literal["p50", "p90", "p99"]
QUANTILES: tuple[tuple[Quantile, float], ...] = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
NOT_COMPUTED = ("missing_media", "decode_failed", "not_recorded", "over_budget")
"""Outcomes of lines for which no model was asked: they say nothing of its latency."""


def latency(attempts: pd.DataFrame) -> dict[str, Percentiles | None]:
    """Percentiles over the attempts of one model, seconds: each stage, `wall_s`, `batch_share_s` (wall time over the
    batch's size) and `clip_s` (all attempts of a clip together, with the waits between them).

    Attempts that asked no model, are marked as warm-up, or took the time of a comparison with another model as well,
    are left out, and so is the whole clip of such an attempt or of an answer from the cache from `clip_s`; null where
    nothing is known.

    attempts : [lines] the ledger's lines of one model, with a column for each stage.

    >>> import pandas as pd
    >>> lines = {"outcome": ["answered"] * 2, "wall_s": [1.0, 3.0], "wait_s": [None, 2.0], "batch_size": [1.0, 2.0],
    ...          "clip": ["a", "b"], "repeat": [0, 0], "notes": [[], []], **{stage: [None, None] for stage in STAGES}}
    >>> found = latency(pd.DataFrame(lines))
    >>> [found[name]["p50"] for name in ("wall_s", "batch_share_s", "clip_s")], found["vision_s"]
    ([2.0, 1.25, 3.0], None)
    """
    asked = attempts[~attempts["outcome"].isin(NOT_COMPUTED)]
    warming = is_warm_up(asked) | compared(asked).to_numpy()
    steady = asked[~warming]
    found = {"wall_s": _percentiles(steady["wall_s"])}
    found["batch_share_s"] = _percentiles(steady["wall_s"] / steady["batch_size"].where(steady["batch_size"] > 0))
    key = [asked["clip"], asked["repeat"]]
    whole = (asked["wall_s"] + asked["wait_s"].fillna(0)).groupby(key, sort=False).sum(min_count=1)
    apart = pd.Series(warming, index=asked.index) | from_cache(asked)
    found["clip_s"] = _percentiles(whole[~apart.groupby(key, sort=False).any()])
    return {**found, **{stage: _percentiles(steady[stage]) for stage in STAGES}}


def compared(attempts: pd.DataFrame) -> pd.Series[bool]:
    """Whether another model was asked the same in the time of each line.

    >>> compared(pd.DataFrame({"compared_with": ["bfloat16", None]})).tolist()
    [True, False]
    """
    if "compared_with" not in attempts:
        return pd.Series(False, index=attempts.index)
    return attempts["compared_with"].notna()


def from_cache(attempts: pd.DataFrame) -> pd.Series[bool]:
    """Whether each line's answer is another run's, from the reply cache: nobody was asked, and nothing took any time.

    >>> import pandas as pd
    >>> from_cache(pd.DataFrame({"from_cache": ["0f3a", None]})).tolist(), from_cache(pd.DataFrame({"a": [1]})).tolist()
    ([True, False], [False])
    """
    if "from_cache" not in attempts:
        return pd.Series(False, index=attempts.index)
    return attempts["from_cache"].notna()


def batch_size(attempts: pd.DataFrame) -> BatchSize | None:
    """The `median` and the `largest` batch that an attempt of one model was computed in; null where none is known.

    >>> import pandas as pd
    >>> batch_size(pd.DataFrame({"batch_size": [4.0, 4.0, None, 2.0]}))
    {'median': 4.0, 'largest': 4}
    """
    known = attempts["batch_size"].dropna()
    return None if known.empty else {"median": float(known.median()), "largest": int(known.max())}


def throughput(attempts: pd.DataFrame, answered: int) -> float | None:
    """Answered clips per second of the time in which the model had at least one attempt under way; null if unknown.

    >>> import pandas as pd
    >>> begun = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:08Z"]
    >>> throughput(pd.DataFrame({"started_at": begun, "wall_s": [2.0, 2.0, 1.0]}), answered=2)
    0.5
    """
    timed = attempts[attempts["wall_s"].notna() & attempts["started_at"].notna()]
    if timed.empty or not answered:
        return None
    begun = pd.to_datetime(timed["started_at"], utc=True, errors="coerce", format="ISO8601")
    start = (begun - begun.min()).dt.total_seconds().to_numpy()
    end = start + timed["wall_s"].to_numpy()
    known = ~np.isnan(start)
    if not known.any():
        return None
    order = np.argsort(start[known], kind="stable")
    start, end = start[known][order], np.maximum.accumulate(end[known][order])
    fresh = np.concatenate([[0.0], end[:-1]])
    busy = float(np.maximum(end - np.maximum(start, fresh), 0).sum())
    return answered / busy if busy > 0 else None


def workers(attempts: pd.DataFrame) -> Workers | None:
    """What each worker did, where the model had several, and how evenly they ended; null for every other model.

    An attempt ends when it began, plus the time that it queued, plus the time that it took. As in `throughput`, time in
    which none was under way is left out: a run may be gone on with, and shares of it computed, days later.
    `clips_per_s` is of clips, in each repeat, that are answered at all moments; of a clip that several workers answered
    each has its share.

    >>> import pandas as pd
    >>> lines = {"started_at": ["2026-01-01T00:00:00Z"] * 3, "queue_s": [0.0, 2.0, 0.0], "wall_s": [2.0, 2.0, 2.0],
    ...          "outcome": ["answered"] * 3, "worker": ["m#1", "m#1", "m#2"], "clip": ["a", "b", "c"],
    ...          "repeat": [0] * 3, "moment_s": [None] * 3}
    >>> found = workers(pd.DataFrame(lines))
    >>> found["by_name"]["m#1"], found["idle_at_the_end"]
    ({'attempts': 2, 'answered': 2, 'clips_per_s': 0.5, 'ended_s': 4.0}, 0.25)
    """
    timed = attempts[attempts["worker"].notna() & attempts["wall_s"].notna() & attempts["started_at"].notna()]
    begun = pd.to_datetime(timed["started_at"], utc=True, errors="coerce", format="ISO8601")
    timed, begun = timed[begun.notna()], begun[begun.notna()]
    if timed["worker"].nunique() < 2:
        return None
    start = (begun - begun.min()).dt.total_seconds()
    ended = start + timed["queue_s"].fillna(0.0).astype(float) + timed["wall_s"]
    ended -= _nothing_before(start, ended)
    clips = _answered_clips(attempts)[timed.index]
    found: dict[str, WorkerShare] = {}
    for name, own in timed.groupby("worker", sort=True):
        answered = int((own["outcome"] == "answered").sum())
        last, done = float(ended[own.index].max()), float(clips[own.index].sum())
        rate = done / last if done and last > 0 else None
        found[str(name)] = {"attempts": len(own), "answered": answered, "clips_per_s": rate, "ended_s": last}
    last = max(share["ended_s"] for share in found.values())
    idle = sum(last - share["ended_s"] for share in found.values())
    return {"by_name": found, "idle_at_the_end": idle / (last * len(found)) if last > 0 else 0.0}


def _nothing_before(start: pd.Series[float], end: pd.Series[float]) -> pd.Series[float]:
    """For how long nothing was under way before each attempt, seconds, since the first began at 0."""
    order = start.sort_values(kind="stable").index
    gaps = (start[order] - end[order].cummax().shift(fill_value=0.0)).clip(lower=0.0)
    return gaps.cumsum()[start.index]


def _answered_clips(attempts: pd.DataFrame) -> pd.Series[float]:
    """The part of a clip that each attempt is: of a clip (in one repeat) all of whose moments are answered, its answers
    have equal parts; every other attempt is none of one."""
    key, gave = ["clip", "repeat"], attempts["outcome"] == "answered"
    moments = attempts["moment_s"].astype("float64").fillna(-1.0)
    by_clip = [attempts[name] for name in key]
    asked = moments.groupby(by_clip, sort=False).transform("nunique")
    told = moments.where(gave).groupby(by_clip, sort=False).transform("nunique")
    answers = gave.groupby(by_clip, sort=False).transform("sum")
    return (1.0 / answers.where(gave & (told == asked))).fillna(0.0)


def memory(attempts: pd.DataFrame) -> dict[str, int | None]:
    """The highest of each memory figure, bytes; null where none was reported.

    >>> import pandas as pd
    >>> found = memory(pd.DataFrame({name: [None, 5.0, 7.0] for name in MEMORY}))
    >>> found["peak_allocated_bytes"]
    7
    """
    return {name: None if attempts[name].isna().all() else int(attempts[name].max()) for name in MEMORY}


def usage(attempts: pd.DataFrame) -> Usage:
    """Tokens and US dollars over all attempts; null where no attempt reported any.

    attempts_without_price : attempts that used tokens for which no price is known; the total does not hold them.

    >>> import pandas as pd
    >>> lines = {"input_tokens": [10.0, 20.0], "cached_tokens": [None, None], "output_tokens": [1.0, 1.0],
    ...          "cost_usd": [0.5, None]}
    >>> usage(pd.DataFrame(lines))
    {'input_tokens': 30, 'cached_tokens': None, 'output_tokens': 2, 'cost_usd': 0.5, 'attempts_without_price': 1}
    """

    def tokens(name: str) -> int | None:
        return None if attempts[name].isna().all() else int(attempts[name].sum())

    priced = attempts["cost_usd"]
    used = attempts["input_tokens"].notna() | attempts["output_tokens"].notna()
    return {
        "input_tokens": tokens("input_tokens"),
        "cached_tokens": tokens("cached_tokens"),
        "output_tokens": tokens("output_tokens"),
        "cost_usd": None if priced.isna().all() else float(priced.sum()),
        "attempts_without_price": int((used & priced.isna()).sum()),
    }


def _percentiles(values: pd.Series[Any]) -> Percentiles | None:
    known = values.dropna().to_numpy(dtype=np.float64)
    if not len(known):
        return None
    p50, p90, p99 = map(float, np.quantile(known, [q for _, q in QUANTILES]))
    return {"n": len(known), "p50": p50, "p90": p90, "p99": p99, "max": float(known.max())}
