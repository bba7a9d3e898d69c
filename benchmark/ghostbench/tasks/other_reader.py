"""Which other task reads texts that the task they were asked for cannot: a question of tasks, on which no number rests.

An answer is read once, by its run's task, when it is settled; scoring and report go by what was read then. Texts that
this task could not read stay unread whatever is found here: it only says which task would read them, to be named to
somebody who scored a recording by the wrong one. Asked when a run is shown, since it needs many answers together and is
worth nothing to the run itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ghostbench.errors import BadInput, Unparseable
from ghostbench.tasks.base import Task
from ghostbench.tasks.load import load_task


def other_reader(name: str, texts: Sequence[str], share: float) -> tuple[Task, int] | None:
    """The first other registered task that reads at least this share of the texts, and how many it reads; None where
    there is none, or no text.

    name : of the task that cannot read them. share : in (0, 1].
    """
    for task in _others(name) if texts else ():
        count = sum(_reads(task, text) for text in texts)
        if count >= share * len(texts):
            return task, count
    return None


def _others(name: str) -> Iterator[Task]:
    """The other registered tasks, as far as they can be loaded."""
    from ghostbench.plugins.registry import registry

    for other in registry().tasks:
        try:
            if other != name:
                yield load_task(other)
        except BadInput:
            continue


def _reads(task: Task, text: str) -> bool:
    try:
        task.parse(text)
    except Unparseable:
        return False
    except Exception:  # noqa: BLE001 - a stranger's task may raise anything; then it does not read the text
        return False
    return True
