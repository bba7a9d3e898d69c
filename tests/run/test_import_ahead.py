"""What is imported while workers start is what scoring and reports import, and nothing where others are asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, threading
from types import SimpleNamespace as Of
from ghostbench.running.import_ahead import MODULES, importing_ahead
kinds, on = json.loads(sys.argv[1])
plan = Of(options=Of(placement=Of(place=on)), hosts=[Of(choice=Of(spec=Of(kind=kind))) for kind in kinds])
with importing_ahead(plan):
    for thread in threading.enumerate():
        if thread.name == "imports ahead":
            thread.join()
print(json.dumps([name for name in MODULES if name in sys.modules]))
"""


def imported(kinds: list[str], on: str) -> list[str]:
    words = [sys.executable, "-c", SCRIPT, json.dumps([kinds, on])]
    found: list[str] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return found


def test_all_of_it_is_imported_where_every_model_has_a_process_of_its_own() -> None:
    from ghostbench.running.import_ahead import MODULES

    assert imported(["local", "reference"], "process") == list(MODULES)


@pytest.mark.parametrize(
    ("kinds", "on"), [(["local"], "thread"), (["local", "remote"], "process"), (["reference"], "process")]
)
def test_nothing_is_where_models_are_asked_or_compute_here(kinds: list[str], on: str) -> None:
    assert imported(kinds, on) == []
