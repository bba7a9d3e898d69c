"""How a request takes its task's way of writing answers into another process."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ghostbench.records import Verdict

if TYPE_CHECKING:
    from ghostbench.tasks.base import Task


class AnswerWriter:
    """`task.write`, as `Request.write_answer`. In another process the task is imported when it is first called: that
    takes a tenth of a second, and most models write their answers themselves. Safe to use from several threads.

    >>> from ghostbench.tasks.ghost_probing import GhostProbing
    >>> there = pickle.loads(pickle.dumps(AnswerWriter(GhostProbing())))
    >>> GhostProbing().parse(there(Verdict(grade="normal"))).grade
    'normal'
    """

    def __init__(self, task: Task) -> None:
        self._task: Task | None = task
        self._pickled: bytes | None = None

    def __call__(self, verdict: Verdict) -> str:
        """The verdict in the format that the task asks for. Raises what the task does."""
        if self._task is None:
            assert self._pickled is not None
            self._task = pickle.loads(self._pickled)  # noqa: S301 - the run wrote it
        task: Task = self._task
        return task.write(verdict)

    def __getstate__(self) -> Mapping[str, bytes]:
        if self._pickled is None:
            self._pickled = pickle.dumps(self._task)
        return {"pickled": self._pickled}

    def __setstate__(self, state: Mapping[str, bytes]) -> None:
        self._task, self._pickled = None, state["pickled"]
