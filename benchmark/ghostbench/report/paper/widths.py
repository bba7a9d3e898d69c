"""How wide text is when LaTeX sets it, from the metrics of Computer Modern, and where it is broken to fit.

The font is the one that matplotlib brings, at 10 pt; at the 8 pt of a table its own design is wider by `_DESIGN`. Most
other text fonts are narrower.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ghostbench.report.escape import latex

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

SIZE_PT = 8.0
"""`\\footnotesize` of a document at 10 pt."""
_DESIGN = 1.07
_EM = 1000
_UNKNOWN_EM = 1.0
_WIDER_EM = {"\N{HORIZONTAL ELLIPSIS}": 1.25, "_": 0.72, "~": 0.72}
_CODE = re.compile(r"\\unicodechar\{([0-9A-F]+)\}")
_BREAKS_AFTER = "-_/.:,;=+>|"


def width_pt(text: str) -> float:
    """How wide a line of plain text is at `SIZE_PT`, pt; never less than LaTeX makes it.

    A digit of `cmr8` is 4.25 pt wide, and its full stop 2.36:

    >>> 4 * 4.25 + 2.36 <= width_pt("0.712") < 20
    True
    """
    return SIZE_PT * _DESIGN * sum(_advance(character) for character in text)


def broken(text: str, limit_pt: float) -> list[str]:
    """The text in lines no wider than the limit, broken between words, else after punctuation, else anywhere.

    >>> broken("recall in the lenient view", 60)
    ['recall in the', 'lenient view']
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width_pt(f"{line} {word}") > limit_pt:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while width_pt(line) > limit_pt and len(line) > 1:
            head = _head(line, limit_pt)
            lines.append(line[:head])
            line = line[head:]
    return [*lines, line]


def _head(word: str, limit_pt: float) -> int:
    """How many characters of a word that is too wide stay on its line, at least one."""
    fits = 1
    while fits < len(word) and width_pt(word[: fits + 1]) <= limit_pt:
        fits += 1
    after = max(word.rfind(mark, 0, fits) for mark in _BREAKS_AFTER) + 1
    return after if after > fits // 2 else fits


@cache
def _advance(character: str) -> float:
    """A character's width, em."""
    code = _CODE.search(latex(character))
    if code is not None:  # LaTeX may set the number of it
        return max(_UNKNOWN_EM, sum(_advance(each) for each in f"U+{code[1]}"))
    known = _WIDER_EM.get(character)
    if known is not None:
        return known
    base = unicodedata.normalize("NFD", character)[0]
    font = _font()
    if not ("!" <= base <= "~" or base == " ") or not font.get_char_index(ord(base)):
        return 0.34 if base == " " else _UNKNOWN_EM
    return float(font.load_char(ord(base)).linearHoriAdvance) / 65536 / _EM


@cache
def _font() -> FT2Font:
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(Path(get_data_path()) / "fonts" / "ttf" / "cmr10.ttf"))
    font.set_size(_EM, 72)
    return font
