"""A table as spreadsheets and input methods leave it: its encoding, its delimiter, and what was meant in a cell.

Read where it is certain what is meant; elsewhere one line says what the file is.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from ghostbench.datasets.other_files import ENOUGH, what_else
from ghostbench.errors import BadInput

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EXPORT = "give the table itself as CSV (in Excel: “CSV UTF-8”)"
_CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\u2014\u2018\u2019\u201c\u201d\u2026\u00b7\u00d7]+")
_DELIMITERS = ("\t", ",", ";", "\N{FULLWIDTH COMMA}", "\N{FULLWIDTH SEMICOLON}", "|")
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*\r?\n?|"?sep=(.)"?[;,\t]*\r', re.IGNORECASE)
_FIRST_LEVEL, _SECOND_LEVEL = b"\xb0", b"\xd8"
"""Where in GB 2312 the common characters begin and the others do."""
_BEYOND_HANGUL, _MUCH_HANGUL = b"\xc9", 8
"""Where in EUC-KR Hangul ends, which begins as GB 2312's characters do; and how many of these are hardly Chinese where
all lie before that."""
_DADA = re.compile(r"images_[0-9]+_[0-9]+(\.[A-Za-z0-9]+)?")
_WIDE_SPACES = "\u00a0\u1680\u2007\u202f\u205f\u3000\t" + "".join(map(chr, range(0x2000, 0x200B)))
_SPACES = dict.fromkeys(map(ord, _WIDE_SPACES), " ")
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
"""What programs for texts make of a hyphen."""
_UNSEEN = dict.fromkeys([0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A)])
"""Where words may be broken, and in which direction they run: it comes with what is copied from a page."""
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_QUOTES = (('="', '"'), ("“", "”"), ("„", "“"), ("”", "”"), ("‘", "’"), ("«", "»"), ("＂", "＂"), ("'", "'"))


def table_text(data: bytes, source: str, names: Sequence[str]) -> str:
    """The text of a file, without byte-order marks wherever they stand.

    UTF-8; UTF-16 and UTF-32 by their mark, or by the columns' names; Chinese in GB 18030 (GBK) where it can be nothing
    else. Raises `BadInput` saying what the file is instead.
    """
    other = what_else(data[:ENOUGH])
    if other is not None:
        raise BadInput(f"{source}: this is {other}, whatever its name says; {_EXPORT}")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).replace("\ufeff", "")
            except UnicodeDecodeError as error:
                what = f"not the {encoding.upper()} text that its first bytes announce"
                raise _undecodable(data, error, source, what) from None
    if b"\0" in data:
        for encoding in ("utf-16-le", "utf-16-be"):
            text = data.decode(encoding, "replace")
            if all(name in text[:4096] for name in names):
                return text.replace("\ufeff", "")
    try:
        return data.decode("utf-8").replace("\ufeff", "")
    except UnicodeDecodeError as error:
        chinese = _as_chinese(data)
        if chinese is not None:
            return chinese
        what = "no text" if b"\0" in data else "not UTF-8 text, nor Chinese in GBK"
        raise _undecodable(data, error, source, what) from None


def table_rows(text: str, names: Sequence[str], source: str) -> Iterator[tuple[int, list[str]]]:
    """(line where the row begins, its cells), header included, empty lines left out.

    The delimiter is that of a first line `sep=…`, or the one under which the header has the columns `names`; else a
    tab where the header has one, else a comma. Trailing empty cells of a row are left out.

    Raises `BadInput`, naming the line, for quoting that does not end.
    """
    line = 1
    said = _SEP_LINE.match(text)
    if said is not None:
        text, line = text[said.end() :], 2
        delimiter = said[1] or said[2]
    else:
        delimiter = _delimiter(text, names)
    first = line
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL, strict=True)
    try:
        for row in reader:
            cells = _without_empty_end(_apart(row, delimiter))
            if cells:
                yield line, cells
            line = first + reader.line_num
    except csv.Error as error:
        form = "TSV" if delimiter == "\t" else "CSV"
        raise BadInput(f"{source}, line {line}: not readable as {form}: {error}; correct it") from None


def meant(cell: str) -> str:
    """A cell as it was meant: input methods' full-width characters as ASCII, every space and hyphen a plain one, and
    without what is not seen and quotation marks around it. A full-width colon brings its own space."""
    wide = "\N{FULLWIDTH COLON}" in cell
    text = cell.replace("\N{FULLWIDTH COLON}", ": ").translate(_SPACES | _FULL_WIDTH | _HYPHENS | _UNSEEN)
    text = _unquoted(text, (*_QUOTES, ("'", "'"), ('"', '"')))
    return re.sub(r" *:  *", ": ", text) if wide else text


def meant_id(cell: str) -> str:
    """A clip's id as it was meant. Full-width characters are ASCII where that gives a DADA-2000 id: another clip's file
    may have them in its name."""
    text = meant(cell)
    return text if _DADA.fullmatch(text) else _unquoted(cell.translate(_SPACES), _QUOTES)


def _unquoted(text: str, quotes: Iterable[tuple[str, str]]) -> str:
    text = text.strip(" ")
    for left, right in quotes:
        if len(text) >= len(left + right) and text.startswith(left) and text.endswith(right):
            text = text[len(left) : -len(right)].strip(" ")
    return text


def _delimiter(text: str, names: Sequence[str]) -> str:
    header = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    for delimiter in _DELIMITERS:
        cells = [meant(cell.strip('"')) for cell in header.split(delimiter)]
        if all(name in cells for name in names):
            return delimiter
    return "\t" if "\t" in header else ","


def _apart(row: list[str], delimiter: str) -> list[str]:
    """A row that was typed with full-width commas throughout, at the commas."""
    wide = "\N{FULLWIDTH COMMA}"
    return row[0].split(wide) if len(row) == 1 and delimiter == "," and wide in row[0] else row


def _without_empty_end(row: list[str]) -> list[str]:
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]


def _as_chinese(data: bytes) -> str | None:
    """The text, where its bytes are Chinese of spreadsheets on Chinese systems: common characters, and nothing else.

    The common ones are the first level of GB 2312. Cyrillic and doubled accents of other systems' encodings come out on
    the second, but all that is written in Hangul on the first: where there is much of it, it is that.
    """
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    strange = [character for character in text if not character.isascii()]
    if not _CHINESE.fullmatch("".join(strange)):
        return None
    codes = [character.encode("gb2312", "ignore") for character in strange]
    common = [code for code in codes if b"" < code < _SECOND_LEVEL]
    hanzi = [code for code in common if code >= _FIRST_LEVEL]
    if len(common) < 0.9 * len(codes) or (len(hanzi) >= _MUCH_HANGUL and max(hanzi) < _BEYOND_HANGUL):
        return None
    return text


def _undecodable(data: bytes, error: UnicodeDecodeError, source: str, what: str) -> BadInput:
    line = data.count(b"\n", 0, error.start) + 1
    return BadInput(f"{source}, line {line}: {what}; save the table as UTF-8 (in Excel: “CSV UTF-8”)")
