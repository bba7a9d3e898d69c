"""A task made of a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from jsonschema import Draft202012Validator
from typing_extensions import override

from ghostbench.errors import BadInput, Unparseable
from ghostbench.frames import Frames
from ghostbench.plugins.text import printable
from ghostbench.records import Answer, FramePart, Grade, Part, TextPart, Verdict, VideoPart
from ghostbench.tasks.base import Task
from ghostbench.tasks.examples import example_parts, examples_as_told, examples_in_words, shown_clips
from ghostbench.tasks.form import Form, shipped_form, shipped_words
from ghostbench.tasks.json_text import read_answer, write_answer
from ghostbench.tasks.negation import Words, stated_grade
from ghostbench.tasks.unsaid import unsaid
from ghostbench.tasks.wording import MAIN


class WrittenTask(Task):
    """A task whose words, schema and reading are its form's.

    form : set by the subclass; the class attributes of `Task` follow from it.
    states_form : whether the form is among the words that the task's digest is of. It is for all but the first, whose
        digest is older than the form.
    """

    form: ClassVar[Form]
    states_form: ClassVar[bool] = True

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        form = cls.__dict__.get("form")
        if form is None:
            return
        cls.name, cls.version = form.name, form.version
        cls.opening = form.frames.opening
        cls.system, cls.question = form.system, form.question
        cls.schema, cls.schema_name = form.schema_, form.schema_name
        cls.verdict_values = form.verdict_values
        cls.verdict_field = form.verdict if form.verdict_values else None
        cls.max_output_tokens = form.max_output_tokens

    def __reduce__(self) -> Any:
        made = (task_of_form, (self.form,), self.__getstate__())
        return made if type(self).__qualname__ == _MADE else super().__reduce__()

    def parse(self, text: str) -> Answer:
        """Read JSON, fenced JSON or JSON inside prose. Unknown keys, missing keys and bounds count: all must fit."""
        return read_answer(text, self.form.verdict, self._validator, self._read)

    def write(self, verdict: Verdict) -> str:
        """One line of JSON that `parse` reads back. What the verdict does not say is written as `unsaid` has it.

        Raises `ValueError` if the verdict does not fit the schema, which may have no way to leave something unsaid.
        """
        values = [value for value, grade in self.form.grades.items() if grade == verdict.grade]
        if not values:
            raise ValueError(f"this verdict cannot be written: no value of {self.form.verdict!r} means {verdict.grade}")
        properties = self.schema["properties"]
        answer: dict[str, Any] = {self.form.verdict: values[0]}
        for field, name in self.form.fields.named().items():
            said = getattr(verdict, field)
            try:
                is_unsaid = said in (None, "") and not _fits(said, properties[name])
                answer[name] = unsaid(properties[name]) if is_unsaid else said
            except ValueError as error:
                raise ValueError(f"this verdict cannot be written: schema.properties.{name}: {error}") from None
        return write_answer({name: answer[name] for name in properties}, self._validator)

    def template(self) -> dict[str, Any]:
        """The words as of any task, and after them the whole form: how answers are read is in it."""
        frames = self.form.frames
        words = super().template()
        words["frames"] = {"clip": frames.opening, "no_frames": frames.none, "frame": frames.each}
        if self.form.filmed and self.form.video is not None:
            words["frames"] = {"video": self.form.video.opening}
        return {**words, "form": self.form.stated()} if self.states_form else words

    @override
    def variants(self) -> Mapping[str, Task]:
        return {name: task_of_form(self.form.worded(name)) for name in self.form.variants}

    @override
    def in_video(self) -> Task | None:
        # What a subclass says otherwise than its form, the form's words for a video do not say.
        form = self.form.in_video() if "form" in type(self).__dict__ else None
        return None if form is None else task_of_form(form)

    @property
    @override
    def example_clips(self) -> tuple[str, ...]:
        return tuple(example.clip for example in self.form.examples)

    @property
    @override
    def shown_clips(self) -> tuple[str, ...]:
        return shown_clips(self.form)

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.schema)

    @cached_property
    def _words(self) -> Words | None:
        words = self.form.words
        return shipped_words(words) if isinstance(words, str) else words

    def __getstate__(self) -> dict[str, Any]:
        # A validator holds functions, which cannot leave the process; it is made anew where it is needed.
        return {name: value for name, value in self.__dict__.items() if name not in ("_validator", "_words")}

    @override
    def _frame_parts(self, frames: Frames | None) -> tuple[Part, ...]:
        words = self.form.frames
        told = examples_in_words(self.form) if frames is None else example_parts(self.form, self.examples)
        if self.form.filmed and self.form.video is not None:
            return (*told, TextPart(self.form.video.opening), VideoPart())
        if frames is None:
            return (*told, TextPart(words.none))
        parts: list[Part] = [*told, TextPart(words.opening.format(duration=frames.duration_s, count=len(frames)))]
        for position, time_s in enumerate(frames.times_s):
            parts += (TextPart(words.each.format(time=time_s)), FramePart(position, time_s))
        return tuple(parts)

    def _read(self, answer: dict[str, Any]) -> Answer:
        held = {field: answer[name] for field, name in self.form.fields.named().items()}
        time_s = held.pop("event_time_s", None)
        # JSON's 2 and 2.0 are the same number.
        return Answer(grade=self._grade(answer), event_time_s=None if time_s is None else float(time_s), **held)

    def _grade(self, answer: dict[str, Any]) -> Grade:
        stated: str = answer[self.form.verdict]
        return self.form.grades[stated] if self.form.reader == "json" else stated_grade(stated, self._words)


_MADE = "FileTask"


def task_of_form(form: Form) -> WrittenTask:
    """A task made of this form alone. It can be pickled."""
    made: WrittenTask = type(_MADE, (WrittenTask,), {"form": form, "__module__": __name__, "__qualname__": _MADE})()
    return made


def checked_task(form: Form, where: str) -> WrittenTask:
    """A task that can write every grade of its form so that it reads it back. Raises `BadInput`, which begins with
    `where`, for a form that cannot."""
    task = task_of_form(form)
    for grade in dict.fromkeys(form.grades.values()):
        if not any(_comes_back(task, Verdict(grade=grade, **held)) for held in _samples(form)):
            raise BadInput(f"{where}: grades: an answer of grade {grade} cannot be written so that it is read as that")
    _check_variants(form, where)
    return task


def _check_variants(form: Form, where: str) -> None:
    """Raise `BadInput` for a wording that another has too, and for an example's answer that the task cannot read."""
    said = {MAIN: _said(form)}
    for name in form.variants:
        worded = form.worded(name)
        twin = next((other for other, words in said.items() if words == _said(worded)), None)
        if twin is not None:
            raise BadInput(f"{where}: variants.{name}: it says the same as the wording {twin}; leave one of them out")
        said[name] = _said(worded)
        for place, example in enumerate(worded.examples):
            try:
                task_of_form(worded).parse(json.dumps(example.answer))
            except (Unparseable, ValueError) as error:
                raise BadInput(
                    f"{where}: variants.{name}.examples.{place}.answer: {printable(str(error))}; "
                    "an example's answer must be one that the task reads"
                ) from None


def _said(form: Form) -> tuple[Any, ...]:
    """All that a model is told in a wording when it is shown frames."""
    shown = shown_clips(form)
    return form.system, form.frames.opening, form.frames.each, form.question, examples_as_told(form), shown


def _samples(form: Form) -> tuple[dict[str, Any], ...]:
    """What a verdict may say beside its grade: nothing, or of each property something that fits."""
    properties = form.schema_["properties"]
    return {}, {field: _sample(properties[name]) for field, name in form.fields.named().items()}


def _sample(stated: Mapping[str, Any]) -> Any:
    if "enum" in stated:
        return stated["enum"][0]
    return float(stated["minimum"]) if "number" in stated["type"] else "a" * max(1, stated.get("minLength", 0))


def _fits(said: Any, stated: Mapping[str, Any]) -> bool:
    return bool(Draft202012Validator(stated).is_valid(said))


def _comes_back(task: WrittenTask, verdict: Verdict) -> bool:
    try:
        return task.parse(task.write(verdict)).grade == verdict.grade
    except (ValueError, Unparseable):
        return False


class GhostProbingZh(WrittenTask):
    """`ghost-probing` in Chinese words."""

    form = shipped_form("ghost-probing-zh")
