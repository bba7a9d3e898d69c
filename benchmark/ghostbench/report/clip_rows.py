"""Every clip with every model's answer, as the data that the page's own script shows and filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ghostbench.records import GRADES
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain

MOST_RAW = 16 << 20
"""Raw answers may fill this many characters of the page; beyond, each is cut to the same length."""


def clip_rows(run: RunData, strips: Mapping[str, list[str]]) -> dict[str, Any]:
    """The page's data, JSON values only.

    Returns
    -------
    clips : per clip `id, truth, time, category, remark, duration, times, frames`.
    outcomes : names that `o` counts into. grades : names that `g` counts into.
    models : per row `name, reference, probe` and, per clip and repeat (clip * repeats + repeat): `g` (grade's number or
        -1), `t` (event time), `s` (score), `o` (outcome's number), `l` (fallback level), `n` (attempts), `r` (raw
        answer), `e` (error in words), `v` (served model); null where there is none.
    cut : length that raw answers were cut to, or null.
    """
    outcomes = list(run.predictions["outcome"].cat.categories)
    last = _last_lines(run.attempts)
    texts = last["raw"].dropna().str.len() if len(last) else pd.Series(dtype="int64")
    cut = int(MOST_RAW // max(len(texts), 1)) if texts.sum() > MOST_RAW else None
    models = []
    for name in run.records.names:
        rows = run.predictions[run.predictions["model"] == name].sort_values(["at", "repeat"], kind="stable")
        lines = last.reindex(pd.MultiIndex.from_arrays([rows["model"], rows["clip"], rows["repeat"]]))
        models.append(
            {
                "name": plain(name),
                "reference": bool(run.rows[name]["baseline"]),
                "probe": bool(run.rows[name]["probe"]),
                "g": rows["grade"].cat.codes.tolist(),
                "t": _values(rows["event_time_s"]),
                "s": _values(rows["score"]),
                "o": rows["outcome"].cat.codes.tolist(),
                "l": _values(rows["fallback_level"]),
                "n": rows["attempts"].tolist(),
                "r": [_text(value, cut) for value in lines["raw"]],
                "e": [
                    _error(kind, words) for kind, words in zip(lines["error_type"], lines["error_message"], strict=True)
                ],
                "v": [_text(value, None) for value in lines["served_model"]],
            }
        )
    return {
        "repeats": run.metrics["repeats"],
        "grades": list(GRADES),
        "outcomes": outcomes,
        "clips": [_clip(row, strips) for row in run.clips.to_dict("records")],
        "models": models,
        "cut": cut,
    }


def _last_lines(attempts: pd.DataFrame) -> pd.DataFrame:
    """The last attempt of every model, clip and repeat, indexed by them."""
    key = ["model", "clip", "repeat"]
    last = attempts.sort_values("attempt", kind="stable").drop_duplicates(key, keep="last")
    return last.set_index(key)[["raw", "error_type", "error_message", "served_model"]]


def _clip(row: Mapping[Any, Any], strips: Mapping[str, list[str]]) -> dict[str, Any]:
    def number(value: Any) -> float | None:
        return None if value is None or pd.isna(value) else float(value)

    return {
        "id": plain(row["clip"]),
        "truth": row["truth"],
        "time": number(row["truth_time_s"]),
        "category": None if number(row["category"]) is None else int(row["category"]),
        "remark": plain(row["remark"]) if isinstance(row["remark"], str) else None,
        "duration": number(row["duration_s"]),
        "times": row["frame_times_s"] if isinstance(row["frame_times_s"], list) else None,
        "frames": strips.get(row["clip"]),
    }


def _values(column: pd.Series[Any]) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 4) for value in column]


def _text(value: Any, cut: int | None) -> str | None:
    if not isinstance(value, str):
        return None
    shown = plain(value, lines=True)
    return shown if cut is None or len(shown) <= cut else shown[:cut] + "…"


def _error(kind: Any, words: Any) -> str | None:
    return plain(f"{kind}: {words}") if isinstance(kind, str) else None
