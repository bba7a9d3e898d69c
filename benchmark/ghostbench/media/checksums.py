"""Check sums that a Matroska file holds of its own parts: most writers put one into each cluster of frames.

FFmpeg's reader passes over them, and few codings notice damage themselves. Format: RFC 8794 (EBML), 11.3.1 and 4;
RFC 9559 (Matroska), 5.1.3.
"""

from __future__ import annotations

import os
import zlib
from typing import IO, Final

from ghostbench.errors import DecodeFailed

_HEADER: Final = 0x1A45DFA3
_SEGMENT: Final = 0x18538067
_CLUSTER: Final = 0x1F43B675
_SUM_COMES: Final = b"\xbf\x84"
"""The element of a check sum, and its size of four bytes: the first thing in a part that has one."""


def check_sums(file: IO[bytes]) -> None:
    """Raises `DecodeFailed` if a whole cluster does not match the sum in it. Other files than Matroska's pass."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    element = _next(file)
    if element is None or element[0] != _HEADER:
        return
    while element is not None:
        kind, size = element
        begin = file.tell()
        if kind == _SEGMENT:
            element = _next(file)
            continue
        if size is None or begin + size > end:
            return  # how much of a file is missing at its end is another question
        if kind == _CLUSTER and file.read(len(_SUM_COMES)) == _SUM_COMES:
            stated = int.from_bytes(file.read(4), "little")
            if zlib.crc32(file.read(size - len(_SUM_COMES) - 4)) != stated:
                where = f"bytes {begin} to {begin + size}"
                raise DecodeFailed(f"the file is damaged: {where} do not match their check sum")
        file.seek(begin + size)
        element = _next(file)


def _next(file: IO[bytes]) -> tuple[int, int | None] | None:
    """The element that begins here: what it is and its size, None where that is unknown; None where there is none."""
    kind = _number(file, keep_mark=True)
    size = None if kind is None else _number(file, keep_mark=False)
    if kind is None or size is None:
        return None
    return kind, None if size < 0 else size


def _number(file: IO[bytes], *, keep_mark: bool) -> int | None:
    """A number whose first byte says how long it is; -1 where all its bits are set, which stands for unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if len(rest) < length - 1:
        return None
    number = int.from_bytes(first + rest, "big")
    if keep_mark:
        return number
    mark = 1 << 7 * length
    return -1 if number - mark == mark - 1 else number - mark
