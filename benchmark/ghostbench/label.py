"""What a label says beside its truth: one record, whose fields are all that reading, writing and slicing go by.

A further column of label files is a further field of `Label`, and nothing else: label files are read by `COLUMNS`, the
run folder's lines hold every field, and slices are made of the fields that say so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le

Scalar = str | int | float | bool
"""A parameter's value."""
Parameters = Mapping[str, Scalar]
"""What else is known of a clip, by name: rendered or annotated attributes."""

ColumnKind = Literal["seconds", "words", "yes_no"]
"""How a column is written: a decimal number of seconds from the clip's start; a few words; `yes` or `no`."""

_Seconds = Annotated[float, Ge(0), Le(1e9)]

_SECONDS: Final[dict[str, ColumnKind]] = {"kind": "seconds"}
_WORDS: Final[dict[str, ColumnKind]] = {"kind": "words"}
_YES_NO: Final[dict[str, ColumnKind]] = {"kind": "yes_no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of the event that a clip is labelled for; None where nobody says.

    first_visible_s : when the road user can first be seen, seconds from the clip's start.
    danger_s : when the danger begins: the moment for a warning, seconds.
    ego_reacts_s : when the ego vehicle begins to brake or to swerve, seconds.
    contact_s : when they touch or are nearest, seconds.
    occluder : from behind what the road user comes, in the annotator's words.
    actor : what comes, in the annotator's words.
    annotator : whose label it is.
    doubt : whether the annotator doubts the label; None where nobody says so.
    """

    first_visible_s: _Seconds | None = field(default=None, metadata=_SECONDS)
    danger_s: _Seconds | None = field(default=None, metadata=_SECONDS)
    ego_reacts_s: _Seconds | None = field(default=None, metadata=_SECONDS)
    contact_s: _Seconds | None = field(default=None, metadata=_SECONDS)
    occluder: str | None = field(default=None, metadata=_WORDS)
    actor: str | None = field(default=None, metadata=_WORDS)
    annotator: str | None = field(default=None, metadata=_WORDS)
    doubt: bool | None = field(default=None, metadata=_YES_NO)

    def filled(self, other: Label) -> Label:
        """This label, with what only the other says."""
        gaps = {name: getattr(other, name) for name in COLUMNS if getattr(self, name) is None}
        return dataclasses.replace(self, **gaps)

    def stated(self) -> dict[str, Any]:
        """The fields that say something, by name."""
        return {name: value for name in COLUMNS if (value := getattr(self, name)) is not None}


COLUMNS: Mapping[str, ColumnKind] = {each.name: each.metadata["kind"] for each in dataclasses.fields(Label)}
"""Every column that a label file may have beside id, label and remark, by name, in the order of `Label`."""

UNSAID = Label()


def contradiction(label: Label) -> str | None:
    """Why the times of a label cannot all be true, in words; None where they can."""
    if label.contact_s is not None:
        for name in ("first_visible_s", "danger_s"):
            time_s = getattr(label, name)
            if time_s is not None and time_s > label.contact_s:
                return f"{name} ({time_s:g}) is after contact_s ({label.contact_s:g})"
    return None


def is_doubted(label: Label, remark: str | None) -> bool:
    """Whether the annotator doubts the label: as stated, else where the remark holds a question mark.

    >>> is_doubted(Label(), "from the left??"), is_doubted(Label(doubt=False), "?"), is_doubted(Label(), None)
    (True, False, False)
    """
    if label.doubt is not None:
        return label.doubt
    return remark is not None and ("?" in remark or "\N{FULLWIDTH QUESTION MARK}" in remark)
