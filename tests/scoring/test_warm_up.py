"""Warm-up and compilation are lines of their own, and in no percentile."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.report.data import read_run
from ghostbench.report.tables import run_tables
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run
from ghostbench.scoring.warm_up import MOST_DEVICES, stated_warm_up

G = "ghost_probing"


@pytest.mark.parametrize(
    ("stated", "want"),
    [
        (12.5, {"all": 12.5}),
        (3, {"all": 3.0}),
        ({"cuda:0": 41.5, "cuda:1": 40}, {"cuda:0": 41.5, "cuda:1": 40.0}),
        ({"cuda:0": 41.5, "cuda:1": "long"}, {"cuda:0": 41.5}),
        ({}, None),
        (None, None),
        ("12 s", None),
        (True, None),
        (-1.0, None),
        (10**400, None),
        ([1.0], None),
        ({"cuda:0": {"s": 1}}, None),
    ],
)
def test_a_stated_warm_up_is_seconds_or_seconds_by_device_and_all_else_is_ignored(stated: Any, want: Any) -> None:
    assert stated_warm_up({"warm_up_s": stated}) == want


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["warm_up_s", "other"]), JSON))
def test_no_fact_of_any_type_is_a_crash_or_a_number_out_of_range(facts: dict[str, Any]) -> None:
    found = stated_warm_up(facts)
    assert found is None or all(0 <= value <= 1e9 for value in found.values())


def test_a_list_of_devices_without_end_is_cut() -> None:
    assert len(stated_warm_up({"warm_up_s": {str(n): 1.0 for n in range(1000)}}) or {}) == MOST_DEVICES


def warmed(folder: Path, fact: Any = None) -> Path:
    """Model m: one attempt marked as warm-up of 90 s, two steady ones in batches of four."""
    run = RunBuilder([clip(name, G) for name in "abc"])
    run.model("m", load_s=60.0, facts={"warm_up_s": fact})
    run.row("m", "a", G, attempts=[{"wall_s": 90.0, "batch_size": 4, "notes": ["warm-up of a new shape"]}])
    run.row("m", "b", G, attempts=[{"wall_s": 1.0, "batch_size": 4}])
    run.row("m", "c", G, attempts=[{"wall_s": 3.0, "batch_size": 4}])
    written = run.write(folder / "run")
    score_run(written)
    write_report(written)
    return written


def test_the_clip_of_a_warm_up_attempt_is_in_no_percentile(tmp_path: Path) -> None:
    row = json.loads((warmed(tmp_path) / "metrics.json").read_text())["models"]["m"]
    assert {stage: row["latency"][stage]["max"] for stage in ("wall_s", "batch_share_s", "clip_s")} == {
        "wall_s": 3.0, "batch_share_s": 0.75, "clip_s": 3.0,
    }  # fmt: skip
    assert row["warm_up_attempts"] == {"n": 1, "wall_s": 90.0}
    assert row["batch_size"] == {"median": 4.0, "largest": 4}


def test_loading_and_warm_up_are_lines_of_their_own_in_every_format(tmp_path: Path) -> None:
    folder = warmed(tmp_path, {"cuda:0": 41.5, "cuda:1": 40.25})
    lines = list(csv.DictReader((folder / "tables" / "start_up.csv").open()))
    assert [(line["what"], line["n"], line["seconds"]) for line in lines] == [
        ("loading, with the warm-up below", "1", "60.0"),
        ("warm-up, cuda:0", "1", "41.5"),
        ("warm-up, cuda:1", "1", "40.25"),
        ("attempts marked as warm-up", "1", "90.0"),
    ]
    for name in ("report.md", "report.html", "tables/start_up.tex"):
        text = (folder / name).read_text()
        assert "warm-up, cuda:0" in text
        assert "41.50 s" in text
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["models"]["m"]["warm_up_s"] == {"cuda:0": 41.5, "cuda:1": 40.25}


def test_an_attempts_latency_and_its_share_of_the_batch_stand_side_by_side(tmp_path: Path) -> None:
    table = next(table for table in run_tables(read_run(warmed(tmp_path))) if table.name == "time")
    titles = [column.title for column in table.columns]
    assert titles.index("Share of batch p50") == titles.index("Attempt p50") + 1
    found = dict(zip(titles, table.rows[0], strict=True))
    assert (found["Batch"], found["Attempt p50"], found["Share of batch p50"]) == (4.0, 2.0, 0.5)
    assert "divided by the size of the batch" in table.note


@pytest.mark.parametrize("fact", ["\x1b[31mlong", "<b>12</b>", [1, 2], {"a": {}}, {"=1+1": 2.0}, -4])
def test_a_hostile_warm_up_fact_is_text_or_nothing(tmp_path: Path, fact: Any) -> None:
    folder = warmed(tmp_path, fact)
    assert "<b>12" not in (folder / "report.html").read_text()
    assert "\x1b" not in (folder / "report.md").read_text()
    lines = list(csv.DictReader((folder / "tables" / "start_up.csv").open()))
    assert lines[0]["seconds"] == "60.0"


def test_a_probe_shares_its_models_loading_and_has_no_line_of_its_own(tmp_path: Path) -> None:
    run = RunBuilder([clip("a", G)])
    run.model("m", load_s=1.0)
    run.model("m+blank", load_s=1.0, probe="blank", of="m")
    run.rows("m", [G])
    run.rows("m+blank", [G])
    folder = run.write(tmp_path / "run")
    score_run(folder)
    table = next(table for table in run_tables(read_run(folder)) if table.name == "start_up")
    assert [row[0] for row in table.rows] == ["m"]
