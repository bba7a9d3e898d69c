"""The examples in the docstrings of the statistics run and give what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import ghostbench.scoring

MODULES = sorted(module.name for module in pkgutil.iter_modules(ghostbench.scoring.__path__))
OF_RUNS = {
    "alarm_thresholds": {"alarm_threshold", "first_alarms_of", "leads_by_rate"},
    "before_event": {"average_precision_before", "scores_before"},
    "chance_alarms": {"by_chance", "leads_by_chance"},
    "early_warning": {"early_warning"},
    "references": {"predicted", "trivial_rows", "reference_rows", "repeats"},
    "score": {"score_run", "compute_metrics"},
    "task_numbers": {"task_numbers"},
    "timed_alarms": {"constant_times", "timed_rows"},
    "visible_time": {"by_visible_time"},
    "watched": {"asks_at_moments", "watched", "window_of"},
}
"""What takes a whole run is shown by the tests on whole runs."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"ghostbench.scoring.{name}")).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name: str) -> None:
    module = importlib.import_module(f"ghostbench.scoring.{name}")
    public = [
        function
        for word, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not word.startswith("_")
    ]
    bare = {inspect.unwrap(each).__name__ for each in public if ">>> " not in (each.__doc__ or "")}
    assert bare == OF_RUNS.get(name, set())
