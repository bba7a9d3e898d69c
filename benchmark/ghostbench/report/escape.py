"""Untrusted text made harmless for each place where it is shown."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Unicode's categories Cc, Cs, Zl and Zp, and the characters that change the direction of text."""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&@$]|:(?=//)|(?<=www)\.)")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "κ": r"$\kappa$",
    "−": r"$-$",
    "×": r"$\times$",
    "’": r"'",
    "“": r"``",
    "”": r"''",
    "…": r"\ldots{}",
    "≥": r"$\geq$",
    "Δ": r"$\Delta$",
}


def plain(text: str, *, lines: bool = False) -> str:
    """Text without control characters, terminal escapes and direction overrides; newlines only if `lines`."""
    return _UNSEEN.sub(lambda match: _seen(match[0], lines=lines), text)


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


def latex(text: str) -> str:
    """Text for LaTeX with the `textcomp` symbols and T1 fonts, safe at the start of a table's cell.

    Characters that no macro here names, nor ISO 8859-1 as a letter, become `\\unicodechar{HEX}`: see `LATEX_UNICODE`.
    """
    shown = unicodedata.normalize("NFC", plain(text))
    text = "".join(_LATEX.get(c, c if c.isascii() or _is_latin(c) else rf"\unicodechar{{{ord(c):04X}}}") for c in shown)
    text = text.replace("--", "-{}-")
    # After the end of a row LaTeX reads [ as the beginning of a length, and * as a command's star.
    return "{}" + text if text.startswith(("[", "*")) else text


def csv_cell(text: str) -> str:
    """Text for a CSV cell that no spreadsheet reads as a formula."""
    shown = plain(text)
    return "'" + shown if shown.lstrip().startswith(("=", "+", "-", "@")) else shown


def _is_latin(character: str) -> bool:
    return "\u00c0" <= character <= "\u00ff" and character not in "\u00d7\u00f7"


def _entity(character: str) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[character]


def _seen(character: str, *, lines: bool) -> str:
    if character in "\n\t\r":
        return "\n" if lines and character == "\n" else " "
    return _REPLACEMENT
