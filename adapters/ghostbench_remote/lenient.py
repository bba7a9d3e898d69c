"""Reading what a service sends: strict where the answer itself would be at stake, lenient in all that stands beside it.

What a service adds is ignored. A field of the type `Soft` or `Count` that is odd is as if it were not there, so that a
whole answer, which has been paid for, is not asked again for the sake of a count.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from ghostbench_remote.failures import not_protocol
from ghostbench_remote.redaction import Secrets


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _whole(value: Any) -> Any:
    """A count that came as a string or with a fraction of zero, as the integer that it is."""
    if isinstance(value, bool):
        raise ValueError("no count")
    if isinstance(value, str) or (isinstance(value, float) and math.isfinite(value)):
        number = float(value)
        return int(number) if number.is_integer() else value
    return value


_MOST = 2**53
"""What is more was counted by nobody, and is no whole number in every reader of JSON."""
T = TypeVar("T")
Soft = Annotated[T | None, WrapValidator(_or_none)]
"""A field that is None where it is not what it should be."""
Count = Soft[Annotated[int, Field(ge=0, le=_MOST), BeforeValidator(_whole)]]
"""An integer in 0 … 2**53; None where it is not."""


class Lenient(BaseModel):
    """An object of which only the fields named are read."""

    model_config = ConfigDict(extra="ignore")


class Counts(Lenient):
    """Counts that add up: one that is absent or null adds nothing, one that is odd leaves the sum unknown."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given

    def total(self, *names: str, absent: int | None = None) -> int | None:
        """The sum of the fields, >= 0; `absent` where there is none of them, None where one cannot be read."""
        said = [getattr(self, name) for name in names if name in self.model_fields_set]
        return absent if not said else None if None in said else sum(said)


M = TypeVar("M", bound=BaseModel)


def read_as(kind: type[M], body: bytes | str | dict[str, Any], what: str, secrets: Secrets) -> M:
    """The body as an object of the kind. Raises `ServerError` for one that is none, called `what` there."""
    complaint = None
    if isinstance(body, bytes):
        body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        return kind.model_validate(body) if isinstance(body, dict) else kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        complaint = f"no {what} ({'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']})"
    # Raised out here: the validator's own error holds the body, and would hang on this one as its context.
    raise not_protocol(complaint, as_text(body), secrets)


def as_text(body: bytes | str | dict[str, Any]) -> str:
    """The body as it can be shown in a message."""
    if isinstance(body, dict):
        return json.dumps(body, default=str)
    return body.decode(errors="replace") if isinstance(body, bytes) else body
