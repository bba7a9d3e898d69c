"""The examples in the docstrings of the statistics run and give what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest

MODULES = (
    "account", "actors", "agreement", "attributes", "clusters", "counts", "draws", "intervals", "label_doubt", "paired",
    "prevalence", "probabilities", "ranking", "rates", "significance", "trivial", "views", "warm_up",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    module = importlib.import_module(f"ghostbench.scoring.{name}")
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_of_arrays_has_an_example(name: str) -> None:
    """Functions of a run's table of rows are shown by the tests on whole runs instead."""
    module = importlib.import_module(f"ghostbench.scoring.{name}")
    public = [
        function
        for word, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not word.startswith("_")
    ]
    bare = [
        function.__name__
        for function in public
        if ">>> " not in (function.__doc__ or "") and "pd." not in str(inspect.signature(function))
    ]
    assert bare == []
