"""Sheets of an Excel workbook as rows of cells, found by their header."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from ghostbench.errors import BadInput

STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""What .xlsx and .xls files begin with."""
_MOST_BYTES = 512 << 20
"""Of a workbook unpacked."""


def sheet_rows(data: bytes, source: str, needed: Sequence[str]) -> list[list[Any]]:
    """The rows, header first, of the one sheet whose first row has these columns.

    Cells are text, numbers, booleans or dates; "" where there is nothing. Raises `BadInput`, also where the reader of
    workbooks is not installed.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise BadInput(
            f"{source}: an Excel workbook is read by python-calamine: pip install 'ghostbench[annotations]'"
        ) from None
    found = []
    try:
        _check_size(data, source)
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            for name in workbook.sheet_names:
                rows = workbook.get_sheet_by_name(name).to_python()
                if rows and set(needed) <= {str(cell).strip() for cell in rows[0]}:
                    found.append(rows)
    except (CalamineError, zipfile.BadZipFile) as error:
        raise BadInput(f"{source}: not a workbook that can be read ({error}); export it anew") from None
    if len(found) != 1:
        count = "no sheet" if not found else f"{len(found)} sheets"
        raise BadInput(f"{source}: {count} with the columns {', '.join(needed)}; give the file as its makers have it")
    return found[0]


def _check_size(data: bytes, source: str) -> None:
    """Raise `BadInput` for a workbook that would fill the memory unpacked."""
    if data.startswith(STARTS[0]):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise BadInput(f"{source}: larger unpacked than any annotation; give the file as its makers have it")
