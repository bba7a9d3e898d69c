"""A run folder's JSON-lines files, read line by line: as records, or as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from ghostbench.digests import remember, signature
from ghostbench.errors import BadInput
from ghostbench.folder.lines import adapter_of
from ghostbench.folder.misfit import first_misfit

L = TypeVar("L")

CHANGED = "the file was changed after the run wrote it"


@dataclass(frozen=True, slots=True)
class Placed(Generic[L]):
    """A line and where it stands: its number from 1, and the bytes [start, end) of the file that it fills."""

    line: L
    number: int
    start: int
    end: int


def read_records(path: Path, kind: type[L], *, torn: bool = False, way_out: str = CHANGED) -> Iterator[L]:
    """Each line as its record, in order, one at a time; none where there is no file.

    torn : leave out a last line without its end, as a kill leaves it, and a run that is going on.

    Raises `BadInput` naming a line that does not fit, and the way out.
    """
    return (placed.line for placed in read_placed(path, kind, torn=torn, way_out=way_out))


def read_placed(
    path: Path, kind: type[L], *, torn: bool = False, start: int = 0, way_out: str = CHANGED
) -> Iterator[Placed[L]]:
    """As `read_records`, with each line's place; lines that are blank are passed over. start : a line's first byte.

    Numbers count from `start`. A file that is read from its first byte to its last needs no reading for its digest.
    """
    from pydantic import ValidationError

    adapter = adapter_of(kind)
    for number, begin, data in _lines(path, start):
        if torn and not data.endswith(b"\n"):
            return
        try:
            line = adapter.validate_json(data, strict=True)
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {first_misfit(error)}; {way_out}") from None
        yield Placed(line, number, begin, begin + len(data))


def read_lines(path: Path, *, torn: bool = False) -> Iterator[dict[str, Any]]:
    """Each line as a mapping, in order, one at a time. Raises `BadInput` naming a line that is no JSON object.

    torn : leave out a last line without its end, as a kill leaves it, and a run that is going on.
    """
    file = _open(path)
    if file is None:
        return
    with file:
        for number, data in enumerate(file, start=1):
            if torn and not data.endswith(b"\n"):
                return
            try:
                value = json.loads(data)
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                raise BadInput(f"{path} line {number} is not a JSON object; {CHANGED}")
            yield value


def _lines(path: Path, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Each line that is not blank, with its number from 1 and the byte at which it starts."""
    file = _open(path)
    if file is None:
        return
    seen, at = hashlib.sha256() if start == 0 else None, signature(path)
    with file:
        file.seek(start)
        for number, data in enumerate(file, start=1):
            if seen is not None:
                seen.update(data)
            if data.strip():
                yield number, start, data
            start += len(data)
    if seen is not None:
        remember(path, seen.hexdigest(), at)


def _open(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}; name a folder that bench run made") from None
