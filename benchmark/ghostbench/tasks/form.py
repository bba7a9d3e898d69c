"""A task as a YAML file states it: a closed form, of which every word is checked before anything is asked.

docs/add-a-task-or-section.md shows one whole. The tasks that come with ghostbench in this form are in `written/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field, ValidationError, model_validator

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.records import GRADES, Grade
from ghostbench.tasks.negation import Words
from ghostbench.tasks.wording import (
    ALL,
    EXAMPLE,
    MAIN,
    MOST_VARIANTS,
    Example,
    FrameWords,
    Language,
    Line,
    Name,
    Strict,
    Text,
    VariantForm,
    VideoWords,
    check_example_words,
)
from ghostbench.yaml_text import TRUE_AND_FALSE, BoundedLoader, told

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LARGEST = 1 << 18
"""The most bytes of a task file."""
MOST_TOKENS = 8192
"""The largest limit of an answer that a task may state."""
_LONGEST_TEXT = 4000
_MOST_NUMBER = 1e9
_OF_A_UNION = re.compile(r"Words|literal\[.*\]")
"""Steps of pydantic's own on its way to a value that can be one of several things."""
_OF_OBJECT = frozenset({"type", "properties", "required", "additionalProperties"})
_OF_VALUE = frozenset({"type", "enum", "minimum", "maximum", "minLength", "maxLength"})


class FieldNames(Strict):
    """Which property holds what of an answer; None: none does."""

    event_time_s: str | None = None
    actor: str | None = None
    occluder: str | None = None
    evidence: str | None = None

    def named(self) -> dict[str, str]:
        """The properties by what they hold."""
        return {field: name for field, name in self.model_dump().items() if name is not None}


class Form(Strict):
    """A task.

    schema_ : of the answer, a flat object whose first property is the verdict; every other property is in `fields`.
    reader : json: the verdict is one of a few values, by which `grades` finds its grade. text: the verdict is free
        text, read by the rules of negation; `grades` says which text is written for each grade.
    video : the words for models that see the clip's own video; None: such a model cannot be asked. They are a wording
        of their own (`in_video`), with a digest of its own.
    words : for the reader of text, word lists beside the English ones: the name of a list that ships ("zh"), or lists.
    variants : other wordings of the same question, by name. variant, examples, example : of the form that a variant
        comes to (`worded`), never of a file's own: its name, and what is told before the question. filmed : of the form
        that `in_video` gives, likewise.
    """

    name: Name
    version: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[\w.+-]+$")]
    language: Language
    summary: Line
    system: Text
    frames: FrameWords
    question: Text
    schema_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    max_output_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] = 256
    reader: Literal["json", "text"]
    verdict: str
    grades: Annotated[dict[str, Grade], Field(min_length=2)]
    fields: FieldNames = FieldNames()
    words: Literal["zh"] | Words | None = None
    video: VideoWords | None = None
    filmed: bool = False
    variants: Annotated[dict[Name, VariantForm], Field(default_factory=dict, max_length=MOST_VARIANTS)]
    variant: Name | None = None
    examples: Annotated[tuple[Example, ...], Field(strict=False)] = ()
    example: Text = EXAMPLE

    @model_validator(mode="after")
    def _whole(self) -> Form:
        _check_schema(self.schema_)
        properties = self.schema_["properties"]
        if next(iter(properties)) != self.verdict:
            raise ValueError(f"verdict: the schema's first property must be {self.verdict!r}, the verdict")
        verdict = properties[self.verdict]
        if verdict.get("type") != "string":
            raise ValueError("schema: the verdict must be of type string")
        if self.reader == "json" and set(verdict.get("enum", ())) != set(self.grades):
            raise ValueError("grades: there must be one for each value of the verdict's enum, and no other")
        if self.reader == "text" and "enum" in verdict:
            raise ValueError("reader: text reads free text; a verdict with an enum is read by json")
        if self.words is not None and self.reader != "text":
            raise ValueError("words: only the reader text has word lists")
        for needed in ("ghost_probing", "normal"):
            if needed not in self.grades.values():
                raise ValueError(f"grades: no value means {needed}")
        _check_fields(self.fields.named(), properties, self.verdict)
        for name in (MAIN, ALL):
            if name in self.variants:
                raise ValueError(f"variants.{name}: no variant can be called {name}; give it another name")
        check_example_words(self.example)
        return self

    @property
    def verdict_values(self) -> tuple[str, ...]:
        """The verdict's values in order of GRADES where each grade has one; () otherwise."""
        by_grade = {grade: value for value, grade in self.grades.items()}
        one_each = self.reader == "json" and len(by_grade) == len(self.grades) == len(GRADES)
        return tuple(by_grade[grade] for grade in GRADES) if one_each else ()

    def stated(self) -> dict[str, Any]:
        """The form of one wording as JSON values, under the names of the file: variants are forms of their own."""
        unsaid = {name for name in ("variant", "examples", "filmed") if not getattr(self, name)}
        unsaid |= set() if self.filmed else {"video"}
        return self.model_dump(
            mode="json", by_alias=True, exclude={"variants", *unsaid, *({"example"} if not self.examples else ())}
        )

    def worded(self, name: str) -> Form:
        """The form of a variant: the same schema and reading, in its words."""
        changes = self.variants[name].changes()
        return self.model_copy(update={**changes, "variants": {}, "variant": name, "video": None})

    def in_video(self) -> Form | None:
        """The form in which a model is asked that sees the video; None where there are no words for that."""
        if self.video is None:
            return None
        system = self.video.system or self.system
        return self.model_copy(update={"system": system, "variants": {}, "filmed": True})


def read_form(path: Path) -> Form:
    """A task file. Raises `BadInput`: one line that names the file, the place and what does not fit."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"task file {path} is larger than {LARGEST} bytes; a task is a page of text")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"task file {path} is not UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"task file {path} cannot be read: {error.strerror}; name a YAML file") from None
    return form_of_text(text, f"task file {path}")


def form_of_text(text: str, where: str) -> Form:
    """The form that a YAML text states, as its author wrote it. Raises `BadInput`, which begins with `where`."""
    try:
        stated = yaml.load(text, Loader=BoundedLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}" if mark is not None else ""
        raise BadInput(f"{where}{line} is not YAML: {printable(error.problem or 'it cannot be read')}") from None
    except RecursionError:
        raise BadInput(f"{where} is not YAML: its values are nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{where} is not YAML: {printable(' '.join(str(error).split()))}") from None
    if isinstance(stated, Mapping):
        for name in ("variant", "examples", "example"):
            if name in stated:
                raise BadInput(f"{where}: {name}: it stands in one of the variants, not in the task itself")
        if "filmed" in stated:
            raise BadInput(f"{where}: filmed: it is no field of a task file; the words for a video stand under video")
    return form_of(stated, where)


def form_of(stated: Any, where: str) -> Form:
    """The form of plain values. Raises `BadInput`, which begins with `where`."""
    if not isinstance(stated, Mapping):
        raise BadInput(f"{where} holds no mapping of a task's fields; docs/add-a-task-or-section.md shows one")
    try:
        return Form.model_validate(dict(stated))
    except ValidationError as error:
        absent = [".".join(_steps(found)) for found in error.errors(include_url=False) if found["type"] == "missing"]
        if len(absent) == error.error_count():
            whole = "docs/add-a-task-or-section.md shows a whole task"
            raise BadInput(f"{where}: missing: {printable(', '.join(absent))}; {whole}") from None
        # Of what can be one of several things, what it comes nearest to.
        first = max(error.errors(include_url=False), key=lambda found: len(found["loc"]))
        steps = _steps(first)
        what = told(first)
        if steps and steps[-1] == "[key]":
            steps.pop()
            what = f"a name must be a text: quote it ({TRUE_AND_FALSE})"
        place = ".".join(steps)
        raise BadInput(f"{where}: {printable(f'{place}: {what}' if place else what)}") from None


def _steps(misfit: ErrorDetails) -> list[str]:
    """Where in the file it is, key by key."""
    return [str(step) for step in misfit["loc"] if not _OF_A_UNION.fullmatch(str(step))]


def shipped_form(name: str) -> Form:
    """A task that comes with ghostbench in this form."""
    text = files("ghostbench.tasks").joinpath("written", f"{name}.yaml").read_text(encoding="utf-8")
    return form_of_text(text, f"the task {name}")


def shipped_words(name: str) -> Words:
    """Word lists that come with ghostbench."""
    text = files("ghostbench.tasks").joinpath("written", f"words-{name}.yaml").read_text(encoding="utf-8")
    return Words.model_validate(yaml.safe_load(text))


def _check_schema(schema: Mapping[str, Any]) -> None:
    _refuse_others(schema, _OF_OBJECT, "schema")
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, dict) or not properties:
        raise ValueError("schema: it must be an object with properties")
    if schema.get("required") != list(properties):
        raise ValueError("schema.required: it must list all properties, in their order")
    if schema.get("additionalProperties") is not False:
        raise ValueError("schema.additionalProperties: it must be false")
    for name, value in properties.items():
        if not isinstance(name, str) or not isinstance(value, dict):
            raise ValueError(f"schema.properties.{name}: it must be a mapping under a text")
        _refuse_others(value, _OF_VALUE, f"schema.properties.{name}")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(str(step) for step in error.absolute_path)
        raise ValueError(f"schema.{place}: {error.message}") from None
    for name, value in properties.items():
        _check_bound(name, value)


def _refuse_others(stated: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for key in stated:
        if key not in known:
            raise ValueError(f"{where}: {key!r} is not one of {', '.join(sorted(known))}")


def _check_bound(name: str, value: Mapping[str, Any]) -> None:
    """Every value has an end, so that an answer has one too."""
    kinds = set(_kinds(value))
    if kinds - {"null"} not in ({"string"}, {"number"}):
        raise ValueError(f"schema.properties.{name}.type: it must be string or number, or a list of one and 'null'")
    if "string" in kinds and "enum" not in value and not 1 <= value.get("maxLength", 0) <= _LONGEST_TEXT:
        raise ValueError(f"schema.properties.{name}.maxLength: a text needs one, from 1 to {_LONGEST_TEXT}")
    if "enum" not in value and value.get("minLength", 0) > value.get("maxLength", _LONGEST_TEXT):
        raise ValueError(f"schema.properties.{name}.minLength: it is more than maxLength")
    if "number" in kinds and not 0 <= value.get("minimum", -1) <= value.get("maximum", -1) <= _MOST_NUMBER:
        raise ValueError(f"schema.properties.{name}: a number needs a minimum >= 0 and a maximum <= {_MOST_NUMBER:g}")
    values = [each for each in value.get("enum", ()) if each is not None or "null" not in kinds]
    if not all(isinstance(each, str) and each for each in values):
        raise ValueError(f"schema.properties.{name}.enum: its values must be texts ({TRUE_AND_FALSE})")
    if "enum" in value and "null" in kinds and None not in value["enum"]:
        raise ValueError(f"schema.properties.{name}.enum: null must be among its values, or 'null' no type of it")
    if len(set(values)) < len(values):
        raise ValueError(f"schema.properties.{name}.enum: a value is there twice")


def _kinds(value: Mapping[str, Any]) -> Iterator[str]:
    kind = value.get("type")
    yield from [kind] if isinstance(kind, str) else kind or ()


def _check_fields(fields: Mapping[str, str], properties: Mapping[str, Any], verdict: str) -> None:
    for field, name in fields.items():
        if name not in properties or name == verdict:
            raise ValueError(f"fields.{field}: {name!r} is no property of the schema beside the verdict")
        wanted = "number" if field == "event_time_s" else "string"
        if wanted not in _kinds(properties[name]):
            raise ValueError(f"fields.{field}: the property {name!r} must be of type {wanted}")
    if len(set(fields.values())) != len(fields):
        raise ValueError("fields: two of them name one property")
    for name in properties:
        if name != verdict and name not in fields.values():
            raise ValueError(f"fields: the property {name!r} is in none of them, so that nobody would read it")
