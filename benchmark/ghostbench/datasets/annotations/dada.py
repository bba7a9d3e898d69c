"""The official annotation of DADA-2000 (`dada_text_annotations.xlsx`), and of its sister CAP.

Its rows are numbered, and so are the clips, but not alike: of 47 clips held against it, ten have another row than their
number says (category 5 from 5_067 on and 6 from 6_044 on are shifted by one row, 4_006 is row 4/003), and three have
none. So a row is taken by the number of its frames, which must be that of the decoded clip.

CAP's sheet has two of the columns in the other order: columns are found by their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ghostbench.datasets.annotations.rows import Annotation, Found, FrameTimes
from ghostbench.datasets.annotations.scalars import LONGEST
from ghostbench.datasets.annotations.workbook import sheet_rows
from ghostbench.datasets.clip_ids import dada_parts
from ghostbench.errors import AttemptError, BadInput, MediaUnreachable
from ghostbench.label import Label, Scalar, contradiction
from ghostbench.records import Clip

VIDEO, TYPE, TOTAL = "video", "type", "total frames"
START, ACCIDENT, END = "abnormal start frame", "accident frame", "abnormal end frame"
NEEDED: Final = (VIDEO, TYPE, START, ACCIDENT, END, TOTAL)
_CODED: Final = {"weather": "weather", "light": "light", "scenes": "scene", "linear": "road"}
"""Columns such as `light(day,night)1-2`, whose names say what their codes mean, and the parameters they become."""
_TEXTS: Final = {"texts": "text", "causes": "cause", "measures": "advice"}
_HAPPENED: Final = "whether an accident occurred"
_CODES: Final = re.compile(r"(?P<name>[a-z]+)\s*\((?P<values>[^)]*)\)\s*1-[0-9]+")
_SHIFTED_FROM: Final = {4: 0, 5: 66, 6: 43}
"""Per category, the number from which rows are known to be other clips'."""
_NO_ROW: Final = {(5, 49), (6, 29), (6, 43)}
"""Clips that were counted, and no row of their category has as many frames."""
_TOGETHER: Final = 4
"""Clips whose frames are counted at once."""

BY_NUMBER, ROW_BEFORE, BY_LENGTH, UNVERIFIED = "row", "row before", "only row of this length", "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class DadaRow:
    """One row. Frames count from 1, None where the sheet has none; `parameters` are what is not counted in frames."""

    category: int
    number: int
    total: int
    start: int | None
    accident: int | None
    end: int | None
    parameters: Mapping[str, Scalar]

    @property
    def name(self) -> str:
        """As the papers write it: category, and number of three digits."""
        return f"{self.category}/{self.number:03}"


@dataclass(frozen=True, slots=True)
class DadaRows:
    """The sheet's rows by category and number; `DadaRows.join` finds those of clips."""

    rows: Mapping[tuple[int, int], DadaRow]
    form: str = "DADA-2000 text annotation"
    by_frames: bool = True

    def join(self, clips: Sequence[Clip], frame_times: FrameTimes | None) -> dict[str, Found]:
        """The row of its own number where that has the clip's frames, else the one before it, else, flagged, the only
        row of the category that has them. One that another clip has is given to none by its length, and flagged else;
        so is one of its own number, where rows are known to be other clips', if the one before has the frames too.

        A clip without media gets its own row's attributes, without times and marked as unverified; where rows are known
        to be other clips', it gets none. Raises `BadInput` where the storage does not give a clip this time.
        """
        counted = _counted([clip for clip in clips if clip.media is not None], frame_times)
        found = {clip.id: self._row(clip.id, counted.get(clip.id)) for clip in clips}
        taken = Counter(each[0].name for each in found.values() if not isinstance(each, str))
        return {
            clip: each
            if isinstance(each, str)
            else _annotation(each, self._doubt(each, shared=taken[each[0].name] > 1))
            for clip, each in found.items()
        }

    def _doubt(self, found: _Match, *, shared: bool) -> str | None:
        """Why a row may be another clip's; None for one that is certain. shared : whether two clips have it."""
        row, match, _ = found
        before = self.rows.get((row.category, row.number - 1))
        shifted = row.number >= _SHIFTED_FROM.get(row.category, row.number + 1)
        if match == BY_NUMBER and shifted and before is not None and before.total == row.total:
            return f"{before.name} is as long, and rows hereabouts are other clips'"
        return "another clip has it too" if shared else None

    def _row(self, clip: str, times: tuple[float, ...] | str | None) -> _Match | str:
        parts = dada_parts(clip)
        if parts is None:
            return "its id is not images_{category}_{number}"
        if isinstance(times, str):
            return times
        category, number = parts[0], int(parts[1])
        return self._unverified(category, number) if times is None else self._verified(category, number, times)

    def _verified(self, category: int, number: int, times: tuple[float, ...]) -> _Match | str:
        frames = len(times)
        own, before = self.rows.get((category, number)), self.rows.get((category, number - 1))
        for row, match in ((own, BY_NUMBER), (before, ROW_BEFORE)):
            if row is not None and row.total == frames:
                return row, match, times
        alike = [row for row in self.rows.values() if row.category == category and row.total == frames]
        if len(alike) == 1:
            return alike[0], BY_LENGTH, times
        has = "there is none of its number" if own is None else f"its own, {own.name}, has {own.total}"
        many = "no row" if not alike else f"each of {len(alike)} rows"
        return f"{many} of category {category} has its {frames} frames, and {has}"

    def _unverified(self, category: int, number: int) -> _Match | str:
        own = self.rows.get((category, number))
        if own is None:
            return f"there is no row {category}/{number:03}"
        if (category, number) in _NO_ROW or number >= _SHIFTED_FROM.get(category, number + 1):
            return "without its media no frames can be counted, and rows hereabouts are other clips'"
        return own, UNVERIFIED, None


_Match = tuple[DadaRow, str, tuple[float, ...] | None]


def read_dada(data: bytes, source: str) -> DadaRows:
    """The rows of the workbook. Raises `BadInput` naming the row that cannot be read."""
    header, *lines = sheet_rows(data, source, NEEDED)
    names = [str(cell).strip() for cell in header]
    rows: dict[tuple[int, int], DadaRow] = {}
    for place, line in enumerate(lines, 2):
        cells = dict(zip(names, line, strict=False))
        if not any(str(cell).strip() for cell in line):
            continue
        try:
            row = _read(cells)
        except (ValueError, OverflowError) as error:
            raise BadInput(f"{source}, row {place}: {error}; give the file as its makers have it") from None
        if rows.setdefault((row.category, row.number), row) is not row:
            raise BadInput(f"{source}, row {place}: {row.name} is there twice; give the file as its makers have it")
    return DadaRows(rows)


def _read(cells: Mapping[str, Any]) -> DadaRow:
    total = _whole(cells, TOTAL)
    if total < 1:
        raise ValueError(f"{TOTAL} is {total}")
    frames = {name: _whole(cells, name) for name in (START, ACCIDENT, END)}
    inside = {name: frame if 1 <= frame <= total else None for name, frame in frames.items()}
    return DadaRow(
        category=_whole(cells, TYPE),
        number=_whole(cells, VIDEO),
        total=total,
        start=inside[START],
        accident=inside[ACCIDENT],
        end=inside[END],
        parameters=dict(_attributes(cells)),
    )


def _whole(cells: Mapping[str, Any], name: str) -> int:
    cell = cells.get(name, "")
    try:
        number = float(str(cell))
    except ValueError:
        raise ValueError(f"{name} is {str(cell)[:40]!a}, no number") from None
    if not number.is_integer():
        raise ValueError(f"{name} is {number}, no whole number")
    return int(number)


def _attributes(cells: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    for name, cell in cells.items():
        text = " ".join(str(cell).replace("[CLS]", "").replace("[SEP]", "").split())
        codes = _CODES.match(name)
        if not text:
            continue
        if codes is not None and codes["name"] in _CODED:
            values = [value.strip() for value in codes["values"].split(",")]
            code = int(float(text)) if re.fullmatch(r"[0-9]{1,3}(\.0+)?", text) else 0
            yield _CODED[codes["name"]], values[code - 1] if 1 <= code <= len(values) else f"code {text[:20]}"
        elif name.startswith(_HAPPENED):
            yield "accident", float(text) == 1
        elif name in _TEXTS:
            yield _TEXTS[name], "".join(c if c.isprintable() else " " for c in text)[:LONGEST]


def _annotation(found: _Match, doubt: str | None) -> Annotation | str:
    """What the row says, its frames as the times at which the clip shows them. doubt : why it may be another clip's."""
    row, match, times = found
    if match == BY_LENGTH and doubt is not None:
        return f"row {row.name} is the only one of its length, and another clip has it"

    def at(frame: int | None) -> float | None:
        return None if frame is None or times is None else times[frame - 1]

    labels = Label(danger_s=at(row.start), contact_s=at(row.accident))
    wrong = contradiction(labels)
    if wrong is not None:
        return f"row {row.name}: {wrong}"
    end = at(row.end)
    parameters: dict[str, Scalar] = {**row.parameters, "dada_row": row.name, "dada_match": match}
    if end is not None:
        parameters["abnormal_end_s"] = end
    said = "; ".join(filter(None, (f"{match}, {row.name}", doubt)))
    flag = said if doubt is not None or match in {BY_LENGTH, UNVERIFIED} else None
    return Annotation(labels=labels, parameters=parameters, flag=flag)


def _counted(clips: Sequence[Clip], frame_times: FrameTimes | None) -> dict[str, tuple[float, ...] | str]:
    """The times of each clip's frames, or why it cannot be decoded."""
    if frame_times is None:
        return {}

    def one(clip: Clip) -> tuple[float, ...] | str:
        try:
            return frame_times(str(clip.media))
        except MediaUnreachable as error:
            raise BadInput(
                f"annotations need the frames of {clip.id} counted, and the storage does not give it: {error}; "
                "try again"
            ) from None
        except AttemptError as error:
            return f"its frames cannot be counted: {error}"

    with ThreadPoolExecutor(_TOGETHER) as pool:
        return dict(zip([clip.id for clip in clips], pool.map(one, clips), strict=True))
