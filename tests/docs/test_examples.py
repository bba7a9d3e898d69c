"""Every example runs and gives what it shows, in the docstrings of all modules and on the pages beside the packages."""

from __future__ import annotations

import doctest
import importlib
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ghostbench
from ghostbench import Frames, Model, Question, Task
from ghostbench.conformance import AdapterConformance
from ghostbench.running.ask.questions import Questions
from ghostbench.running.plan.causal import check_causal

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
RUN_HERE = {"add-a-model.md": 2, "add-a-task-or-section.md": 2}
RUN_BESIDE_THE_API = {"api.md": 3}


def with_examples() -> list[str]:
    """The modules whose docstrings have examples, but for the statistics, which have tests of their own."""
    found = []
    for home in (ROOT / "benchmark", ROOT / "adapters"):
        for path in sorted(home.glob("ghostbench*/**/*.py")):
            name = ".".join(path.relative_to(home).with_suffix("").parts)
            if "\n    >>> " in path.read_text(encoding="utf-8") and not name.startswith("ghostbench.scoring."):
                found.append(name)
    return found


@pytest.mark.parametrize("name", with_examples())
def test_examples_of_docstrings_give_what_they_show(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed


def pieces(page: list[Any]) -> list[str]:
    """The blocks of Python that belong to no package's file."""
    return [block.text for block in page if block.language == "python" and not block.title]


def test_no_page_has_an_example_that_nothing_runs(blocks: Callable[[str], list[Any]]) -> None:
    assert {page: len(found) for page in PAGES if (found := pieces(blocks(page)))} == RUN_HERE | RUN_BESIDE_THE_API


def executed(code: str, **known: Any) -> dict[str, Any]:
    names: dict[str, Any] = {**known, "__name__": "an_example"}
    exec(compile(code, "an example", "exec"), names)
    return names


def drawn(count: int) -> Frames:
    pixels = np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)
    times = tuple(place / 4 for place in range(count))
    return Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count / 4, decoder="drawn")


def test_a_task_that_asks_twice_asks_twice(blocks: Callable[[str], list[Any]]) -> None:
    page = blocks("add-a-task-or-section.md")
    module = executed(next(block.text for block in page if block.title.endswith("task.py")))
    made = executed(pieces(page)[0], OneWord=module["OneWord"])
    task: Task = made["Twice"]()
    check_causal(task)
    asked: tuple[Question, ...] = Questions(task).about(drawn(20))
    assert [question.moment_s for question in asked] == [1.0, 2.0]
    assert [len(question.frames or ()) for question in asked] == [5, 9]


def test_who_wants_to_hear_of_a_runs_end_does(
    blocks: Callable[[str], list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = executed(pieces(blocks("add-a-task-or-section.md"))[1])["run_finished"]
    run = ghostbench.run("never", out=tmp_path, run_id="r", limit=2)
    hook(folder=str(run.folder))
    assert "never: 2 of 2 answered" in capsys.readouterr().out


def test_a_model_says_what_decides_which_model_answers(
    blocks: Callable[[str], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_URL", "https://elsewhere.example")
    identity = executed(pieces(blocks("add-a-model.md"))[0], os=os)["identity"]
    made: Any = type("Mine", (Model,), {"identity": identity})
    assert identity(object.__new__(made)) == {"base_url": "https://elsewhere.example"}


def test_the_kits_class_is_one(blocks: Callable[[str], list[Any]]) -> None:
    stubs = types.SimpleNamespace(starve=lambda model: None, spoil=lambda model: None)
    shown = executed(pieces(blocks("add-a-model.md"))[1], **vars(stubs))["TestConformance"]
    assert issubclass(shown, AdapterConformance)
    assert len(shown.faults) == 5
