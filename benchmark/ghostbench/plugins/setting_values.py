"""What `--set` gives, read as the fields of a settings dataclass: pydantic checks what `setting(...)` allows."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.redact import CROSSED_OUT, is_secret_name

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NO_VALUE = frozenset({"none", "null", ""})
_OUT_OF_RANGE = frozenset({"greater_than_equal", "less_than_equal", "finite_number"})
_NO_CHOICE = "no_choice"


def read_values(row: str, settings: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values as their fields' types, within what the fields allow.

    row : the model's name, for messages. settings : a dataclass of `setting(...)` fields. given : texts, or values of
    the right type already, by field.

    Raises
    ------
    BadInput
        One line that names the first setting that does not fit, and what would.
    """
    from pydantic import TypeAdapter, ValidationError

    fields = {field.name: field for field in dataclasses.fields(settings)}
    hints = typing.get_type_hints(settings) if given else {}
    read = {}
    for key, value in given.items():
        if key not in fields:
            known = f"it has {listed(fields)}" if fields else "it has none"
            raise BadInput(f"model '{row}' has no setting '{printable(key)}'; {known}")
        metadata = fields[key].metadata
        try:
            read[key] = TypeAdapter(_checked(hints[key], metadata)).validate_python(value)
        except ValidationError as error:
            where = f"--set {row}.{key}"
            told = CROSSED_OUT if is_secret_name(where) else printable(str(value))
            complaint = _complaint(error.errors(include_url=False)[0], metadata)
            raise BadInput(f"{where}='{told}' {complaint}") from None
    return read


def listed(names: Iterable[object]) -> str:
    """Names in alphabetical order, separated by commas."""
    return ", ".join(sorted(map(str, names)))


def _checked(hint: Any, metadata: Mapping[str, Any]) -> Any:
    """The field's type with its bounds and choices, as pydantic reads it."""
    from pydantic import AfterValidator, BeforeValidator, Field

    low, high, choices = metadata.get("minimum"), metadata.get("maximum"), metadata.get("choices")
    parts: list[Any] = []
    if _holds(hint, int) or _holds(hint, float):
        parts.append(Field(ge=low, le=high))
    if _holds(hint, float):
        parts.append(Field(allow_inf_nan=False))
    if choices is not None:
        parts.append(AfterValidator(_among(choices)))
    parts.append(BeforeValidator(_from_text(hint)))
    return Annotated[(hint, *parts)]


def _holds(hint: Any, kind: type) -> bool:
    return hint is kind or kind in typing.get_args(hint)


def _from_text(hint: Any) -> Callable[[Any], Any]:
    """What a text stands for where a type has no text of its own: "none", and lists with commas."""
    optional = type(None) in typing.get_args(hint)
    several = typing.get_origin(hint) is tuple

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if optional and value.lower() in _NO_VALUE:
            return None
        return [part.strip() for part in value.split(",")] if several else value

    return read


def _among(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    from pydantic_core import PydanticCustomError

    def check(value: Any) -> Any:
        if value not in choices:
            raise PydanticCustomError(_NO_CHOICE, "not one of the choices")
        return value

    return check


def _complaint(problem: ErrorDetails, metadata: Mapping[str, Any]) -> str:
    if problem["type"] == _NO_CHOICE:
        return f"is not one of {listed(metadata['choices'])}"
    if problem["type"] in _OUT_OF_RANGE:
        return f"is out of range; {_bounds(metadata.get('minimum'), metadata.get('maximum'))}"
    return f"does not fit: {problem['msg']}"


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else "a number is needed"
