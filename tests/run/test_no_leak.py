"""Nothing that identifies a clip reaches a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ghostbench.label import COLUMNS


def test_no_id_name_category_remark_or_label_reaches_a_model(bench: Any, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    for task in ("ghost-probing", "ghost-probing-summary"):
        done = bench.run("--models", "dumper", "--task", task, "--run-id", task, SPY_DUMP=str(dump))
        assert "Traceback" not in done.stderr
        assert len(bench.lines(task, "attempts.jsonl")) == 6
    seen = dump.read_bytes().decode("utf-8", "replace")
    assert len(seen) > 10_000
    for clip in bench.lines("ghost-probing", "clips.jsonl"):
        assert clip["clip"] not in seen
        assert clip["remark"] not in seen
    for word in ("images_", ".avi", "clips/", "drawn", "labels.csv", "remark of", "truth", "category"):
        assert word not in seen, word


@pytest.mark.slow
def test_random_ids_say_nothing_about_the_order(bench: Any) -> None:
    first, second = [], []
    for run_id, found in (("a", first), ("b", second)):
        bench.run("--models", "local-spy", "--run-id", run_id)
        found += [line["request_id"] for line in bench.lines(run_id, "attempts.jsonl")]
    assert not set(first) & set(second)


def test_nothing_of_labels_and_parameters_reaches_a_model(bench: Any, tmp_path: Path) -> None:
    """Every column of the label file and every parameter holds words that stand nowhere else."""
    folder = tmp_path / "set"
    shutil.copytree(bench.dataset.parent, folder)
    cells = {"seconds": "0.123457", "words": "canary-{name}", "yes_no": "yes"}
    written = [cells[kind].format(name=name) for name, kind in COLUMNS.items()]
    clips = [path.stem for path in sorted((folder / "clips").iterdir())]
    rows = "".join(f"{clip},none,{','.join(written)}\n" for clip in clips)
    (folder / "labels.csv").write_text(f"video_id,ground_truth_label,{','.join(COLUMNS)}\n{rows}")
    parameters = {"canary parameter": "canary value", "canary number": 987654.25}
    (folder / "more.json").write_text(json.dumps(dict.fromkeys(clips, parameters)))
    with (folder / "dataset.yaml").open("a") as file:
        file.write("annotations: more.json\n")
    dump = tmp_path / "dump"
    words = ("--dataset", str(folder / "dataset.yaml"), "--models", "dumper", "--run-id", "r")
    assert "Traceback" not in bench.run(*words, dataset=False, SPY_DUMP=str(dump)).stderr
    lines = bench.lines("r", "clips.jsonl")
    assert len(lines) == len(bench.lines("r", "attempts.jsonl")) == 6
    for line in lines:
        assert line["parameters"] == parameters
        assert line["labels"]["contact_s"] == 0.123457
        assert None not in line["labels"].values()
    seen = dump.read_bytes().decode("utf-8", "replace")
    assert len(seen) > 10_000
    for word in ("canary", "987654", "0.123457", "labels", "parameters", *COLUMNS):
        if word not in {"actor", "occluder"}:  # what the task asks for
            assert word not in seen, word
