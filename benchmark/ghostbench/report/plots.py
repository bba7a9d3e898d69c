"""The report's charts, as SVG text that takes its colours for text and axes from the page around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ghostbench.report.columns import Rows
from ghostbench.report.data import RunData
from ghostbench.report.drawing import (
    FAINT,
    MOST,
    MOST_CURVES,
    PALETTE,
    STYLE,
    Drawn,
    as_svg,
    figure_of,
    legend_below,
    named,
    note_on,
    square,
)
from ghostbench.report.time_plots import latency, memory
from ghostbench.report.twin_plots import twin_charts
from ghostbench.report.warning_plots import warning_charts
from ghostbench.report.warning_tables import at_moments
from ghostbench.scoring.metrics import TableRow
from ghostbench.scoring.views import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


def charts(run: RunData) -> dict[str, list[tuple[str, str]]]:
    """Every chart that the run has data for, by section of the report: (description in words, SVG text)."""
    return saved_charts(run, as_svg)


def saved_charts(run: RunData, save: Callable[[Figure, str], T]) -> dict[str, list[tuple[str, T]]]:
    """Every chart that the run has data for, by section of the report: (description in words, what `save` gives).

    save : gets the figure, whose text and axes have the colours `INK` and `FAINT`, and its name.
    """
    import matplotlib as mpl

    contenders = {name: row for name, row in run.rows.items() if not (row["baseline"] or _beside(row))}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        found = {
            "summary": [] if at_moments(run.rows) else [_forest(run.rows, view) for view in ("strict", "lenient")],
            "twins": list(twin_charts(contenders, run.fits)),
            "scores": list(_curves(run, contenders)),
            "latency": list(latency(contenders)),
            "memory": list(memory(contenders)),
            "warning": list(warning_charts(run, list(contenders))),
        }
        return {
            section: [(words, save(drawn.figure, drawn.name)) for words, drawn in figures]
            for section, figures in found.items()
            if figures
        }


def _forest(rows: Rows, view: View) -> tuple[str, Drawn]:
    """F1 with its interval, one line a model, and the best trivial baseline as a rule."""
    in_order = sorted(rows.items(), key=lambda each: _beside(each[1]))
    shown = [(name, row["views"][view]["answered"]["f1"], row) for name, row in in_order]
    of_all = [(name, f1, row["baseline"]) for name, f1, row in shown if f1 is not None]
    known = of_all[:MOST]
    # A yardstick that stood in for a model has that model's answers: it is no bar.
    bars = [f1["value"] for _, f1, row in shown if f1 is not None and row["baseline"] and row["of"] is None]
    figure, axes = figure_of(5.2, 0.9 + 0.26 * max(len(known), 1), f"F1, {view} view, 95% intervals")
    bar = max(bars, default=None)
    if bar is not None:
        axes.axvline(bar, color=PALETTE[1], linewidth=1, linestyle=(0, (4, 3)))
    for place, (_, f1, reference) in enumerate(known):
        colour = PALETTE[7] if reference else PALETTE[0]
        if f1["low"] is not None and f1["high"] is not None:
            axes.plot([f1["low"], f1["high"]], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot([f1["value"]], [place], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(known)), [named(name, rows) for name, _, _ in known])
    axes.set_ylim(max(len(known), 1) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    rule = f" The dashed rule is the best baseline, over all clips: {bar:.3f}." if bar is not None else ""
    unknown = sum(f1 is None for _, f1, _ in shown)
    rule += f" {unknown} without an F1 {'is' if unknown == 1 else 'are'} left out." if unknown else ""
    rule += note_on([name for name, _, _ in of_all], rows)
    words = f"F1 in the {view} view over the clips that each model answered, with 95% intervals.{rule}"
    return words, Drawn(figure, f"forest {view}")


def _beside(row: TableRow) -> bool:
    """Whether the row is of a model that has another, in the main wording and on the clips' own frames."""
    return bool(row["probe"] or row["variant"])


def _curves(run: RunData, rows: Rows) -> Iterable[tuple[str, Drawn]]:
    scored = [
        (name, scores, scores["auc"]["value"], scores["average_precision"]["value"])
        for name, row in rows.items()
        if (scores := row["scores"]) is not None and scores["auc"] and scores["average_precision"]
    ]
    scored.sort(key=lambda each: -each[3])
    picked = scored[:MOST_CURVES]
    if not picked:
        return
    from sklearn.metrics import precision_recall_curve, roc_curve

    note = f" The {MOST_CURVES} of {len(scored)} models with the highest AP." if len(scored) > len(picked) else ""
    note += note_on([name for name, *_ in picked], rows)
    roc, roc_axes = square("ROC", "false positive rate", "recall")
    pr, pr_axes = square("Precision and recall", "recall", "precision")
    dots, dots_axes = square("Reliability", "stated probability", "share that was true")
    roc_axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    dots_axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    for (name, scores, auc, ap), colour in zip(picked, PALETTE, strict=False):
        score, truth = _scored(run, name)
        fpr, tpr, _ = roc_curve(truth, score)
        precision, recall, _ = precision_recall_curve(truth, score)
        roc_axes.plot(fpr, tpr, color=colour, label=f"{named(name, rows)} {auc:.2f}")
        pr_axes.plot(recall, precision, color=colour, drawstyle="steps-post", label=f"{named(name, rows)} {ap:.2f}")
        bins = scores["reliability"]
        at = [b["mean_score"] for b in bins]
        dots_axes.plot(at, [b["share"]["value"] for b in bins], "-", color=colour, linewidth=1)
        lows, highs = [b["share"]["low"] or 0.0 for b in bins], [b["share"]["high"] or 0.0 for b in bins]
        dots_axes.vlines(at, lows, highs, color=colour, lw=0.8)
        dots_axes.scatter(at, [b["share"]["value"] for b in bins], [8 + 3 * math.sqrt(b["n"]) for b in bins], colour)
    prevalence = next(iter(rows.values()))["prevalence"]
    pr_axes.axhline(prevalence, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    legend_below(roc, title="AUC")
    legend_below(pr, title="AP")
    yield f"ROC curves; the dashed line is chance.{note}", Drawn(roc, "roc")
    yield f"Precision against recall; the dashed line is the share of positives.{note}", Drawn(pr, "pr")
    yield (
        f"Reliability in ten bins with 95% intervals; larger dots hold more clips. Colours as beside AUC.{note}",
        Drawn(dots, "reliability"),
    )


def _scored(run: RunData, name: str) -> tuple[Any, Any]:
    rows = run.predictions[run.predictions["model"] == name]
    used = rows[rows["grade"].notna() & rows["answered_by"].notna() & rows["score"].notna()]
    return used["score"].to_numpy(), (used["truth"] == "ghost_probing").to_numpy()
