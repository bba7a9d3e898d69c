"""How charts are drawn: their colours and style, a figure to begin with, and a figure as SVG text."""

from __future__ import annotations

import io
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ghostbench.models import SEES_VIDEO
from ghostbench.report.columns import Rows
from ghostbench.report.escape import plain
from ghostbench.report.margins import set_margins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
"""The most models in one chart; more could not be told apart."""
MOST_CURVES = 8
_LONGEST = 26
"""Characters of a name in a chart."""
_VIDEO = " [video]"
_NARROW_PT = 240.0
"""What a legend may be wide: a column of a paper in two columns, points."""
_LETTER, _HANDLE = 0.6, 4.0
"""How wide a letter of a legend is about, and what stands before and after its words, in sizes of the font."""
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7f3fbf", "#999999")
"""Okabe and Ito's colours, the yellow darkened to be seen on white."""
INK = "#010203"
FAINT = "#010204"
"""What stands for the colours of text and of rules until a chart is saved."""
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart under its name, to be saved."""

    figure: Figure
    name: str


def figure_of(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A figure of that width and height, inches, with one pair of axes under a title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    # At a place that is given: else each drawing looks for one.
    axes.set_title(title, y=1.0)
    return figure, axes


def square(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """A figure of two shares, each from 0 to 1."""
    figure, axes = figure_of(3.6, 3.5, title)
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid()
    return figure, axes


def legend_below(figure: Figure, size: float = 7, title: str | None = None) -> None:
    """Name what is drawn below a figure's axes, where it lies over nothing; the figure grows by as much. In no more
    columns than fit a narrow column of paper."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if not labels:
        return
    each = max(map(letters, labels)) * _LETTER + _HANDLE
    columns = max(1, min(4, len(labels), int(_NARROW_PT / (each * size))))
    lines = math.ceil(len(labels) / columns) + (title is not None)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + (lines * 1.6 + 1) * size / 72)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=size, title=title,
                  title_fontsize=size, alignment="left")  # fmt: skip


def letters(text: str) -> int:
    """How many letters a text is wide; those of Chinese, Japanese and Korean are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element that scales to its container; the same run gives the same text.

    Names of parts are their number in the chart: matplotlib's are digests of coordinates, which may differ in the last
    digit on another machine.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)
    figure.dpi = FigureCanvasSVG.fixed_dpi
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}), any_script():
        set_margins(figure)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[\d.]+pt" height="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    numbers: dict[str, str] = {}
    text = re.sub(
        r'(\bid="|xlink:href="#|url\(#)([^")]+)',
        lambda match: f"{match[1]}{_word(name)}-{numbers.setdefault(match[2], str(len(numbers)))}",
        text,
    )
    return text.replace(INK, "currentColor").replace(FAINT, "var(--faint, #999)")


@contextmanager
def any_script() -> Iterator[None]:
    """Let matplotlib say nothing of letters that its font has not: whoever opens the chart has fonts of their own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ ")
        yield


def short(name: str) -> str:
    """A name as it fits beside an axis: of a long one its beginning and its end."""
    return _unhidden(_cut(plain(name)))


def named(name: str, rows: Rows) -> str:
    """A row's name as it fits beside an axis or in a legend, unlike any other row's, with a mark where the row saw the
    video."""
    return _unhidden(told_apart(tuple(rows))[name]) + (_VIDEO if rows[name].get("sees_video") else "")


@lru_cache(16)
def told_apart(names: tuple[str, ...]) -> Mapping[str, str]:
    """Names as they fit beside an axis, each unlike the others: those that would be alike are cut where they differ.

    >>> list(told_apart(("vendor/family-8-long-suffix-awq", "vendor/family-9-long-suffix-awq", "m")).values())
    ['vendo…ly-8-long-suffix-awq', 'vendo…ly-9-long-suffix-awq', 'm']
    """
    found = {name: _cut(plain(name)) for name in names}
    for _ in names:  # what is still alike then differs further on
        alike = [group for group in _groups(found) if len(group) > 1]
        for group in alike:
            shown = [plain(name) for name in group]
            letters = enumerate(zip(*shown, strict=False))
            first = next((at for at, each in letters if len(set(each)) > 1), min(map(len, shown)))
            found |= {name: _cut(plain(name), first) for name in group}
        if not alike:
            return found
    for group in _groups(found):  # names that differ in what is not shown
        for number, name in enumerate(group[1:], 2):
            found[name] += f" ({number})"
    return found


def _groups(shown: Mapping[str, str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name, each in shown.items():
        groups.setdefault(each, []).append(name)
    return list(groups.values())


def _cut(shown: str, first: int = 0) -> str:
    """A name of at most `_LONGEST` characters; with the one at `first`, where others differ from it, and what is around
    it."""
    if len(shown) <= _LONGEST:
        return shown
    if first == 0:
        return f"{shown[: _LONGEST - 13]}…{shown[-12:]}"
    begin = min(max(first - 3, 6), len(shown) - (_LONGEST - 6))
    piece = shown[begin : begin + _LONGEST - 6]
    return f"{shown[:5]}…{piece if begin + len(piece) == len(shown) else piece[:-1] + '…'}"


def _unhidden(shown: str) -> str:
    # A legend leaves out what begins with a line below.
    return f" {shown}" if shown.startswith("_") else shown


def note_on(names: Sequence[str], rows: Rows, most: int = MOST) -> str:
    """Sentences on a chart of the first so many of these models: what the mark of `named` means, and that others are
    left out; "" where neither is so."""
    mark = f" {_VIDEO.strip()}: {SEES_VIDEO}." if any(rows[name].get("sees_video") for name in names[:most]) else ""
    return mark + (f" The first {most} of {len(names)} models." if len(names) > most else "")


def _word(text: str) -> str:
    return text.replace(" ", "-")
