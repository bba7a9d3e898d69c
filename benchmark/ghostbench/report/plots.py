"""The report's charts, as SVG text that takes its colours for text and axes from the page around it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ghostbench.folder.lines import STAGES
from ghostbench.report.columns import Rows
from ghostbench.report.data import RunData
from ghostbench.report.escape import plain
from ghostbench.report.twin_tables import curves
from ghostbench.report.warning_plots import Drawn, Pens, warning_charts
from ghostbench.report.warning_tables import at_moments
from ghostbench.scoring.account import QUANTILES
from ghostbench.scoring.metrics import Percentiles, Row
from ghostbench.scoring.twins import DOSES, levels_of
from ghostbench.scoring.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")
MOST = 24
"""The most models in one chart; more could not be told apart."""
MOST_CURVES = 8
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7f3fbf", "#999999")
"""Okabe and Ito's colours, the yellow darkened to be seen on white."""
_WIDE = 20
"""Times that differ by a larger factor are drawn on a logarithmic scale."""
INK = "#010203"
FAINT = "#010204"
"""What stands for the colours of text and of rules until a chart is saved."""
_STYLE: Any = {
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


def charts(run: RunData) -> dict[str, list[tuple[str, str]]]:
    """Every chart that the run has data for, by section of the report: (description in words, SVG text)."""
    return saved_charts(run, _svg)


def saved_charts(run: RunData, save: Callable[[Figure, str], T]) -> dict[str, list[tuple[str, T]]]:
    """Every chart that the run has data for, by section of the report: (description in words, what `save` gives).

    save : gets the figure, whose text and axes have the colours `INK` and `FAINT`, and its name.
    """
    import matplotlib as mpl

    contenders = {name: row for name, row in run.rows.items() if not (row["baseline"] or _beside(row))}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        found = {
            "summary": [] if at_moments(run.rows) else [_forest(run.rows, view) for view in ("strict", "lenient")],
            "twins": [*_doses(contenders, run.fits), *_by_light(contenders)],
            "scores": list(_curves(run, contenders)),
            "latency": list(_latency(contenders)),
            "memory": list(_memory(contenders)),
            "warning": list(warning_charts(run, list(contenders), Pens(_figure, PALETTE, FAINT))),
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
    known = [(name, f1, row["baseline"]) for name, f1, row in shown if f1 is not None][:MOST]
    figure, axes = _figure(5.2, 0.9 + 0.26 * max(len(known), 1), f"F1, {view} view, 95% intervals")
    bar = max((f1["value"] for _, f1, reference in known if reference), default=None)
    if bar is not None:
        axes.axvline(bar, color=PALETTE[1], linewidth=1, linestyle=(0, (4, 3)))
    for place, (_, f1, reference) in enumerate(known):
        colour = PALETTE[7] if reference else PALETTE[0]
        if f1["low"] is not None and f1["high"] is not None:
            axes.plot([f1["low"], f1["high"]], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot([f1["value"]], [place], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(known)), [_short(name) for name, _, _ in known])
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    rule = f" The dashed rule is the best baseline, over all clips: {bar:.3f}." if bar is not None else ""
    unknown = sum(f1 is None for _, f1, _ in shown)
    rule += f" {unknown} without an F1 {'is' if unknown == 1 else 'are'} left out." if unknown else ""
    words = (
        f"F1 in the {view} view over the clips that each model answered, with 95% intervals.{rule}{_cut(len(shown))}"
    )
    return words, Drawn(figure, f"forest {view}")


def _beside(row: Row) -> bool:
    """Whether the row is of a model that has another, in the main wording and on the clips' own frames."""
    return bool(row["probe"] or row["variant"])


def _doses(rows: Rows, fits: bool) -> Iterable[tuple[str, Drawn]]:
    """For each dose, the answers by dose and the curve of each model that has a threshold."""
    seen = [(name, row, curves(row, fits)) for name, row in rows.items() if row.get("twins")][:MOST_CURVES]
    for dose, title in DOSES.items():
        counted = [(name, levels_of(row["twins"]["doses"][dose]["levels"]), found[dose]) for name, row, found in seen]
        if not any(len(levels) > 1 for _, levels, _ in counted):
            continue
        figure, axes = _figure(4.6, 3.2, title)
        for (name, levels, fit), colour in zip(counted, PALETTE, strict=False):
            at = [level.dose for level in levels]
            axes.scatter(at, [level.alarms / level.answers for level in levels], s=16, color=colour)
            threshold = fit.threshold if fit is not None else None
            if fit is None or threshold is None:
                axes.plot([], [], color=colour, label=f"{_short(name)}: none")
                continue
            fine = np.linspace(at[0], at[-1], 80)
            rise = [fit.at(float(each)) or 0.0 for each in fine]
            axes.plot(fine, rise, color=colour, label=f"{_short(name)} {threshold['value']:.2f}")
        axes.set_ylim(-0.04, 1.04)
        axes.set_ylabel("says ghost probing")
        axes.legend(loc="best", title="threshold", alignment="left", fontsize=7)
        yield (
            f"Share of clips with the event that are called ghost probing, against {title}; the lines are fitted.",
            Drawn(figure, f"dose-{dose}"),
        )


def _by_light(rows: Rows) -> Iterable[tuple[str, Drawn]]:
    """In each light, how often each model says that the event is there, and how often on the counterparts."""
    seen = [(name, row["twins"]["lights"]) for name, row in rows.items() if "lights" in (row.get("twins") or {})]
    if not seen:
        return
    lights = list(seen[0][1])
    figure, axes = _figure(4.6, 3.2, "light")
    for place, ((name, counted), colour) in enumerate(zip(seen[:MOST_CURVES], PALETTE, strict=False)):
        for key, marker, filled in (("says_event", "o", colour), ("on_twins", "s", "none")):
            known = [(at, found) for at, light in enumerate(lights) if (found := counted[light][key]) is not None]
            at = [each + 0.08 * (place - (len(seen[:MOST_CURVES]) - 1) / 2) for each, _ in known]
            for x, (_, found) in zip(at, known, strict=True):
                axes.plot([x, x], [found["low"], found["high"]], color=colour, linewidth=1)
            label = _short(name) if key == "says_event" else None
            values = [found["value"] for _, found in known]
            axes.plot(at, values, marker, color=colour, markerfacecolor=filled, markersize=4, label=label)
    axes.set_xticks(range(len(lights)), [_short(light) for light in lights])
    axes.set_xlim(-0.5, len(lights) - 0.5)
    axes.set_ylim(-0.04, 1.04)
    axes.set_ylabel("says ghost probing")
    axes.legend(loc="best", fontsize=7)
    yield (
        "Share of clips that are called ghost probing, by light: dots with the event, squares their counterparts.",
        Drawn(figure, "dose-light"),
    )


def _curves(run: RunData, rows: Rows) -> Iterable[tuple[str, Drawn]]:
    from sklearn.metrics import precision_recall_curve, roc_curve

    scored = [
        (name, scores, scores["auc"]["value"], scores["average_precision"]["value"])
        for name, row in rows.items()
        if (scores := row["scores"]) is not None and scores["auc"] and scores["average_precision"]
    ]
    scored.sort(key=lambda each: -each[3])
    picked = scored[:MOST_CURVES]
    if not picked:
        return
    note = f" The {MOST_CURVES} of {len(scored)} models with the highest AP." if len(scored) > len(picked) else ""
    roc, roc_axes = _square("ROC", "false positive rate", "recall")
    pr, pr_axes = _square("Precision and recall", "recall", "precision")
    dots, dots_axes = _square("Reliability", "stated probability", "share that was true")
    roc_axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    dots_axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    for (name, scores, auc, ap), colour in zip(picked, PALETTE, strict=False):
        score, truth = _scored(run, name)
        fpr, tpr, _ = roc_curve(truth, score)
        precision, recall, _ = precision_recall_curve(truth, score)
        roc_axes.plot(fpr, tpr, color=colour, label=f"{_short(name)} {auc:.2f}")
        pr_axes.plot(recall, precision, color=colour, drawstyle="steps-post", label=f"{_short(name)} {ap:.2f}")
        bins = scores["reliability"]
        at = [b["mean_score"] for b in bins]
        dots_axes.plot(at, [b["share"]["value"] for b in bins], "-", color=colour, linewidth=1)
        lows, highs = [b["share"]["low"] or 0.0 for b in bins], [b["share"]["high"] or 0.0 for b in bins]
        dots_axes.vlines(at, lows, highs, color=colour, lw=0.8)
        dots_axes.scatter(at, [b["share"]["value"] for b in bins], [8 + 3 * math.sqrt(b["n"]) for b in bins], colour)
    prevalence = next(iter(rows.values()))["prevalence"]
    pr_axes.axhline(prevalence, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    roc_axes.legend(loc="lower right", title="AUC", alignment="left")
    pr_axes.legend(loc="lower left", title="AP", alignment="left")
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


def _latency(rows: Rows) -> Iterable[tuple[str, Drawn]]:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    timed = [(name, row["latency"]) for name, row in rows.items() if row["latency"]["wall_s"]][:MOST]
    walls = [wall for _, found in timed if (wall := found["wall_s"])]
    if not timed:
        return
    figure, axes = _figure(5.2, 0.9 + 0.28 * len(timed), "Time per attempt: p50, p90, p99")
    for place, wall in enumerate(walls):
        marks = [max(wall[q], 1e-6) for q, _ in QUANTILES]
        axes.plot([marks[0], marks[2]], [place, place], color=PALETTE[0], linewidth=2, alpha=0.4)
        axes.plot(marks, [place] * 3, "o", color=PALETTE[0], markersize=5)
        axes.annotate(f"{_clock(marks[0])}", (marks[0], place), (0, 5), textcoords="offset points", ha="center", size=7)
    times = [max(wall[q], 1e-6) for wall in walls for q, _ in QUANTILES]
    wide = max(times) > _WIDE * min(times)
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1,), numticks=8))
    else:
        axes.set_xlim(0, 1.08 * max(times))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(timed)), [_short(name) for name, _ in timed])
    axes.set_ylim(len(timed) - 0.5, -0.6)
    axes.grid(axis="x")
    yield (
        f"Wall time of an attempt{', logarithmic' if wide else ''}: median, 90th and 99th percentile, without warm-up."
        f"{_cut(len(rows))}",
        Drawn(figure, "latency"),
    )
    yield from _stages(timed, len(rows))


def _stages(timed: Sequence[tuple[str, Mapping[str, Percentiles | None]]], total: int) -> Iterable[tuple[str, Drawn]]:
    stages = [stage for stage in STAGES if any(found[stage] for _, found in timed) and stage != "first_token_s"]
    if not stages:
        return
    figure, axes = _figure(5.2, 1.5 + 0.28 * len(timed), "Where the time goes, medians")
    left = np.zeros(len(timed))
    for stage, colour in zip(stages, PALETTE, strict=False):
        width = np.array([taken["p50"] if (taken := found[stage]) else 0.0 for _, found in timed])
        axes.barh(range(len(timed)), width, left=left, height=0.6, color=colour, label=_stage(stage))
        left += width
    axes.set_yticks(range(len(timed)), [_short(name) for name, _ in timed])
    axes.set_ylim(len(timed) - 0.5, -0.5)
    axes.set_xlabel("seconds")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    yield (
        "Median time of each stage of an attempt; medians need not add up to the whole. A clip's video is decoded "
        f"once, for all models.{_cut(total)}",
        Drawn(figure, "stages"),
    )


def _memory(rows: Rows) -> Iterable[tuple[str, Drawn]]:
    used = [(name, row["memory"]) for name, row in rows.items() if any(v is not None for v in row["memory"].values())]
    if not used:
        return
    used = used[:MOST]
    figure, axes = _figure(5.2, 1.3 + 0.34 * len(used), "Peak device memory")
    kinds = ("peak_allocated_bytes", "peak_reserved_bytes", "process_bytes")
    for index, (kind, colour) in enumerate(zip(kinds, PALETTE, strict=False)):
        sizes = [(found[kind] or 0) / 2**30 for _, found in used]
        title = kind.removeprefix("peak_").removesuffix("_bytes")
        axes.barh(np.arange(len(used)) + 0.25 * (index - 1), sizes, height=0.23, color=colour, label=title)
    axes.set_yticks(range(len(used)), [_short(name) for name, _ in used])
    axes.set_ylim(len(used) - 0.5, -0.5)
    axes.set_xlabel("GiB")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    yield f"Highest allocated, reserved and process memory.{_cut(len(rows))}", Drawn(figure, "memory")


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _square(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure, axes = _figure(3.6, 3.5, title)
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid()
    return figure, axes


def _svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element that scales to its container; the same run gives the same text.

    Names of parts are their number in the chart: matplotlib's are digests of coordinates, which may differ in the last
    digit on another machine.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # Laid out here, for what draws it: `savefig` would draw it once more, to nowhere, to have it laid out.
    FigureCanvasSVG(figure)
    figure.dpi = FigureCanvasSVG.fixed_dpi
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
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


def _word(text: str) -> str:
    return text.replace(" ", "-")


def _short(name: str) -> str:
    shown = plain(name)
    return shown if len(shown) <= 26 else shown[:25] + "…"


def _stage(stage: str) -> str:
    return stage.removesuffix("_s").replace("_", " ")


def _clock(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _cut(total: int) -> str:
    return f" The first {MOST} of {total} models." if total > MOST else ""
