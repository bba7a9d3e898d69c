"""Reads a label file: CSV or TSV rows of `video_id`, `ground_truth_label` and an optional `remark`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ghostbench.datasets.clip_ids import clip_id, dada_parts
from ghostbench.datasets.spreadsheet import meant, meant_id, table_rows, table_text
from ghostbench.errors import BadInput
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
        raise ValueError(f"the label {_shown(text)} is not {GRAMMAR}")
    seconds = match["seconds"]
    return _TRUTHS[match["event"]], None if seconds is None else float(seconds)


def read_labels(data: bytes, source: str, *, skip_bad: bool = False) -> Labels:
    """The clips that a label file names.

    Parameters
    ----------
    data : the file's bytes, CSV or TSV in any encoding, with any delimiter and any line ends that
        `ghostbench.datasets.spreadsheet` reads for certain. Columns beside the three known ones are ignored.
    source : how messages name the file.
    skip_bad : leave bad rows out and list them, instead of raising. Of rows with the same id the first stays.

    Raises `BadInput`, naming file and line, for a file that is no such table or has no usable row, a label outside the
    grammar, an id that is blank, unsafe as a file name or there twice.
    """
    clips: dict[str, Clip] = {}
    skipped: list[str] = []
    skipped_ids: set[str] = set()
    rows = _rows(data, source)
    columns = _columns(next(rows, (1, []))[1], source)
    for line, row in rows:
        try:
            clip = _clip(row, columns)
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


@dataclass(frozen=True, slots=True)
class _Columns:
    count: int
    video_id: int
    label: int
    remark: int | None


def _rows(data: bytes, source: str) -> Iterator[tuple[int, list[str]]]:
    text = table_text(data, source, _NAMES)
    if not text.strip():
        raise BadInput(f"{source}: the label file is empty; give a CSV or TSV with video_id and ground_truth_label")
    return table_rows(text, _NAMES, source)


def _columns(header: Sequence[str], source: str) -> _Columns:
    names = [meant(name) for name in header]
    for name in _NAMES:
        if names.count(name) != 1:
            how = "twice" if name in names else "not there"
            raise BadInput(f"{source}, line 1: the column {name} is {how}; the first line must name the columns")
    if names.count("remark") > 1:
        raise BadInput(f"{source}, line 1: the column remark is twice; the first line must name the columns")
    return _Columns(
        len(names),
        names.index("video_id"),
        names.index("ground_truth_label"),
        names.index("remark") if "remark" in names else None,
    )


def _clip(row: Sequence[str], columns: _Columns) -> Clip:
    if len(row) > columns.count:
        raise ValueError(f"{len(row)} cells where the header has {columns.count}")
    if len(row) <= max(columns.video_id, columns.label):
        raise ValueError("the row ends before its label")
    name = clip_id(meant_id(row[columns.video_id]))
    truth, seconds = parse_label(_meant_label(row[columns.label]))
    parts = dada_parts(name)
    remark = row[columns.remark].strip() if columns.remark is not None and columns.remark < len(row) else ""
    return Clip(
        id=name,
        truth=truth,
        truth_time_s=seconds,
        category=parts[0] if parts else None,
        remark=remark or None,
    )


def _meant_label(cell: str) -> str:
    """The label as it was meant; a decimal comma of up to two digits, as many countries write it, is a point."""
    return re.sub(r"^([0-9]{1,6}),([0-9]{1,2})(?=s: )", r"\1.\2", meant(cell))


def _readable_id(row: Sequence[str], columns: _Columns) -> Iterator[str]:
    try:
        yield clip_id(meant_id(row[columns.video_id]))
    except (ValueError, IndexError):
        return


def _shown(text: str) -> str:
    shown = ascii(text) if not text.isprintable() else f"'{text}'"
    return shown if len(shown) <= 80 else shown[:79] + "…"
