"""Untrusted text made harmless for each place where it is shown."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylatexenc.latexencode import UnicodeToLatexEncoder

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Unicode's categories Cc, Cs, Zl and Zp, and the characters that change the direction of text."""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&@$]|:(?=//)|(?<=www)\.)")
# What LaTeX takes for a command, joins into another character, or has in another place of its old fonts.
_LATEX_ASCII = {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
}
_LATEX_NAMED = "ÆæØøŒœßŁłÐðÞþĐđŊŋΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρςστυφχψω±×÷≤≥≠≈−∞←→°·•€£§–—…‘’“”"
"""Characters whose names every LaTeX with `textcomp` and T1 fonts knows; the others' need packages of their own."""
_LATEX_ACCENTS = dict(
    zip("`'^~\"=.uvHckr", "\u0300\u0301\u0302\u0303\u0308\u0304\u0307\u0306\u030c\u030b\u0327\u0328\u030a", strict=True)
)
_LATEX_ACCENTED = re.compile(r"\\([`'^~\"=.uvHckr])(?:\{([A-Za-z])\}|\\?([A-Za-z]))")


def plain(text: str, *, lines: bool = False) -> str:
    """Text without control characters, terminal escapes and direction overrides; newlines only if `lines`."""
    return _UNSEEN.sub(lambda match: _seen(match[0], lines=lines), text)


def without_places(text: str) -> str:
    """Text with the names of files in the place of absolute paths: where they lay on its author's machine.

    >>> without_places("bench run --labels /home/me/my.csv --set m.weights=/data/w --out=results")
    'bench run --labels …/my.csv --set m.weights=…/w --out=results'
    >>> without_places("https://host/a/b and a/b stay; so do 1/2 and /etc")
    'https://host/a/b and a/b stay; so do 1/2 and /etc'
    """
    return _PLACE.sub(lambda match: f"…/{match[1]}", text)


_PLACE = re.compile(r"""(?<![\w/.:…])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'"=,;]+[/\\])+([^\s/\\'"=,;:)]*)""")


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, in one line, also inside a table."""
    return _MARKDOWN.sub(lambda match: "\\" + match[1] if match[1] not in "<>&" else _entity(match[1]), plain(text))


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element or a script of its own, whatever the strings hold.

    Raises ValueError for NaN or infinity.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


LATEX_UNICODE = (
    r"\providecommand{\unicodechar}[1]{\ifdefined\XeTeXrevision"
    r'\char"#1\else\ifdefined\directlua\char"#1\else U+#1\fi\fi}'
)
"""What text with characters that no macro here names needs before it: XeLaTeX and LuaLaTeX set the character itself in
the document's font, pdfLaTeX its number, so that two names never look alike. A document may define it otherwise."""


@lru_cache(4096)
def latex(text: str) -> str:
    """Text for LaTeX with the `textcomp` symbols and T1 fonts, safe at the start of a table's cell.

    Characters that it has no safe name for become `\\unicodechar{HEX}`: see `LATEX_UNICODE`.
    """
    shown: str = _latex_encoder().unicode_to_latex(unicodedata.normalize("NFC", plain(text))).replace("--", "-{}-")
    # After the end of a row LaTeX reads [ as the beginning of a length, and * as a command's star.
    return "{}" + shown if shown.startswith(("[", "*")) else shown


@cache
def _latex_encoder() -> UnicodeToLatexEncoder:
    """pylatexenc's encoder, with what of its table is right everywhere.

    That table holds names of many packages, gives 82 characters a name that another has too, and writes Ű as Ú.
    """
    from pylatexenc.latexencode import RULE_DICT, UnicodeToLatexConversionRule, UnicodeToLatexEncoder
    from pylatexenc.latexencode import get_builtin_uni2latex_dict as known

    safe = {code: name for code, name in known().items() if code < 0x80 or _is_safe(chr(code), name)}
    rules = [{ord(character): name for character, name in _LATEX_ASCII.items()}, safe]
    return UnicodeToLatexEncoder(
        conversion_rules=[UnicodeToLatexConversionRule(RULE_DICT, rule) for rule in rules],
        replacement_latex_protection="braces-after-macro",
        unknown_char_policy=lambda character: rf"\unicodechar{{{ord(character):04X}}}",
        unknown_char_warning=False,
    )


def _is_safe(character: str, name: str) -> bool:
    """Whether the name means this character, and no other, to every LaTeX."""
    if character in _LATEX_NAMED:
        return True
    accented = _LATEX_ACCENTED.fullmatch(name)
    if accented is None:
        return False
    return unicodedata.normalize("NFD", character) == (accented[2] or accented[3]) + _LATEX_ACCENTS[accented[1]]


def csv_cell(text: str) -> str:
    """Text for a CSV cell that no spreadsheet reads as a formula."""
    shown = plain(text)
    return "'" + shown if shown.lstrip().startswith(("=", "+", "-", "@")) else shown


def _entity(character: str) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[character]


def _seen(character: str, *, lines: bool) -> str:
    if character in "\n\t\r":
        return "\n" if lines and character == "\n" else " "
    return _REPLACEMENT
