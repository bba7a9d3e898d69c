"""Annotation files read and joined with a split's clips: what is labelled stays, what is missing is filled in."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ghostbench.datasets import storage
from ghostbench.datasets.annotations.named import read_json, read_table
from ghostbench.datasets.annotations.rows import Annotation, AnnotationFile, Found, FrameTimes, NamedRows
from ghostbench.datasets.annotations.tables import BADAS, NEXAR_HUB, NEXAR_KAGGLE, read_badas, read_nexar
from ghostbench.datasets.annotations.workbook import STARTS
from ghostbench.datasets.spreadsheet import meant, table_rows, table_text
from ghostbench.errors import BadInput
from ghostbench.label import contradiction
from ghostbench.records import Clip, JoinedAnnotations

_TABLES: Final[Sequence[tuple[tuple[str, ...], Callable[[str, str], NamedRows]]]] = (
    (("video_id",), read_table),
    (BADAS, read_badas),
    (NEXAR_KAGGLE, read_nexar),
    (NEXAR_HUB, read_nexar),
)
"""Tables by the columns that they must have."""
_FORMS = (
    "give a table with the column video_id, JSON by clip id, DADA-2000's dada_text_annotations.xlsx, "
    "BADAS-Open's consensus CSV, or Nexar's train.csv or metadata.csv"
)


def read_annotations(data: bytes, source: str) -> AnnotationFile:
    """An annotation file of any of the known forms, told by its content. Raises `BadInput`."""
    if data.startswith(STARTS):
        from ghostbench.datasets.annotations.dada import read_dada

        return read_dada(data, source)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return read_json(data, source)
    text = table_text(data, source, ("video_id",))
    for columns, read in _TABLES:
        header = next(table_rows(text, columns, source), (1, []))[1]
        if set(columns) <= {meant(cell) for cell in header}:
            return read(text, source)
    raise BadInput(f"{source}: no annotation that is known; {_FORMS}")


@dataclass(frozen=True, slots=True)
class Source:
    """An annotation file, where it lies, and the SHA-256 of its bytes."""

    place: storage.Location
    sha256: str
    file: AnnotationFile

    @classmethod
    def read(cls, place: storage.Location) -> Source:
        """The file at a place that `storage.accept` returned. Raises `BadInput`."""
        data = storage.read_whole(place, "annotations")
        return cls(place, hashlib.sha256(data).hexdigest(), read_annotations(data, f"annotations {place}"))


def joined(
    clips: Sequence[Clip], source: Source, frame_times: FrameTimes | None
) -> tuple[list[Clip], JoinedAnnotations]:
    """The clips with what one file adds, and an account of it.

    What a clip's label or an earlier file says is kept. A row that says another truth than the label, or times that
    cannot be true beside those stated, is not taken.
    """
    found = source.file.join(clips, frame_times)
    filled = {clip.id: _filled(clip, found[clip.id]) for clip in clips}
    return [each if isinstance(each := filled[clip.id], Clip) else clip for clip in clips], JoinedAnnotations(
        source=str(source.place),
        form=source.file.form,
        sha256=source.sha256,
        matched=sum(isinstance(each, Clip) for each in filled.values()),
        flagged=_flags(found, filled),
        unmatched={clip: each for clip, each in filled.items() if isinstance(each, str)},
    )


def _filled(clip: Clip, found: Found) -> Clip | str:
    if isinstance(found, str):
        return found
    if found.truth is not None and found.truth != clip.truth:
        return f"it says {found.truth} where the label says {clip.truth}"
    labels = clip.labels.filled(found.labels)
    wrong = contradiction(labels)
    if wrong is not None:
        return f"beside what is labelled, {wrong}"
    return dataclasses.replace(clip, labels=labels, parameters={**found.parameters, **clip.parameters})


def _flags(found: Mapping[str, Found], filled: Mapping[str, Clip | str]) -> dict[str, str]:
    return {
        clip: row.flag
        for clip, row in found.items()
        if isinstance(row, Annotation) and row.flag is not None and isinstance(filled[clip], Clip)
    }
