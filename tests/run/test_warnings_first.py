"""What a run of early warning shows first: warnings and false alarms, and no rate of whole clips in their place."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from ghostbench.errors import BadInput
from ghostbench.evidence.compare import compare
from ghostbench.evidence.contenders import read_field
from ghostbench.evidence.verify import verify
from ghostbench.report.overview import overview

WHOLE_CLIPS = ("F1", "Bal.acc", "rates_strict", "rates_lenient", "beat")


@pytest.mark.slow
def test_no_rate_of_whole_clips_stands_where_warnings_are_asked_for(bench: Any) -> None:
    done = bench.run("--task", "ghost-warning", "--dataset", "ghost5", "--models", "always,never", "--run-id", "w")
    assert done.returncode == 0, done.stderr
    assert [word for word in WHOLE_CLIPS if word in done.stdout] == []
    lines = {words[0]: words for line in done.stdout.splitlines() if len(words := line.split()) > 3}
    assert lines["Model"] == ["Model", "Answered", "Warned", "False", "al.", "a", "clip", "AP,", "mean"]
    # Nothing in ghost5 is seen before it happens: nobody can warn. An endless alarm is false on every safe clip.
    assert (lines["always"][2], lines["always"][3]) == ("n/a", "1.000")
    folder = bench.folder / "results" / "w"
    with (folder / "tables" / "summary.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert (rows["always"]["warned"], float(rows["always"]["false_alarms_per_clip"])) == ("", 1.0)
    assert (rows["never"]["warned"], float(rows["never"]["false_alarms_per_clip"])) == ("", 0.0)
    page = (folder / "report.html").read_text(encoding="utf-8")
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert [word for word in ("F1 strict", "F1 lenient", "Confusion matrices") if word in page + report] == []
    [line] = overview(folder.parent)
    assert (line["name"], line["best"]) == ("w", None)
    with (folder / "tables" / "early_warning.csv").open() as file:
        names = [row["model"] for row in csv.DictReader(file)]
    assert names == ["always", "never", "category-prior", "constant-time", "category-time"]
    with pytest.raises(BadInput, match="asks at moments"):
        compare(read_field([folder]))


def test_whole_clips_are_shown_as_before(bench: Any) -> None:
    done = bench.run("--dataset", "ghost5", "--models", "always", "--run-id", "r")
    assert "F1 strict" in done.stdout
    assert "Warned" not in done.stdout


@pytest.mark.slow
def test_the_sustain_rule_is_kept_with_the_run_and_refused_where_there_are_no_moments(bench: Any) -> None:
    given = ["--dataset", "ghost5", "--models", "motion", "--limit", "2", "--quiet"]
    done = bench.run("--task", "ghost-warning", "--sustain", "2/3", "--run-id", "w", *given)
    assert done.returncode == 0, done.stderr
    folder = bench.folder / "results" / "w"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["task"]["sustain"], manifest["options"]["sustain"]) == ("2/3", "2/3")
    measured = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["models"]["motion"]["early_warning"]
    assert measured["rule"] == "2/3"
    assert list(measured["sustain"]) == ["2 of 3", "1 of 1", "3 of 3"]
    assert measured["warned"] == measured["sustain"]["2 of 3"]["warned"]
    assert verify(folder).findings == ()
    assert "2 of the last 3 moments" in (folder / "report.md").read_text(encoding="utf-8")
    refused = bench.run("--sustain", "2/3", "--run-id", "r", *given)
    assert refused.returncode == 2
    assert "'ghost-probing' looks at whole clips" in refused.stderr
    changed = bench.run("--task", "ghost-warning", "--sustain", "3/3", "--run-id", "w", "--resume", *given)
    assert changed.returncode == 2
