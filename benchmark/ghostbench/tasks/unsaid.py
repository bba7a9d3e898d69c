"""What stands in an answer where a model that writes no text itself says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NOTHING: Final = frozenset({"", "-", "n/a", "na", "no one", "nobody", "none", "nothing", "null", "unknown"})
"""Words in the place of a road user or of a thing that say that there is none."""
_PAD: Final = "."


def unsaid(stated: Mapping[str, Any]) -> str | None:
    """Null where the schema has that; else a value that says that there is none, or the shortest text, of dots.

    stated : the property's schema.

    Raises `ValueError` for a number, and for values of which each says something.

    >>> unsaid({"type": ["string", "null"], "maxLength": 9}), unsaid({"type": "string", "minLength": 3, "maxLength": 9})
    (None, '...')
    >>> unsaid({"type": "string", "enum": ["child", "none"]})
    'none'
    """
    if "enum" in stated:
        # Null goes before words.
        values: list[str | None] = sorted(stated["enum"], key=lambda value: value is not None)
        for each in values:
            if each is None or each.strip().lower() in NOTHING:
                return each
        raise ValueError("none of its values says that there is nothing: add one, such as 'none'")
    kinds = stated["type"]
    if "null" in kinds:
        return None
    if "string" in kinds:
        return _PAD * int(stated.get("minLength", 0))
    raise ValueError("no number says that there is nothing: let it be null too")
