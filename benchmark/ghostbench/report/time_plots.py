"""Charts of what answers took: time, its stages, and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ghostbench.folder.lines import STAGES
from ghostbench.report.columns import Rows
from ghostbench.report.drawing import MOST, PALETTE, Drawn, figure_of, legend_below, named, note_on
from ghostbench.scoring.account import QUANTILES
from ghostbench.scoring.account_metrics import Percentiles

_WIDE = 20
"""Times that differ by a larger factor are drawn on a logarithmic scale."""


def latency(rows: Rows) -> Iterable[tuple[str, Drawn]]:
    """What an attempt takes, and its stages, as (description in words, chart)."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    of_all = [(name, row["latency"]) for name, row in rows.items() if row["latency"]["wall_s"]]
    timed, note = of_all[:MOST], note_on([name for name, _ in of_all], rows)
    walls = [wall for _, found in timed if (wall := found["wall_s"])]
    if not timed:
        return
    figure, axes = figure_of(5.2, 0.9 + 0.28 * len(timed), "Time per attempt: p50, p90, p99")
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
    axes.set_yticks(range(len(timed)), [named(name, rows) for name, _ in timed])
    axes.set_ylim(len(timed) - 0.5, -0.6)
    axes.grid(axis="x")
    yield (
        f"Wall time of an attempt{', logarithmic' if wide else ''}: median, 90th and 99th percentile, without warm-up."
        f"{note}",
        Drawn(figure, "latency"),
    )
    yield from _stages(timed, rows, note)


def _stages(
    timed: Sequence[tuple[str, Mapping[str, Percentiles | None]]], rows: Rows, note: str
) -> Iterable[tuple[str, Drawn]]:
    stages = [stage for stage in STAGES if any(found[stage] for _, found in timed) and stage != "first_token_s"]
    if not stages:
        return
    figure, axes = figure_of(5.2, 1.1 + 0.28 * len(timed), "Where the time goes, medians")
    left = np.zeros(len(timed))
    for stage, colour in zip(stages, PALETTE, strict=False):
        width = np.array([taken["p50"] if (taken := found[stage]) else 0.0 for _, found in timed])
        axes.barh(range(len(timed)), width, left=left, height=0.6, color=colour, label=_stage(stage))
        left += width
    axes.set_yticks(range(len(timed)), [named(name, rows) for name, _ in timed])
    axes.set_ylim(len(timed) - 0.5, -0.5)
    axes.set_xlabel("seconds")
    legend_below(figure, 8)
    yield (
        "Median time of each stage of an attempt; medians need not add up to the whole. A clip's video is decoded "
        f"once, for all models.{note}",
        Drawn(figure, "stages"),
    )


def memory(rows: Rows) -> Iterable[tuple[str, Drawn]]:
    """The most memory that each model took, as (description in words, chart)."""
    used = [(name, row["memory"]) for name, row in rows.items() if any(v is not None for v in row["memory"].values())]
    if not used:
        return
    note = note_on([name for name, _ in used], rows)
    used = used[:MOST]
    figure, axes = figure_of(5.2, 0.9 + 0.34 * len(used), "Peak device memory")
    kinds = ("peak_allocated_bytes", "peak_reserved_bytes", "process_bytes")
    for index, (kind, colour) in enumerate(zip(kinds, PALETTE, strict=False)):
        sizes = [(found[kind] or 0) / 2**30 for _, found in used]
        title = kind.removeprefix("peak_").removesuffix("_bytes")
        axes.barh(np.arange(len(used)) + 0.25 * (index - 1), sizes, height=0.23, color=colour, label=title)
    axes.set_yticks(range(len(used)), [named(name, rows) for name, _ in used])
    axes.set_ylim(len(used) - 0.5, -0.5)
    axes.set_xlabel("GiB")
    legend_below(figure, 8)
    yield (
        f"Highest allocated, reserved and process memory.{note}",
        Drawn(figure, "memory"),
    )


def _stage(stage: str) -> str:
    return stage.removesuffix("_s").replace("_", " ")


def _clock(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
