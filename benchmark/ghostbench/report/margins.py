"""The room that a chart's title, names and legend need around its axes, measured once.

matplotlib's own layouts measure every part of a chart twice over, which takes longer than to draw it.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_STAND_IN_EM = 0.6
"""How wide a letter is measured that the font has not, in sizes of the font."""
PAD = 3.0
"""What stays free at the edges of a chart, points."""


def set_margins(figure: Figure) -> None:
    """Place the one pair of axes of a figure so that nothing around it is cut off; its layout engine is taken away.

    The figure has a pixel for each point. Its legends, if any, are at its bottom.
    """
    from matplotlib.backend_bases import RendererBase

    figure.set_layout_engine(None)
    renderer = RendererBase()
    (axes,) = figure.axes
    width, height = figure.bbox.width, figure.bbox.height
    top = PAD + _title(axes, renderer)
    legends = [legend.get_window_extent(renderer).y1 for legend in figure.legends]
    bottom = max([PAD, *legends]) + _depth(axes.xaxis, renderer, "height")
    # How many ticks an axis gets follows from its length.
    axes.set_position((PAD / width, bottom / height, 1 - 2 * PAD / width, 1 - (top + bottom) / height))
    left = PAD + _depth(axes.yaxis, renderer, "width")
    axes.set_position((left / width, bottom / height, 1 - (left + PAD) / width, 1 - (top + bottom) / height))
    before, after = _overhang(axes, renderer)
    left, right = left + before, PAD + after
    axes.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _title(axes: Axes, renderer: RendererBase) -> float:
    """The height of the title with its distance from the axes."""
    import matplotlib as mpl

    if not axes.get_title(loc="left"):
        return 0.0
    _, height, _ = renderer.get_text_width_height_descent("lp", axes.title.get_fontproperties(), ismath=False)
    return float(height + mpl.rcParams["axes.titlepad"])


def _depth(axis: Axis, renderer: RendererBase, across: Literal["width", "height"]) -> float:
    """How far an axis reaches away from the axes: its ticks, their labels and its own label."""
    import matplotlib as mpl

    names = [_size(label, renderer, across) for label in axis.get_ticklabels() if label.get_text()]
    # An axis on which nothing lies has no ticks, and one without a model has no names.
    ticks = max((tick.get_tick_padding() for tick in axis.get_major_ticks()[:1]), default=0.0)
    depth = ticks + mpl.rcParams["xtick.major.pad"] + max(names, default=0.0)
    beside = 0.0
    if axis.get_label_text():
        beside = _size(axis.label, renderer, across) + mpl.rcParams["axes.labelpad"]
    if names and across == "height" and axis.get_major_formatter().get_offset():
        # The power of ten of the labels stands below them, at the end of the axis.
        beside = max(beside, max(names) + PAD)
    return float(depth + beside)


def _size(text: Text, renderer: RendererBase, across: Literal["width", "height"]) -> float:
    size = float(getattr(text.get_window_extent(renderer), across))
    return size + _unmeasured(text) if across == "width" else size


def _unmeasured(text: Text) -> float:
    """By how much a text with wide letters, such as Chinese, is wider than it is measured: the font has none of them,
    and what stands in their place is narrower."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text.get_text())
    return wide * (1 - _STAND_IN_EM) * float(text.get_fontsize())


def _overhang(axes: Axes, renderer: RendererBase) -> tuple[float, float]:
    """How far the labels below the axes reach over the edges of the figure, less `PAD`: at the left, at the right."""
    figure_width = axes.figure.bbox.width
    before = after = 0.0
    start, end = axes.get_xlim()
    for label in axes.xaxis.get_ticklabels():
        place = label.get_position()[0]
        if not label.get_text() or not min(start, end) <= place <= max(start, end):
            continue
        at = float(axes.transData.transform((place, 0.0))[0])
        half = _size(label, renderer, "width") / 2
        before, after = max(before, PAD - (at - half)), max(after, at + half - (figure_width - PAD))
    return before, after
