"""Nothing that identifies a clip reaches a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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


def test_random_ids_say_nothing_about_the_order(bench: Any) -> None:
    first, second = [], []
    for run_id, found in (("a", first), ("b", second)):
        bench.run("--models", "local-spy", "--run-id", run_id)
        found += [line["request_id"] for line in bench.lines(run_id, "attempts.jsonl")]
    assert not set(first) & set(second)
