"""The words of a task file: how frames are introduced, what is asked, and the other wordings that it may hold."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from ghostbench.datasets.clip_ids import clip_id

MAIN = "main"
"""What the wording of the task itself is called; a variant cannot have the name."""
ALL = "all"
IN_VIDEO = "for the video"
"""What the wording is called in which a model is asked that sees the video; no variant can have the name."""
MOST_VARIANTS = 32
MOST_EXAMPLES = 16
_LONGEST_ANSWER = 20_000
EXAMPLE = "An example, of another clip: {shows}\nThe answer to it: {answer}"

_NUMBER_FORM = re.compile(r"(?:\.[0-6]f)?")
_OPENING, _EACH, _SHOWN = frozenset({"count", "duration"}), frozenset({"time"}), frozenset({"shows", "answer"})


def _visible(text: str) -> str:
    """Raise `ValueError` for a text of which nothing can be seen, and for control characters."""
    kinds = [unicodedata.category(character) for character in text]
    if any(kind == "Cc" and character not in "\n\t" for kind, character in zip(kinds, text, strict=True)):
        raise ValueError("it has control characters")
    if all(kind[0] in "CZ" for kind in kinds):
        raise ValueError("there is nothing to be seen in it")
    return text


Line = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\n]*\S[^\n]*$"), AfterValidator(_visible)]
Text = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S"), AfterValidator(_visible)]
Name = Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
ClipId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(?:.*\S)?$")]


class Strict(BaseModel):
    """A part of a task file: nothing but what stands here, and of exactly these types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FrameWords(Strict):
    """How frames are introduced: `opening` before them, `each` before every one, `none` where there are none."""

    opening: Line
    none: Line
    each: Line

    @model_validator(mode="after")
    def _placeholders(self) -> FrameWords:
        _check_placeholders("opening", self.opening, _OPENING)
        _check_placeholders("none", self.none, frozenset())
        if not _check_placeholders("each", self.each, _EACH):
            raise ValueError("each: a frame needs its time, {time:.2f}")
        return self


class VideoWords(Strict):
    """How a model is told that sees the clip's own video and no frames: `opening` stands before the video, and `system`
    in the place of the task's system text, where that speaks of frames."""

    opening: Line
    system: Text | None = None

    @model_validator(mode="after")
    def _placeholders(self) -> VideoWords:
        _check_placeholders("opening", self.opening, frozenset())
        return self


class Example(Strict):
    """A clip with the right answer to it, which is told before the question.

    clip : its id, so that it is left out of the scoring; no model is told. shows : what there is to see in it, in
    words. frames : whether its own frames are shown instead, as the clip in question is. answer : an object that fits
    the task's schema.
    """

    clip: ClipId
    shows: Text | None = None
    frames: bool = False
    answer: dict[str, JsonValue]

    @model_validator(mode="after")
    def _shows_in_one_way(self) -> Example:
        if (self.shows is None) is not self.frames:
            raise ValueError("it has shows, what there is to see in words, or frames: true, which shows the clip's own")
        return self

    @model_serializer(mode="wrap")
    def _as_stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value not in (None, False)}

    @field_validator("answer")
    @classmethod
    def _is_written_in_short(cls, answer: dict[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            length = len(json.dumps(answer, allow_nan=False))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"answer: no JSON can be written of it: {error}") from None
        if length > _LONGEST_ANSWER:
            raise ValueError(f"answer: {length} characters as JSON; it may have {_LONGEST_ANSWER}")
        return answer


class VariantForm(Strict):
    """Another wording of the same question: what it does not say is as in the task itself.

    examples : shown before the question, each as `example` has it.
    """

    summary: Line | None = None
    language: Language | None = None
    system: Text | None = None
    frames: FrameWords | None = None
    question: Text | None = None
    examples: Annotated[tuple[Example, ...], Field(strict=False, max_length=MOST_EXAMPLES)] = ()
    example: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> VariantForm:
        if not (self.system or self.frames or self.question or self.examples):
            raise ValueError("it says nothing of its own: give it a system text, frames, a question or examples")
        if self.example is not None and not self.examples:
            raise ValueError("example: there are no examples for it to introduce")
        check_example_words(self.example, once=any(example.frames for example in self.examples))
        _once_each([example.clip for example in self.examples])
        return self

    def changes(self) -> dict[str, Any]:
        """The fields of a task that the wording sets, by name."""
        stated = {"system": self.system, "frames": self.frames, "question": self.question, "language": self.language}
        told = {"examples": self.examples, "example": self.example or EXAMPLE} if self.examples else {}
        return {name: value for name, value in stated.items() if value is not None} | told


def check_example_words(text: str | None, *, once: bool = False) -> None:
    """Raise `ValueError` unless the text has a place for what an example shows and one for its answer.

    once : whether there may be only one place for what it shows, since frames stand there.
    """
    if text is None:
        return
    named = _check_placeholders("example", text, _SHOWN, numbers=False)
    for name in ("shows", "answer"):
        if name not in named:
            raise ValueError(f"example: it needs {{{name}}}")
    if once and sum(name == "shows" for _, name, _, _ in string.Formatter().parse(text)) > 1:
        raise ValueError("example: {shows} stands there twice, and frames are shown once")


def _once_each(clips: list[str]) -> None:
    """Raise `ValueError` for a clip that is named twice, with and without a file's ending too, and for no clip's id."""
    meant = [clip_id(clip) for clip in clips]
    for clip in meant:
        if meant.count(clip) > 1:
            raise ValueError(f"examples: the clip {clip!r} is there twice")


def _check_placeholders(of: str, text: str, known: frozenset[str], *, numbers: bool = True) -> set[str]:
    """The placeholders in a text. Only times, counts and lengths can stand in a wording: nothing else of a clip has a
    name there."""
    named = set()
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{of}: {error}; a brace that is meant as one is doubled") from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in known:
            allowed = ", ".join("{" + each + "}" for each in sorted(known)) or "none"
            raise ValueError(f"{of}: the placeholder {{{name}}} is not known; it may have {allowed}")
        if not numbers and (form or conversion):
            raise ValueError(f"{of}: {{{name}}} stands there as it is, without a form")
        # Python's own forms can ask for a billion spaces.
        if conversion or not _NUMBER_FORM.fullmatch(form or "") or (form and name == "count"):
            raise ValueError(f"{of}: {{{name}}} may say how many decimals it has, as in {{time:.2f}}, and no more")
        named.add(name)
    return named
