"""What does not fit in a file, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_misfit(error: ValidationError) -> str:
    """The first thing that did not fit, in one line without the offending text."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(ascii(part).strip("'") for part in first["loc"])
    message = " ".join(first["msg"].split())
    return f"{where}: {message}" if where else message
