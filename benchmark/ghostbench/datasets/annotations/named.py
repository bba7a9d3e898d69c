"""Annotations that name their clips: a JSON object of clips, or a table with the column `video_id`.

Names of `ghostbench.label.Label` go to the label, all others to the parameters. `label` or `ground_truth_label` is held
against the run's own label; digests (`…sha256`) say nothing about what is seen, and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ghostbench.datasets.annotations.rows import Annotation, NamedRows
from ghostbench.datasets.annotations.scalars import MOST, check_name, checked, scalar
from ghostbench.datasets.cells import column_places, label_of, shown
from ghostbench.datasets.clip_ids import clip_id
from ghostbench.datasets.labels import parse_label
from ghostbench.datasets.spreadsheet import meant, meant_id, table_rows
from ghostbench.errors import BadInput
from ghostbench.label import COLUMNS, Scalar

_TRUTHS = ("label", "ground_truth_label")
_NOT_PARAMETERS = {*COLUMNS, *_TRUTHS, "remark"}


def read_json(data: bytes, source: str) -> NamedRows:
    """`{clip id: {name: value or null}}`. Raises `BadInput` naming file and clip."""
    way_out = 'give {"clip id": {"name": value}}, each value text, a number, true, false or null'
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{source}: not JSON ({error}); {way_out}") from None
    if not isinstance(content, dict) or not all(isinstance(values, dict) for values in content.values()):
        raise BadInput(f"{source}: not one object for each clip; {way_out}")
    rows: dict[str, Annotation] = {}
    for key, values in content.items():
        try:
            name = clip_id(key)
            if name in rows:
                raise ValueError("the clip is there twice")
            stated = {word: value for word, value in values.items() if value is not None}
            rows[name] = _annotation({word: _as_cell(word, value) for word, value in stated.items()}, checked)
        except ValueError as error:
            raise BadInput(f"{source}: {shown(key)}: {error}; {way_out}") from None
    return NamedRows("JSON by clip", rows)


def read_table(text: str, source: str) -> NamedRows:
    """Rows of `video_id` and any other columns. Raises `BadInput` naming file and line."""
    rows = table_rows(text, ("video_id",), source)
    _, header = next(rows)
    column_places(header, ("video_id",), tuple(COLUMNS), source)
    names = [meant(name) for name in header]
    found: dict[str, Annotation] = {}
    for line, row in rows:
        try:
            name, annotation = _row(names, row)
            if name in found:
                raise ValueError(f"the video id '{name}' is there twice")
        except ValueError as error:
            raise BadInput(f"{source}, line {line}: {error}; correct it") from None
        found[name] = annotation
    return NamedRows("table by clip", found)


def _row(names: list[str], row: list[str]) -> tuple[str, Annotation]:
    if len(row) > len(names):
        raise ValueError(f"{len(row)} cells where the header has {len(names)}")
    cells = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
    return clip_id(meant_id(cells.pop("video_id", ""))), _annotation(cells, scalar)


def _as_cell(name: str, value: Any) -> Any:
    """A JSON value: as a cell would have it where a label or its truth is meant, else as it is."""
    if name not in COLUMNS and name not in _TRUTHS:
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.9f}"
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"{name} is neither text nor a number")


def _annotation(cells: Mapping[str, Any], read: Callable[[Any], Scalar]) -> Annotation:
    """read : what a parameter's cell says."""
    truth = next((parse_label(meant(cells[name]))[0] for name in _TRUTHS if name in cells), None)
    labels = label_of({name: cell for name, cell in cells.items() if name in COLUMNS})
    return Annotation(labels=labels, parameters=dict(_parameters(cells, read)), truth=truth)


def _parameters(cells: Mapping[str, Any], read: Callable[[Any], Scalar]) -> Iterator[tuple[str, Scalar]]:
    own = [name for name in cells if name not in _NOT_PARAMETERS and not name.endswith("sha256")]
    if len(own) > MOST:
        raise ValueError(f"{len(own)} parameters where {MOST} are the most")
    for name in own:
        check_name(name)
        try:
            yield name, read(cells[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
