"""What is imported while workers start is what scoring and reports import, and nothing where others are asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from evidence_data import RunBuilder, dash_clips

SCRIPT = """
import json, sys, threading
from pathlib import Path
from types import SimpleNamespace as Of
from ghostbench.running.import_ahead import MODULES, importing_ahead
kinds, on, folder = json.loads(sys.argv[1])
plan = Of(options=Of(placement=Of(place=on)), configured_models=[Of(choice=Of(spec=Of(kind=kind))) for kind in kinds])
with importing_ahead(plan) as begin:
    before = [name for name in MODULES if name in sys.modules]
    begin()
    begin()
    for thread in threading.enumerate():
        if thread.name == "imports ahead":
            thread.join()
assert not before, "nothing is imported until there is time for it"
assert sys.getswitchinterval() == 0.005
found = {"ahead": [name for name in MODULES if name in sys.modules]}
if folder:
    from ghostbench.report.html import page_template
    before = set(sys.modules)
    found["compiled"] = page_template.cache_info().currsize
    from ghostbench.report.write import write_report
    from ghostbench.scoring.score import score_run
    score_run(Path(folder))
    write_report(Path(folder))
    found["later"] = sorted(set(sys.modules) - before)
print(json.dumps(found))
"""
LIBRARIES = ("jinja2", "markupsafe", "matplotlib", "numpy", "PIL", "pylatexenc", "scipy", "sklearn", "statsmodels")


def imported(kinds: list[str], on: str, folder: Path | None = None) -> dict[str, list[str]]:
    words = [sys.executable, "-c", SCRIPT, json.dumps([kinds, on, folder and str(folder)])]
    found: dict[str, list[str]] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return found


def test_all_of_it_is_made_ready_where_every_model_has_a_process_of_its_own(tmp_path: Path) -> None:
    from ghostbench.running.import_ahead import MODULES

    builder = RunBuilder(dash_clips(8, 0, 4))
    builder.rows("m", [line["truth"] for line in builder.clips])
    found = imported(["local", "reference"], "process", builder.write(tmp_path / "r"))
    assert found["ahead"] == list(MODULES)
    assert found["compiled"]
    later = {name for name in found["later"] if name.partition(".")[0] in LIBRARIES}
    # A module that warns whoever imports it by name.
    assert later <= {"matplotlib.style.core"}


@pytest.mark.parametrize(
    ("kinds", "on"), [(["local"], "thread"), (["local", "remote"], "process"), (["reference"], "process")]
)
def test_nothing_is_where_models_are_asked_or_compute_here(kinds: list[str], on: str) -> None:
    assert imported(kinds, on)["ahead"] == []
