"""Reads a label file: CSV or TSV rows of `video_id`, `ground_truth_label`, and the optional columns.

The optional ones are `remark` and those that `ghostbench.label` declares.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ghostbench.datasets.cells import column_places, label_of, shown, with_point
from ghostbench.datasets.clip_ids import clip_id, dada_parts
from ghostbench.datasets.spreadsheet import meant, meant_id, table_rows, table_text
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS
from ghostbench.records import Clip, Truth

GRAMMAR = "none | [<seconds>s: ]ghost probing | [<seconds>s: ]cut-in"
"""The only labels there are. `seconds` is a decimal number below a million, when the event begins."""

_NAMES = ("video_id", "ground_truth_label")
_EVENT = re.compile(r"(?:(?P<seconds>[0-9]{1,6}(?:\.[0-9]{1,6})?)s: )?(?P<event>ghost probing|cut-in)")
_TRUTHS: dict[str, Truth] = {"ghost probing": "ghost_probing", "cut-in": "cut_in"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A label file's content.

    clips : in the order of the file, `media` None.
    sha256 : hex digest of the file's bytes.
    skipped : rows left out by request, each as "line N: why".
    skipped_ids : the ids of those rows, where they could be read and no other row has them.
    """

    clips: tuple[Clip, ...]
    sha256: str
    skipped: tuple[str, ...] = ()
    skipped_ids: frozenset[str] = frozenset()


def parse_label(text: str) -> tuple[Truth, float | None]:
    """What one label says: the truth, and when the event begins in seconds (None if not stated).

    Surrounding spaces do not count; anything else outside `GRAMMAR` raises `ValueError`.
    """
    label = text.strip(" ")
    if label == "none":
        return "normal", None
    match = _EVENT.fullmatch(label)
    if match is None:
        raise ValueError(f"the label {shown(text)} is not {GRAMMAR}")
    seconds = match["seconds"]
    return _TRUTHS[match["event"]], None if seconds is None else float(seconds)


def read_labels(data: bytes, source: str, *, skip_bad: bool = False) -> Labels:
    """The clips that a label file names.

    Parameters
    ----------
    data : the file's bytes, CSV or TSV in any encoding, with any delimiter and any line ends that
        `ghostbench.datasets.spreadsheet` reads for certain. Columns beside the known ones are ignored, but for those
        whose names are nearly a known one's.
    source : how messages name the file.
    skip_bad : leave bad rows out and list them, instead of raising. Of rows with the same id the first stays.

    Raises `BadInput`, naming file and line, for a file that is no such table or has no usable row, a label outside the
    grammar, a cell that is none of its column, times that contradict each other, an id that is blank, unsafe as a file
    name or there twice.
    """
    clips: dict[str, Clip] = {}
    skipped: list[str] = []
    skipped_ids: set[str] = set()
    rows = _rows(data, source)
    header = next(rows, (1, []))[1]
    columns = column_places(header, _NAMES, ("remark", *COLUMNS), source)
    for line, row in rows:
        try:
            clip = _clip(row, columns, len(header))
            if clip.id in clips:
                raise ValueError(f"the video id '{clip.id}' is there twice")
        except ValueError as error:
            if not skip_bad:
                raise BadInput(
                    f"{source}, line {line}: {error}; correct it, or leave such rows out with --skip-bad-labels"
                ) from None
            skipped.append(f"line {line}: {error}")
            skipped_ids.update(_readable_id(row, columns))
        else:
            clips[clip.id] = clip
    if not clips:
        raise BadInput(
            f"{source}: no {'usable ' if skipped else ''}label rows after the header; give a file with labels"
        )
    return Labels(
        clips=tuple(clips.values()),
        sha256=hashlib.sha256(data).hexdigest(),
        skipped=tuple(skipped),
        skipped_ids=frozenset(skipped_ids - clips.keys()),
    )


def _rows(data: bytes, source: str) -> Iterator[tuple[int, list[str]]]:
    text = table_text(data, source, _NAMES)
    if not text.strip():
        raise BadInput(f"{source}: the label file is empty; give a CSV or TSV with video_id and ground_truth_label")
    return table_rows(text, _NAMES, source)


def _clip(row: Sequence[str], columns: Mapping[str, int], count: int) -> Clip:
    """The row's clip. columns : where each known column stands. count : of the header's cells."""
    if len(row) > count:
        raise ValueError(f"{len(row)} cells where the header has {count}")
    if len(row) <= max(columns[name] for name in _NAMES):
        raise ValueError("the row ends before its label")
    cells = {name: row[place] for name, place in columns.items() if place < len(row)}
    name = clip_id(meant_id(cells["video_id"]))
    truth, seconds = parse_label(_meant_label(cells["ground_truth_label"]))
    parts = dada_parts(name)
    return Clip(
        id=name,
        truth=truth,
        truth_time_s=seconds,
        category=parts[0] if parts else None,
        remark=cells.get("remark", "").strip() or None,
        labels=label_of(cells),
    )


def _meant_label(cell: str) -> str:
    """The label as it was meant: a decimal comma is a point."""
    return re.sub(r"^[0-9,]+(?=s: )", lambda number: with_point(number[0]), meant(cell))


def _readable_id(row: Sequence[str], columns: Mapping[str, int]) -> Iterator[str]:
    try:
        yield clip_id(meant_id(row[columns["video_id"]]))
    except (ValueError, IndexError):
        return
