"""A metrics.json of another shape than scoring writes is named, wherever tables are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip

from ghostbench.errors import BadInput
from ghostbench.report import tables
from ghostbench.report.data import read_run
from ghostbench.report.export import export_run
from ghostbench.report.terminal import chosen_tables
from ghostbench.scoring.score import score_run
from ghostbench.viewer.runs import Runs

G, N = "ghost_probing", "normal"
F1 = ("models", "m", "views", "strict", "answered", "f1")
CHANGES: dict[str, tuple[tuple[str, ...], Any]] = {
    "an interval's end that is a text": ((*F1, "high"), "\u202e\x1b[31mx"),
    "an interval's end that is a list": ((*F1, "low"), [[]]),
    "a rate that is something else": (F1, {"a": 1}),
    "no rates at all": (F1[:-1], 0.5),
    "no counts": (("models", "m", "confusion", "cut_in"), {}),
    "a row that is a text": (("reference", "never"), "no"),
}


def scored(folder: Path) -> Path:
    run = RunBuilder([clip("a", G, time_s=2.0), clip("b", N)])
    run.rows("m", [G, N])
    score_run(run.write(folder / "run"))
    return folder / "run"


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_named_in_one_line(tmp_path: Path, change: str) -> None:
    folder = scored(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    place = metrics
    (*path, last), value = CHANGES[change]
    for key in path:
        place = place[key]
    place[last] = value
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(BadInput, match="holds what no run writes") as error:
        chosen_tables(read_run(folder))
    assert str(error.value).isprintable()
    with pytest.raises(BadInput, match="holds what no run writes"):
        Runs(tmp_path).detail("run")


@pytest.mark.parametrize("value", ["no", {}, 3])
def test_it_is_not_exported(tmp_path: Path, value: Any) -> None:
    folder = scored(tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["models"]["m"]["views"]["strict"]["answered"]["f1"] = value
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(BadInput, match="holds what no run writes"):
        export_run(folder, "json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mistake_of_ours_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(_: object) -> None:
        raise TypeError("ours")

    monkeypatch.setattr(tables, "run_tables", mistaken)
    with pytest.raises(TypeError, match="ours"):
        chosen_tables(read_run(scored(tmp_path)))


def test_predictions_of_a_clip_that_the_run_does_not_have_are_named(tmp_path: Path) -> None:
    folder = scored(tmp_path)
    path = folder / "clips.jsonl"
    path.write_text(path.read_text().replace('"clip": "b"', '"clip": "c"'))
    with pytest.raises(BadInput, match=r"predictions\.jsonl has a line of a clip"):
        Runs(tmp_path).index("run")
