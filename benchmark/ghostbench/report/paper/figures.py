"""The report's charts as files for a paper: PDF and SVG, as wide as a column, in black and grey where they were
neutral."""

from __future__ import annotations

import io
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from ghostbench.report.data import RunData
from ghostbench.report.drawing import FAINT, INK
from ghostbench.report.paper.narrow import COLUMN_PT
from ghostbench.report.plots import saved_charts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NEUTRAL = {INK: "#000000", FAINT: "#8c8c8c"}
_LONGEST, _FEWEST = 26, 4
"""Characters of a text of which some stand as numbers, and how many parts of it stay in any case."""
_PT = 72.27
"""Points of TeX in an inch."""


def paper_figures(run: RunData) -> dict[str, tuple[str, bytes, bytes]]:
    """Every chart by its file's stem: a caption in words, the PDF and the SVG. The same run gives the same bytes."""
    drawn = [each for figures in saved_charts(run, _files).values() for each in figures]
    return {name: (words, pdf, svg) for words, (name, pdf, svg) in drawn}


def _files(figure: Figure, name: str) -> tuple[str, bytes, bytes]:
    """Its name as a file's, the PDF and the SVG."""
    import matplotlib as mpl
    from matplotlib.text import Text
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator

    _, height = figure.get_size_inches()
    figure.set_size_inches(COLUMN_PT / _PT, height)
    for axes in figure.axes:
        axes.set_title("")  # the caption says it, and there is no room
        along = axes.xaxis.get_major_locator()
        if type(along) is MaxNLocator:  # others see for themselves how many numbers there is room for
            along.set_params(nbins=2)
        elif isinstance(along, LogLocator):
            along.set_params(numticks=3)
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_locator(), FixedLocator):
                axis.set_ticklabels([_drawable(label.get_text()) for label in axis.get_ticklabels()])
    for artist in figure.findobj():
        _recolour(artist)
        if isinstance(artist, Text):
            artist.set_text(_drawable(artist.get_text()))
    pdf, svg = io.BytesIO(), io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"), pdf.getvalue(), svg.getvalue()


def _drawable(text: str) -> str:
    """Text in characters that the font has: of others the number, so that no two names look alike; of many others the
    first and the last, since they take seven times their room."""
    glyphs = _glyphs()
    parts = [each if ord(each) in glyphs or each == "\n" else f"U+{ord(each):04X}" for each in text]
    if not any(len(part) > 1 for part in parts):
        return text
    cut = False
    while sum(map(len, parts)) + cut > _LONGEST and len(parts) > _FEWEST:
        del parts[len(parts) // 2]
        cut = True
    return "".join([*parts[: (len(parts) + 1) // 2], *(["…"] if cut else []), *parts[(len(parts) + 1) // 2 :]])


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=["sans-serif"]))).get_charmap())


def _recolour(artist: Any) -> None:
    """Set what stands for a neutral colour to one."""
    from matplotlib.colors import to_hex

    for part in ("color", "edgecolor", "facecolor", "markeredgecolor", "markerfacecolor"):
        get, put = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
        if get is None or put is None:
            continue
        try:
            colour = to_hex(get())
        except (ValueError, TypeError):  # one of many, as collections have
            continue
        if colour in _NEUTRAL:
            put(_NEUTRAL[colour])
