"""Whatever the names are and however many models there are, no part of a chart is cut off or lies over another."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip, watched_clip
from matplotlib.backends.backend_svg import FigureCanvasSVG

from ghostbench.report.data import RunData, read_run
from ghostbench.report.drawing import as_svg
from ghostbench.report.margins import set_margins
from ghostbench.report.paper.figures import _files
from ghostbench.report.paper.narrow import COLUMN_PT
from ghostbench.report.plots import saved_charts
from ghostbench.scoring.score import score_run

G, N = "ghost_probing", "normal"
LONG = [f"{size}-a-long-family-of-models-instruct-2026-preview" for size in range(9)]
TASK = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0, "sustain": "1/1"}


def over_twins(folder: Path, names: list[str]) -> RunData:
    scenes = (("a", "day", 0.5), ("b", "dusk under a heavy rain", 1.0), ("c", "a night without any moon", 2.0))
    twins = [
        clip(f"{scene}-{twin}", G if twin == "as_is" else N)
        | {"parameters": {"scene": scene, "twin": twin, "light": light, "visible_s": dose}}
        for scene, light, dose in scenes
        for twin in ("as_is", "no_actor")
    ]
    builder = RunBuilder(twins)
    # So little memory that the axis has a power of ten.
    used = {"memory": {"peak_allocated_bytes": 900, "peak_reserved_bytes": 1000, "process_bytes": 1100}}
    for name in names:
        builder.model(name, sees_video=name == names[-1])
        for line in twins:
            builder.row(name, line["clip"], line["truth"], score=0.9 if line["truth"] == G else 0.1, attempts=[used])
    return scored(builder.write(folder))


def of_warnings(folder: Path, names: list[str]) -> RunData:
    seen = [watched_clip(f"images_1_{n:03}", G, 8, (1.2 if n % 2 else 2.2, 3.0)) for n in range(2)]
    builder = RunBuilder([*seen, watched_clip("images_2_with_a_long_name_000", N, 8)])
    for name in names:
        builder.model(name)
        for line in builder.clips:
            said = [G if line["truth"] == G and at > 4 else N for at in range(8)]
            builder.watch(name, line["clip"], said, [0.9 if each == G else 0.1 for each in said])
    return scored(builder.write(folder, task=TASK, sampling="fps:2"))


def scored(folder: Path) -> RunData:
    score_run(folder)
    return read_run(folder)


@pytest.mark.parametrize("run", [over_twins, of_warnings])
@pytest.mark.parametrize("names", [["m"], LONG], ids=["one short name", "nine long ones"])
def test_nothing_is_cut_off_and_names_lie_over_nothing(run: Any, names: list[str], tmp_path: Path) -> None:
    seen: set[str] = set()

    def check(figure: Any, name: str) -> None:
        FigureCanvasSVG(figure)
        figure.dpi = FigureCanvasSVG.fixed_dpi
        set_margins(figure)
        figure.draw_without_rendering()
        renderer = figure._get_renderer()
        whole = figure.bbox
        around = figure.get_tightbbox(renderer).padded(-0.003)
        assert 0 <= around.x0 < around.x1 <= whole.width / 72, (name, around)
        assert 0 <= around.y0 < around.y1 <= whole.height / 72, (name, around)
        (axes,) = figure.axes
        assert axes.get_legend() is None, "it would lie over what is drawn"
        assert axes.get_window_extent(renderer).height > 40, name
        below = [label.get_window_extent(renderer) for label in axes.get_xticklabels()]
        if axes.get_xlabel():
            below.append(axes.xaxis.label.get_window_extent(renderer))
        for legend in figure.legends:
            box = legend.get_window_extent(renderer)
            assert box.y1 <= min(each.y0 for each in below) + 0.05, name
            assert 0 <= box.x0 < box.x1 <= whole.width, name
        assert min(axes.get_position().size) > 0.3, name
        seen.add(name)

    saved_charts(run(tmp_path / "r", names), check)
    assert {"latency", "stages"} < seen
    assert seen > ({"dose-light", "memory", "roc"} if run is over_twins else {"warning-timeline", "warning-leads"})


@pytest.mark.slow
@pytest.mark.parametrize("run", [over_twins, of_warnings])
def test_legends_and_numbers_fit_a_column_of_paper(run: Any, tmp_path: Path) -> None:
    def check(figure: Any, name: str) -> None:
        _files(figure, name)
        FigureCanvasSVG(figure)
        figure.draw_without_rendering()
        renderer = figure._get_renderer()
        assert figure.bbox.width == pytest.approx(figure.dpi * COLUMN_PT / 72.27)
        for legend in figure.legends:
            box = legend.get_window_extent(renderer)
            assert 0 <= box.x0 < box.x1 <= figure.bbox.width, (name, box)
        (axes,) = figure.axes
        low, high = sorted(axes.get_xlim())
        shown = [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
        boxes = sorted((label.get_window_extent(renderer) for label in shown if label.get_text()), key=lambda b: b.x0)
        assert all(one.x1 < other.x0 for one, other in pairwise(boxes)), (name, [label.get_text() for label in shown])

    saved_charts(run(tmp_path / "r", LONG), check)


def test_a_chart_is_the_same_text_each_time(tmp_path: Path) -> None:
    run = of_warnings(tmp_path / "r", ["m", "n"])
    assert saved_charts(run, as_svg) == saved_charts(run, as_svg)


def test_a_chart_of_no_row_is_drawn_too(tmp_path: Path) -> None:
    """As where no clip is a ghost probing, and a task's mistake leaves the named yardsticks without answers too."""
    builder = RunBuilder([clip("images_1_001", N), clip("images_2_001", N)])
    for name in ("m", "always", "never", "random", "category-prior"):
        builder.model(name, reference=name != "m")
        builder.rows(name, [None, None])
    charts = saved_charts(scored(builder.write(tmp_path / "run")), as_svg)
    assert all("<svg" in svg for several in charts.values() for _, svg in several)
    assert any("5 without an F1 are left out" in words for words, _ in charts["summary"])
