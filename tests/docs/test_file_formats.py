"""The page on file formats names every field of every file that a run writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warm_process import run_bench

DOCS = Path(__file__).resolve().parents[2] / "docs"
BY_NAME = {  # objects whose keys are names or values of the run, not fields
    "versions",
    "options",
    "identity",
    "settings",
    "facts",
    "outcomes",
    "attempt_outcomes",
    "fallbacks",
    "confusion",
    "detection_rates",
    "digests",
    "operating_points",
    "baselines",
    "prevalences",
    "actors",
    "category",
    "duration",
    "label",
    "truth",
    "grade_probabilities",
}


def fields(value: Any, name: str = "") -> Iterator[str]:
    """Every key that is a field, at any depth; one element of lists and of objects keyed by name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if name == "slices" and "." in key:  # a way to slice that the page names as labels.NAME and parameters.NAME
                continue
            if name not in BY_NAME and name not in {"models", "reference"}:
                yield key
            if name == "confusion":  # {truth: {grade: count}}
                continue
            yield from fields(inner, "" if name in BY_NAME | {"models", "reference"} else key)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with probes and repeats, so that every part of the files is there."""
    folder = tmp_path_factory.mktemp("run")
    words = ["run", "--models", "motion,always", "--probe", "blank", "--repeats", "2", "--out", str(folder)]
    done = run_bench([*words, "--run-id", "r", "--quiet"], cwd=folder, env=os.environ)
    assert done.returncode == 0, done.stderr
    return folder / "r"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manifest.json", "metrics.json"])
def test_every_field_is_named(run: Path, name: str) -> None:
    page = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    named = {word for quoted in re.findall(r"`([^`]+)`", page) for word in re.findall(r"\w+", quoted)}
    written = set(fields(json.loads((run / name).read_text(encoding="utf-8"))))
    assert len(written) > 20
    assert sorted(written - named) == []


@pytest.mark.parametrize(
    ("name", "record"),
    [("clips.jsonl", "ClipLine"), ("attempts.jsonl", "AttemptLine"), ("predictions.jsonl", "PredictionLine")],
)
def test_every_line_is_the_record_that_the_page_shows(run: Path, name: str, record: str) -> None:
    import dataclasses

    from ghostbench import label, records
    from ghostbench.folder import lines as folder_lines

    page = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    section = page.partition(f"### {name}\n")[2].partition("### ")[0]
    assert f"::: ghostbench.folder.lines.{record}\n" in section
    shown = [field.name for field in dataclasses.fields(getattr(folder_lines, record))]
    lines = (run / name).read_text(encoding="utf-8").splitlines()
    assert all(list(json.loads(line)) == shown for line in lines)
    parts = {"stages": records.Stages, "usage": records.Usage, "memory": records.Memory, "labels": label.Label}
    for part, kind in parts.items():
        if part in shown:
            fields_of = [f.name for f in dataclasses.fields(kind)]
            assert all(list(json.loads(line)[part]) == fields_of for line in lines)


def test_every_outcome_and_every_file_is_named(run: Path) -> None:
    from ghostbench.outcomes import Outcome

    page = (DOCS / "file-formats.md").read_text(encoding="utf-8")
    assert [outcome for outcome in Outcome if f"`{outcome}`" not in page] == []
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    shown = {name for name in files if f"`{name}`" in page or name.startswith(("tables/", "prompts/"))}
    assert shown == files
