"""Annotations of other projects as CSV: BADAS-Open's consensus of ten annotators, and Nexar's collision prediction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ghostbench.datasets.annotations.rows import Annotation, Found, NamedRows
from ghostbench.datasets.annotations.scalars import scalar
from ghostbench.datasets.cells import label_of
from ghostbench.datasets.clip_ids import clip_id
from ghostbench.datasets.spreadsheet import table_rows
from ghostbench.errors import BadInput
from ghostbench.label import Scalar

Cells = Mapping[str, str]

BADAS: Final = ("id", "Time-of-alert", "Time-of-collision")
"""`annotation/*_concensus.csv` of getnexar/BADAS-Open: robust means over the annotators who saw an event, seconds."""
NEXAR_KAGGLE: Final = ("id", "time_of_event", "time_of_alert")
"""`train.csv` of Nexar's dashcam collision prediction challenge."""
NEXAR_HUB: Final = ("file_name", "time_of_event", "time_of_alert")
"""`metadata.csv` of nexar-ai/nexar_collision_prediction."""
_BADAS_NAMES = {
    "Event-type": "event_type",
    "Nexar-vehicle-involved": "ego_involved",
    "min_support": "annotators_in_support",
    "article_category": "badas_category",
}
_DADA = re.compile(r"([1-9][0-9]{0,3})_([0-9]{1,9})")


def read_badas(text: str, source: str) -> NamedRows:
    """The alert is when danger begins, the collision is the contact. Ids such as `10_068.mp4` are DADA-2000's."""
    return NamedRows("BADAS-Open consensus", dict(_rows(text, source, BADAS, _badas)))


def read_nexar(text: str, source: str) -> NamedRows:
    """`time_of_alert` is when danger begins, `time_of_event` is the contact; every other column is a parameter."""
    header = NEXAR_HUB if "file_name" in text.partition("\n")[0] else NEXAR_KAGGLE
    return NamedRows("Nexar collision prediction", dict(_rows(text, source, header, _nexar)))


def _rows(
    text: str, source: str, needed: tuple[str, ...], read: Callable[[Cells], Annotation]
) -> Iterator[tuple[str, Found]]:
    """Each row by its clip. One that contradicts itself holds why: the file is not the user's to correct.

    Raises `BadInput` for an id that is none, or is there twice.
    """
    rows = table_rows(text, needed, source)
    _, header = next(rows)
    seen: set[str] = set()
    for line, row in rows:
        cells = {name.strip(): cell.strip() for name, cell in zip(header, row, strict=False) if cell.strip()}
        found: Found
        try:
            name = _clip(cells.get(needed[0], ""))
        except ValueError as error:
            raise BadInput(f"{source}, line {line}: {error}; give the file as its makers have it") from None
        if name in seen:
            raise BadInput(f"{source}, line {line}: '{name}' is there twice; keep one of them")
        seen.add(name)
        try:
            found = read({key: cell for key, cell in cells.items() if key != needed[0]})
        except ValueError as error:
            found = f"line {line} of the file: {error}"
        yield name, found


def _clip(text: str) -> str:
    """The clip id: DADA-2000's in this project's form, and Nexar's of five digits where a spreadsheet cut the zeros."""
    name = clip_id(text.rpartition("/")[2])
    dada = _DADA.fullmatch(name)
    if dada is not None:
        return f"images_{dada[1]}_{dada[2]}"
    return name.zfill(5) if name.isascii() and name.isdecimal() else name


def _badas(cells: Cells) -> Annotation:
    labels = label_of(_times(cells, "Time-of-alert", "Time-of-collision"))
    return Annotation(
        labels=labels, parameters={name: _value(cells[key]) for key, name in _BADAS_NAMES.items() if key in cells}
    )


def _nexar(cells: Cells) -> Annotation:
    labels = label_of(_times(cells, "time_of_alert", "time_of_event"))
    others = {name: _value(cell) for name, cell in cells.items() if not name.startswith("time_of_")}
    return Annotation(labels=labels, parameters=others)


def _times(cells: Cells, danger: str, contact: str) -> dict[str, str]:
    """The two times under the names of a label's columns; `nan`, as tables are often written, says nothing."""
    named = {"danger_s": cells.get(danger, ""), "contact_s": cells.get(contact, "")}
    return {name: "" if cell.lower() == "nan" else cell for name, cell in named.items()}


def _value(cell: str) -> Scalar:
    return {"yes": True, "no": False}[cell] if cell in {"yes", "no"} else scalar(cell)
