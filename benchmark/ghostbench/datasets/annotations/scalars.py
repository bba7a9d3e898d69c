"""The values of parameters: single, short, and of one line."""

from __future__ import annotations

import re

from ghostbench.datasets.cells import shown
from ghostbench.label import Scalar

LONGEST = 500
"""Characters of a parameter's text."""
MOST = 200
"""Parameters that a clip may have."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .()/%-]{0,63}")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,20}(?:[eE][+-]?[0-9]{1,2})?")
_TRUTH = {"true": True, "false": False}


def scalar(text: str) -> Scalar:
    """What a cell says: `true` or `false`, a number as it is written plainly, or words. Raises `ValueError`.

    >>> [scalar(text) for text in ("true", "7", "-1.50", "007", "light rain")]
    [True, 7, -1.5, '007', 'light rain']
    """
    stripped = text.strip()
    if stripped.lower() in _TRUTH:
        return _TRUTH[stripped.lower()]
    if _WHOLE.fullmatch(stripped):
        return int(stripped)
    if _DECIMAL.fullmatch(stripped):
        return float(stripped)
    return checked(" ".join(stripped.split()))


def checked(value: object) -> Scalar:
    """A value as it may be kept. Raises `ValueError` saying what it is instead."""
    if isinstance(value, str):
        if len(value) > LONGEST or not value.isprintable():
            raise ValueError(f"{shown(value)} is not printable text of at most {LONGEST} characters")
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) < 1e15:
        return value
    raise ValueError(f"{shown(str(value))} is not text, a number, or true or false")


def check_name(name: str) -> None:
    """Raise `ValueError` for a parameter's name that could not stand in a table."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"the name {shown(name)} is not one of letters, digits and spaces, at most 64")
