"""Scores by what is known of the clips: label columns and parameters, binned and capped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from evidence_data import RunBuilder, clip
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.report.data import read_run
from ghostbench.report.tables import run_tables
from ghostbench.scoring.attributes import MOST_PARTS, MOST_WAYS, parts_of
from ghostbench.scoring.score import score_run
from ghostbench.scoring.slices import SMALL

G, N = "ghost_probing", "normal"
values = st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1e6, 1e6) | st.text(max_size=5)


def scored(folder: Path, clips: list[dict[str, Any]]) -> dict[str, Any]:
    run = RunBuilder(clips)
    run.rows("m", [line["truth"] for line in clips])
    return score_run(run.write(folder / "run"))


@given(st.lists(values, min_size=1, max_size=60))
def test_every_clip_is_in_one_of_few_parts(column: list[Any]) -> None:
    parts = parts_of(column)
    if parts is None:
        return
    assert not pd.isna(parts).any()
    assert len(parts) == len(column)
    assert len([part for part in parts.categories if part != "unknown"]) <= MOST_PARTS


@given(st.lists(st.floats(0, 1000, allow_nan=False), min_size=1, max_size=80))
def test_a_number_is_in_the_range_that_its_part_names(column: list[float]) -> None:
    parts = parts_of(column + column)
    assert parts is not None
    for number, part in zip(column + column, parts, strict=True):
        words = part.split()
        low = float(words[1]) if words[0] == "from" else float(words[0]) if "to" in words else -1.0
        high = float(words[1]) if words[0] == "under" else float(words[2]) if "to" in words else float("inf")
        if len(words) > 1:
            assert low <= number < high
        else:
            assert float(part) == pytest.approx(number, rel=1e-9)


def test_few_kinds_of_numbers_and_truth_values_are_parts_by_themselves() -> None:
    assert list(parts_of([1, 0.5, 1, 2] * 2).categories) == ["0.5", "1", "2"]  # type: ignore[union-attr]
    assert list(parts_of([True, None, False] * 2).categories) == ["yes", "no", "unknown"]  # type: ignore[union-attr]


def test_of_many_words_the_frequent_ones_are_parts_and_of_words_of_one_clip_each_none() -> None:
    words = ["rain"] * 5 + ["sun"] * 9 + [f"rare {n}" for n in range(9)]
    parts = parts_of(words)
    assert parts is not None
    assert list(parts.categories) == ["rain", "sun", "all others"]
    assert list(parts).count("all others") == 9
    assert parts_of([f"sentence {n}" for n in range(30)]) is None


def test_a_run_is_sliced_by_labels_and_parameters_and_says_what_it_left_out(tmp_path: Path) -> None:
    clips = []
    for number in range(2 * SMALL):
        night = number < SMALL - 1
        clips.append(
            clip(f"c{number}", G if number % 2 else N)
            | {
                "labels": {"occluder": "bus" if night else "van", "first_visible_s": number / 10},
                "parameters": {"night": night, "gap m": 1.5 * number, "text": f"words of {number}", "same": 1},
            }
        )
    metrics = scored(tmp_path, clips)
    slices = metrics["models"]["m"]["slices"]
    assert {"labels.occluder", "labels.first_visible_s", "parameters.night", "parameters.gap m"} <= set(slices)
    assert "parameters.same" not in slices
    assert metrics["slices_left_out"] == ["parameters.text"]
    assert slices["labels.occluder"]["bus"]["n"] == SMALL - 1
    assert slices["labels.occluder"]["bus"]["lenient"]["recall"] is None
    assert slices["labels.occluder"]["van"]["lenient"]["recall"]["value"] == 1.0
    assert list(slices["parameters.night"]) == ["yes", "no"]
    assert sum(part["n"] for part in slices["parameters.gap m"].values()) == len(clips)
    (table,) = [each for each in run_tables(read_run(tmp_path / "run")) if each.name == "slices"]
    assert {"occluder", "night", "gap m"} <= {row[1] for row in table.rows}
    assert "Not shown" in table.note
    assert "text" in table.note


def test_there_are_never_more_ways_than_a_reader_looks_at(tmp_path: Path) -> None:
    names = [f"p{number:02}" for number in range(MOST_WAYS + 6)]
    clips = [
        clip(f"c{n}", G if n else N) | {"labels": {}, "parameters": dict.fromkeys(names, n // 2)} for n in range(4)
    ]
    metrics = scored(tmp_path, clips)
    ways = [way for way in metrics["models"]["m"]["slices"] if "." in way]
    assert len(ways) == MOST_WAYS
    assert metrics["slices_left_out"] == [f"parameters.{name}" for name in names[MOST_WAYS:]]


def test_lines_without_labels_and_parameters_are_scored_as_before(tmp_path: Path) -> None:
    metrics = scored(tmp_path, [clip("a", G), clip("b", N, remark="sure?")])
    slices = metrics["models"]["m"]["slices"]
    assert set(slices) == {"category", "duration", "label", "truth"}
    assert list(slices["label"]) == ["certain", "doubted"]
    assert metrics["slices_left_out"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("labels", {"contact_s": -1}), ("labels", {"doubt": "maybe"}), ("parameters", {"a": [1]}), ("parameters", 3)],
)
def test_a_line_that_no_run_writes_is_refused(tmp_path: Path, field: str, value: object) -> None:
    from ghostbench.errors import BadInput

    with pytest.raises(BadInput, match=r"clips\.jsonl, line 1"):
        scored(tmp_path, [clip("a", G) | {field: value}, clip("b", N)])
