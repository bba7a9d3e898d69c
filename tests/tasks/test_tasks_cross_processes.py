"""A task crosses to a worker's process at any time: also after it has read and written answers."""

from __future__ import annotations

import pickle

import pytest

from ghostbench.plugins.registry import registry
from ghostbench.records import Verdict
from ghostbench.tasks.load import load_task


@pytest.mark.parametrize("name", sorted(registry().tasks))
def test_a_task_that_has_been_used_is_pickled_and_reads_as_before(name: str) -> None:
    task = load_task(name)
    text = task.write(Verdict(grade="ghost_probing", event_time_s=1.5, evidence="x"))
    said = task.parse(text)
    again = pickle.loads(pickle.dumps(task))
    assert again.parse(text) == said
    assert again.template_sha256() == task.template_sha256()
    assert pickle.loads(pickle.dumps(task.write))(Verdict(grade="normal")) == task.write(Verdict(grade="normal"))
