"""The task `ghost-probing`: one of three grades for a clip, as JSON that fits a schema. Its words are a task file."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from ghostbench.records import Verdict
from ghostbench.tasks.form import shipped_form
from ghostbench.tasks.written_task import WrittenTask

_FORM: Final = shipped_form("ghost-probing")

DEFINITIONS: Final = _FORM.system.split("\n\n")[1]
"""What ghost probing is and is not, in the words that every task of ours uses."""

SCHEMA: Final[dict[str, Any]] = _FORM.schema_
"""Draft 2020-12 without $ref; every property is required and none may be added, as OpenAI's strict mode demands.

Strict modes of hosted models differ in the bounds they take (`minimum`, `maximum`, `maxLength`), while llguidance takes
all of them. An adapter leaves out what its server refuses; the parser checks the whole schema in any case, and the
system text asks for answers well within the bounds.
"""


class GhostProbing(WrittenTask):
    """Three grades, in a schema without free choice in the verdict."""

    form = _FORM
    states_form: ClassVar[bool] = False


_TASK: Final = GhostProbing()


def write(verdict: Verdict) -> str:
    """The verdict as JSON that `GhostProbing.parse` reads back. Raises `ValueError` if it does not fit the schema."""
    return _TASK.write(verdict)


def seconds(stated: float | None) -> float | None:
    """A time as JSON states it, where 2 and 2.0 are the same number, as a float."""
    return None if stated is None else float(stated)
