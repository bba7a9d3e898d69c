"""A task's wording must say nothing of the clips that it is asked about: no id, no category, no label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.records import Split
from ghostbench.tasks.base import Task

_WORD = re.compile(r"[\w.-]+")
_JOINED = re.compile(r"[^\W_]+(?:[_.:#/\\\u2010-\u2015\u00b7-][^\W_]+)+")
"""Pieces with single marks between them: an id written with other marks, or with more."""
_RUN = re.compile(r"[^\W\d_]+|\d+")
_FOLDER = re.compile(r"(?<![\d/.])\d+(?:_\d{3,}|[/\\]0\d{2,})(?![\d/.])")
"""Category and number alone, as the folders of DADA-2000 are called: 5/014."""
_CATEGORY = re.compile(
    r"\bimages[_-]\d+|\bcategor(?:y|ies)\W{0,3}(?:no\.?|number|id)?\W{0,3}\d|类别\W{0,3}\d|第\s*\d+\s*类"
    r"|\bcategor(?:y|ies) (?:no\.? |number )?"
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w{3,5}teen|(?:twen|thir|for|fif|six)ty)\b"
    r"|类别[二三四五六七八九十]"
)
_LABEL = re.compile(
    r"(?<![\d.])\d+(?:\.\d+)?\s*(?:s|sec|seconds?|秒)\s*:\s*(?:ghost[\s-]*probing|cut[\s-]*in|鬼探头|加塞|切入)"
)
_LOOKS_LIKE = str.maketrans(
    "асеһіјӏкмпорԛѕтԝхуԁӕ" "αικνορτυχγ" "օոսհց" "ıɡɑɩ",
    "acehijlkmnopqstwxydæ" "aiknoptuxy" "onuhg" "igai",
)  # fmt: skip
"""Letters of Cyrillic, Greek, Armenian and phonetic alphabets that nobody tells from Latin ones by eye."""
_APART = "\n" + 8 * "\0" + "\n"
"""Between two texts: more signs than a form has room for, so that none is found across them."""
_SHORTEST_ID, _SHORTEST_REMARK = 4, 30
"""Characters. What is shorter, and an id without a digit or without a letter, are ordinary words and numbers."""
_SHORTEST_APART = 6
"""Letters and digits of an id that is also found where its pieces stand apart."""


def check_wording(task: Task, split: Split) -> None:
    """Raise `BadInput` where the task's words hold a clip's id, an accident category, a label or a label's remark.

    What the words tell of as an example is no clip of the split any more; its id is in no words either.
    """
    # Every text by itself and as it is: written as JSON, a line's first word would begin with an n.
    texts = [_plain(text) for text in _texts(_told(task.template()))]
    words = _APART.join(texts)
    told = _Told(texts, words)
    for id_ in (*(clip.id for clip in split.clips), *split.left_out, *task.example_clips):
        if told.has(_plain(id_)):
            raise _leaks(task, f"the id of a clip, {id_!r}")
    flat = " ".join(words.split())
    for clip in split.clips:
        remark = " ".join(_plain(clip.remark or "").split())
        if len(remark) >= _SHORTEST_REMARK and remark in flat:
            raise _leaks(task, f"the remark of the label of {clip.id!r}")
    for form, what in ((_CATEGORY, "an accident category"), (_LABEL, "a label")):
        found = form.search(words)
        if found is not None:
            raise _leaks(task, f"{what}, {found[0]!r}")


def _plain(text: str) -> str:
    """A text without what the eye passes over: case, width, accents, letters of other alphabets, hidden characters."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    seen = (character for character in folded if unicodedata.category(character) not in {"Mn", "Cf"})
    digits = (str(unicodedata.decimal(character, character)) for character in seen)
    return "".join(digits).casefold().translate(_LOOKS_LIKE)


class _Told:
    """What a task says, for finding ids in it however they are cut up. The time that takes grows with the number of
    ids, and with the length of the words, and not with both multiplied."""

    def __init__(self, texts: Sequence[str], words: str) -> None:
        self._words = words
        spelled = {word.strip(".-") for word in _WORD.findall(words)}
        self._spelled = spelled | {word.rpartition(".")[0] for word in spelled}
        self._joined = {_squeezed(word) for text in texts for word in _JOINED.findall(text)}
        self._folders = {re.sub(r"[/\\]", "_", found) for text in texts for found in _FOLDER.findall(text)}
        self._runs = [_runs(text) for text in texts]
        self._in_a_row: dict[int, set[tuple[str, ...]]] = {}

    def has(self, name: str) -> bool:
        """Whether an id, in plain letters, stands in the words."""
        if not _tells(name):
            return False
        if name in self._spelled or (_WORD.fullmatch(name) is None and name in self._words):
            return True
        runs, squeezed = _runs(name), _squeezed(name)
        if len(squeezed) < _SHORTEST_APART:
            return False
        if squeezed in self._joined or "_".join(_RUN.findall(name)[1:]) in self._folders:
            return True
        return len(runs) > 2 and runs in self._rows_of(len(runs))

    def _rows_of(self, length: int) -> set[tuple[str, ...]]:
        if length not in self._in_a_row:
            self._in_a_row[length] = {
                runs[start : start + length] for runs in self._runs for start in range(len(runs) - length + 1)
            }
        return self._in_a_row[length]


def _runs(text: str) -> tuple[str, ...]:
    """The runs of letters and of digits in a text; a number's first zeros do not count."""
    return tuple(run.lstrip("0") or "0" if run[0].isdigit() else run for run in _RUN.findall(text))


def _squeezed(text: str) -> str:
    return "".join(_RUN.findall(text))


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
