"""What a file is that is not what it should be, by its first bytes: what downloads, checkouts and exports leave."""

from __future__ import annotations

import re
from typing import Final

ENOUGH: Final = 1024
"""So many of a file's first bytes are looked at."""
_BEGINNINGS: Final = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls) or another document of Office"),
    (b"\x09\x08", "an Excel workbook (.xls) of an early version"),
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a file compressed with gzip"),
    (b"BZh", "a file compressed with bzip2"),
    (b"\xfd7zXZ", "a file compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (
        b"version https://git-lfs.github.com/",
        "only Git LFS's pointer to the file (git lfs pull fetches the file itself)",
    ),
    (b"/annex/objects/", "only git-annex's pointer to the file (git annex get fetches the file itself)"),
)
_FORMS: Final = (
    (re.compile(rb"\s*<(?:!doctype|html|table|\?xml|meta|head)", re.IGNORECASE), "an HTML or XML file"),
    (re.compile(rb"\s*[\[{]\s*[\"\[\]{}]"), "a JSON file"),
)


def what_else(first: bytes) -> str | None:
    """What a file with these first bytes is, in words, if it is none of what is looked for here; None where unknown.

    >>> what_else(b"<!DOCTYPE html>"), what_else(b"video_id,ground_truth_label")
    ('an HTML or XML file', None)
    """
    for beginning, what in _BEGINNINGS:
        if first.startswith(beginning):
            return what
    return next((what for form, what in _FORMS if form.match(first)), None)
