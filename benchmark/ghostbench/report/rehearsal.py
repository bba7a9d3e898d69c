"""What a process makes once for all of its reports; made ahead, nobody waits for it at the end of a run."""

from __future__ import annotations

import io


def rehearse() -> None:
    """Make what reads a run's lines, compile the page's templates, read LaTeX's names, and draw a chart with the fonts
    of all; nothing is written."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    from ghostbench.folder.lines import AttemptLine, ClipLine, PredictionLine, adapter_of
    from ghostbench.report.drawing import figure_of
    from ghostbench.report.escape import latex
    from ghostbench.report.html import page_template
    from ghostbench.report.margins import set_margins

    for kind in (ClipLine, AttemptLine, PredictionLine):
        adapter_of(kind)
    page_template().environment.get_template("grid.html.j2")  # which the page takes in
    latex("a")
    figure, axes = figure_of(2.0, 2.0, "a")
    axes.set_title("a", weight="bold", loc="left")
    axes.plot([0, 1], label="a")
    axes.legend(title="a")
    FigureCanvasSVG(figure)
    figure.dpi = FigureCanvasSVG.fixed_dpi
    set_margins(figure)
    figure.savefig(io.StringIO(), format="svg")
