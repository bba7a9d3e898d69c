"""Every clip with every model's answer, as the data that the page's own script shows and filters.

A small run's rows stand in the page. A larger run's stand in files beside it, some clips in each, which the page loads
when they are to be seen: the page is as large as its tables, whatever the run. No answer is cut in either.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ghostbench.folder.ledger_text import LineText
from ghostbench.folder.names import PAGE, PAGE_ROWS
from ghostbench.records import GRADES, TRUTHS
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain, script_json, without_places
from ghostbench.report.prompt import shown_examples

MOST_ROWS = 4000
"""Rows (models x clips x repeats) up to which they stand in the page itself,"""
MOST_TEXT = 1 << 20
"""if their answers together are no longer than this, characters."""
_PART_TEXT = 1 << 19
"""A file of rows is closed after the clip that brings its answers to this many characters."""
_PART_CLIPS = 500
_NONE = "-"
_SAID = {"actor": "a", "occluder": "c", "evidence": "d"}


class ClipRows:
    """The rows of one run. strips : the frames that they are to hold, by clip id."""

    def __init__(self, run: RunData, strips: Mapping[str, list[str]]) -> None:
        self._run = run
        self._strips = strips
        self._repeats = int(run.predictions["repeat"].max()) + 1
        last = _last_lines(run.attempts)
        self._models = [self._columns(name, last) for name in run.records.names]
        lengths = sum((each.lengths.reshape(-1, self._repeats).sum(axis=1) for each in self._models), np.zeros(1))
        self._starts = _part_starts(np.broadcast_to(lengths, len(run.clips)))
        rows = sum(len(each.lengths) for each in self._models)
        self.embedded = rows <= MOST_ROWS and lengths.sum() <= MOST_TEXT

    @property
    def with_frames(self) -> bool:
        """Whether any frame is to be shown."""
        return bool(self._strips)

    def page(self) -> dict[str, Any]:
        """What stands in the page, JSON values only.

        Returns
        -------
        repeats, grades, truths, outcomes (names that `o` of a part counts into), models (per row `name, reference,
        probe, video`), key (what the run's files bear), folder (where they are, or null), and, for a small run, `index`
        and `parts`, which are else in the files: see `index` and `part`. Of a run whose wordings show examples also
        `examples`: of each its clip's `id`, what is `told` of it (per wording its name and the answer), `times` and
        `frames`.
        """
        models = [
            {
                "name": plain(name),
                "reference": bool(self._run.rows[name]["baseline"]),
                "probe": bool(self._run.rows[name]["probe"] or self._run.rows[name]["variant"]),
                "video": bool(self._run.rows[name].get("sees_video")),
            }
            for name in self._run.records.names
        ]
        found = {
            "repeats": self._repeats,
            "grades": list(GRADES),
            "truths": list(TRUTHS),
            "outcomes": list(self._run.predictions["outcome"].cat.categories),
            "models": models,
            "key": self.key,
            "folder": None if self.embedded else PAGE_ROWS,
        }
        if self._run.manifest.examples:
            found["examples"] = self._examples()
        if self.embedded:
            clips = len(self._run.clips)
            found |= {"index": {**self.index(), "starts": [0]}, "parts": [self.part(0, clips)]}
        return found

    def files(self) -> Iterator[tuple[str, str]]:
        """The files beside the page, by path within the run folder, one at a time; none for a small run."""
        if self.embedded:
            return
        yield f"{PAGE_ROWS}/index.js", self._script("index", self.index())
        ends = [*self._starts[1:], len(self._run.clips)]
        for number, (start, end) in enumerate(zip(self._starts, ends, strict=True)):
            yield _part_file(number), self._script(str(number), self.part(start, end))

    def places(self) -> dict[str, str]:
        """The file that holds each clip's rows, by clip id: the page itself for a small run."""
        clips = enumerate(self._run.clips["clip"])
        return {
            clip: PAGE if self.embedded else _part_file(bisect_right(self._starts, place) - 1) for place, clip in clips
        } | dict.fromkeys(self._run.manifest.examples, PAGE)

    def _examples(self) -> list[dict[str, Any]]:
        told = shown_examples(self._run.wordings)
        return [
            {
                "id": plain(clip),
                "told": [[plain(name), plain(answer)] for name, answer in told.get(clip, {}).items()],
                "times": list(entry.frame_times_s),
                "frames": self._strips.get(clip),
            }
            for clip, entry in self._run.manifest.examples.items()
        ]

    @cached_property
    def key(self) -> str:
        """Tells this run's files from those of another that lie beside the page by mistake."""
        manifest = self._run.manifest
        said = json.dumps([manifest.run_id, manifest.started_at, self.index()])
        return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16]

    def index(self) -> dict[str, Any]:
        """What clips are chosen by.

        truths : a digit a clip, its truth's place in `TRUTHS`. grades : per model a character a row (clip * repeats +
        repeat), its grade's place in `GRADES` or "-". starts : the first clip of each part.
        """
        return {
            "truths": "".join(str(TRUTHS.index(truth)) for truth in self._run.clips["truth"]),
            "grades": ["".join(_NONE if code < 0 else str(code) for code in each.grades) for each in self._models],
            "starts": self._starts,
        }

    def part(self, start: int, end: int) -> dict[str, Any]:
        """The rows of the clips [start, end).

        Returns
        -------
        clips : per clip `id, truth, time, category, remark, duration, times, frames`.
        models : per row, and in it per clip and repeat: `t` (event time), `s` (score), `o` (outcome's number), `l`
            (fallback level), `n` (attempts), `r` (raw answer), `e` (error in words), `v` (served model), `a`, `c`, `d`
            (actor, occluder, evidence), `m` (per moment its time, the grade's and the outcome's number, and the score);
            null where there is none.
        """
        clips = self._run.clips.iloc[start:end].to_dict("records")
        rows = slice(start * self._repeats, end * self._repeats)
        return {
            "clips": [_clip(row, self._strips) for row in clips],
            "models": [self._answers(each, rows) for each in self._models],
        }

    def _columns(self, name: str, last: pd.DataFrame) -> _Columns:
        rows = self._run.predictions[self._run.predictions["model"] == name].sort_values(["at", "repeat"])
        lines = last.reindex(pd.MultiIndex.from_arrays([rows["model"], rows["clip"], rows["repeat"]]))
        return _Columns(
            rows=rows[["event_time_s", "score", "fallback_level", "attempts", *_SAID, "moments"]],
            grades=rows["grade"].cat.codes.to_numpy(),
            outcomes=rows["outcome"].cat.codes.to_numpy(),
            starts=lines["starts_at"].fillna(-1).to_numpy(dtype=np.int64),
            lengths=lines["raw_length"].fillna(0).to_numpy(),
            served=lines["served_model"],
        )

    def _answers(self, model: _Columns, part: slice) -> dict[str, Any]:
        rows = model.rows.iloc[part]
        texts = list(self._run.records.texts.of(model.starts[part].tolist()))
        return {
            "t": _values(rows["event_time_s"]),
            "s": _values(rows["score"]),
            "o": model.outcomes[part].tolist(),
            "l": _values(rows["fallback_level"]),
            "n": rows["attempts"].tolist(),
            "r": [_raw(text) for text in texts],
            "e": [None if text.error is None else without_places(plain(text.error)) for text in texts],
            "v": _words(model.served.iloc[part]),
            **{key: _words(rows[name]) for name, key in _SAID.items()},
            "m": [self._moments(said) for said in rows["moments"]],
        }

    def _moments(self, said: Any) -> list[list[float | None]] | None:
        if not isinstance(said, tuple):
            return None
        outcomes = list(self._run.predictions["outcome"].cat.categories)
        return [
            [
                each.moment_s,
                GRADES.index(each.grade) if each.grade is not None else None,
                outcomes.index(str(each.outcome)),
                each.score,
            ]
            for each in said
        ]

    def _script(self, name: str, value: Mapping[str, Any]) -> str:
        return f'ghostbenchRows("{self.key}","{name}",\n{script_json(value)}\n);\n'


def handed(text: str) -> str:
    """The JSON that the text of one of `ClipRows.files` hands to the page: its second line; empty if it has none."""
    return text.partition("\n")[2].partition("\n")[0]


def _part_file(number: int) -> str:
    return f"{PAGE_ROWS}/{number:06d}.js"


@dataclass(frozen=True, slots=True)
class _Columns:
    """One model's rows, by clip and repeat.

    starts : byte of the last attempt's line, -1 for none. lengths : of the answers, characters.
    """

    rows: pd.DataFrame
    grades: np.ndarray[Any, np.dtype[np.integer[Any]]]
    outcomes: np.ndarray[Any, np.dtype[np.integer[Any]]]
    starts: np.ndarray[Any, np.dtype[np.int64]]
    lengths: np.ndarray[Any, np.dtype[np.float64]]
    served: pd.Series[Any]


def _part_starts(lengths: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """The first clip of each part, from the length of each clip's answers."""
    starts, filled = [0], 0.0
    for clip, length in enumerate(lengths):
        if filled >= _PART_TEXT or clip - starts[-1] >= _PART_CLIPS:
            starts.append(clip)
            filled = 0.0
        filled += float(length)
    return starts


def _last_lines(attempts: pd.DataFrame) -> pd.DataFrame:
    """The last attempt of every model, clip and repeat, indexed by them."""
    key = ["model", "clip", "repeat"]
    lines = attempts[[*key, "attempt", "starts_at", "raw_length", "served_model"]]
    last = lines.sort_values("attempt", kind="stable").drop_duplicates(key, keep="last")
    return last.set_index(key)[["starts_at", "raw_length", "served_model"]]


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
        "times": [round(at, 4) for at in row["frame_times_s"]] if isinstance(row["frame_times_s"], tuple) else None,
        "frames": strips.get(row["clip"]),
    }


def _values(column: pd.Series[Any]) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 4) for value in column]


def _words(column: pd.Series[Any]) -> list[str | None]:
    return [plain(value) if isinstance(value, str) else None for value in column]


def _raw(text: LineText) -> str | None:
    return None if text.raw is None else plain(text.raw, lines=True)
