"""A plugin's task that says of itself what cannot be is one line before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest

from ghostbench import BadInput, Task, TaskSpec
from ghostbench.plugins.registry import registry
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.load import load_task


def fails(*_: Any) -> Any:
    raise ZeroDivisionError("twice\nin two lines")


STRANGE = {
    "version": object(),
    "claim": 5,
    "left_out": "event_time",
    "sampling": None,
    "at_moments": "yes",
    "moments_per_s": "many",
    "max_output_tokens": -1,
    "schema": [],
    "system": b"Look.",
    "opening": property(fails),
    "template": fails,
}


@pytest.mark.parametrize("attribute", STRANGE)
def test_it_is_told_in_one_line(attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = type("Strange", (GhostProbing,), {"name": "strange", attribute: STRANGE[attribute]})
    monkeypatch.setitem(registry().tasks, "strange", TaskSpec(name="strange", load="a:b", summary="of a test"))
    monkeypatch.setattr("ghostbench.tasks.load.load_target", lambda target: made)
    with pytest.raises(BadInput, match=r"^task 'strange': [^\n]*; repair or remove its plugin$"):
        load_task("strange")


def test_one_that_builds_its_prompts_by_itself_needs_no_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Task):
        name, version = "own", "1"

        def build(self, frames: Any) -> Any:
            return GhostProbing().build(frames)

        def template(self) -> dict[str, Any]:
            return {"name": self.name}

        def parse(self, text: str) -> Any:
            return GhostProbing().parse(text)

        def write(self, verdict: Any) -> str:
            return GhostProbing().write(verdict)

    monkeypatch.setitem(registry().tasks, "own", TaskSpec(name="own", load="a:b", summary="of a test"))
    monkeypatch.setattr("ghostbench.tasks.load.load_target", lambda target: Own)
    assert load_task("own").name == "own"


def test_every_task_that_comes_along_says_what_can_be() -> None:
    assert all(load_task(name).claim for name in registry().tasks)
