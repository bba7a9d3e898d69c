"""A task's wording must say nothing of the clips that it is asked about: no id, no category, no label."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.records import Split
from ghostbench.tasks.base import Task

_WORD = re.compile(r"[\w.-]+")
_CATEGORY = re.compile(
    r"\bimages[_-]\d+|\bcategor(?:y|ies)\W{0,3}(?:no\.?|number|id)?\W{0,3}\d|类别\W{0,3}\d|第\s*\d+\s*类"
)
_LABEL = re.compile(r"\b\d+(?:\.\d+)?\s*s\s*:\s*(?:ghost[\s-]*probing|cut-in)", re.IGNORECASE)
_APART = "\n" + 8 * "\0" + "\n"
"""Between two texts: more signs than a form has room for, so that none is found across them."""
_SHORTEST_ID, _SHORTEST_REMARK = 4, 30
"""Characters. What is shorter, and an id without a digit or without a letter, are ordinary words and numbers."""


def check_wording(task: Task, split: Split) -> None:
    """Raise `BadInput` where the task's words hold a clip's id, an accident category, a label or a label's remark.

    What the words tell of as an example is no clip of the split any more; its id is in no words either.
    """
    # Every text by itself and as it is: written as JSON, a line's first word would begin with an n.
    words = _APART.join(_texts(_told(task.template()))).casefold()
    spelled = {word.strip(".-") for word in _WORD.findall(words)}
    spelled |= {word.rpartition(".")[0] for word in spelled}
    for id_ in (*(clip.id for clip in split.clips), *split.left_out, *task.example_clips):
        name = id_.casefold()
        if _tells(name) and (name in spelled or (_WORD.fullmatch(name) is None and name in words)):
            raise _leaks(task, f"the id of a clip, {id_!r}")
    flat = " ".join(words.split())
    for clip in split.clips:
        remark = " ".join((clip.remark or "").casefold().split())
        if len(remark) >= _SHORTEST_REMARK and remark in flat:
            raise _leaks(task, f"the remark of the label of {clip.id!r}")
    for form, what in ((_CATEGORY, "an accident category"), (_LABEL, "a label")):
        found = form.search(words)
        if found is not None:
            raise _leaks(task, f"{what}, {found[0]!r}")


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value such as JSON has, the names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _told(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """A template without what no model is told: which clips the examples are."""
    form = template.get("form")
    if not isinstance(form, Mapping) or "examples" not in form:
        return template
    examples = [{**example, "clip": None} for example in form["examples"]]
    return {**template, "form": {**form, "examples": examples}}


def _tells(name: str) -> bool:
    return len(name) >= _SHORTEST_ID and any(map(str.isdigit, name)) and any(map(str.isalpha, name))


def _leaks(task: Task, what: str) -> BadInput:
    return BadInput(f"the wording of task '{printable(task.name)}' holds {printable(what)}: no model may be told that")
