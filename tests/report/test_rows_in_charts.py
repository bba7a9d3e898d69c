"""What the charts of a report say of their rows: which saw the video, and how many are left out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, clip, dash_clips, watched_clip
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.report.data import RunData, read_run
from ghostbench.report.drawing import as_svg, told_apart
from ghostbench.report.paper.figures import paper_figures
from ghostbench.report.plots import saved_charts
from ghostbench.scoring.score import score_run

SEES = "[video]: sees the video, not the frames."
G, N = "ghost_probing", "normal"


def texts(figure: Any, _: str) -> list[str]:
    """The names that a chart shows: beside its axes and in its legends."""
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    ticks = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    return [*ticks, *(text.get_text() for legend in legends for text in legend.get_texts())]


def drawn(run: RunData) -> dict[str, list[str]]:
    """The texts of each chart that names a model, by its words."""
    found = {words: shown for charts in saved_charts(run, texts).values() for words, shown in charts}
    return {words: shown for words, shown in found.items() if any("still" in text for text in shown)}


def assert_marked(charts: dict[str, list[str]]) -> None:
    for words, shown in charts.items():
        assert SEES in words, words
        assert all("[video]" in text for text in shown if "film" in text), shown
        assert any("[video]" in text for text in shown if "film" in text), shown
        assert not any("[video]" in text for text in shown if "still" in text), shown


def seeing(builder: RunBuilder) -> None:
    builder.model("film", kind="remote", sees_video=True, needs_frames=False)
    builder.model("still")


def test_they_are_marked_in_charts_of_answers_on_whole_clips(tmp_path: Path) -> None:
    twins = [
        clip(f"{scene}-{twin}", G if twin == "as_is" else N)
        | {"parameters": {"scene": scene, "twin": twin, "light": light, "visible_s": dose}}
        for scene, light, dose in (("a", "day", 0.5), ("b", "night", 1.0), ("c", "day", 2.0))
        for twin in ("as_is", "no_actor")
    ]
    builder = RunBuilder(twins)
    seeing(builder)
    used = {"memory": {"peak_allocated_bytes": 1 << 30, "peak_reserved_bytes": 1 << 30, "process_bytes": 1 << 30}}
    for name in ("film", "still"):
        for place, line in enumerate(twins):
            grade = line["truth"] if place else N
            builder.row(name, line["clip"], grade, score=0.9 if grade == G else 0.1, attempts=[used])
    score_run(builder.write(tmp_path / "r"))
    charts = drawn(read_run(tmp_path / "r"))
    # F1 in two views, a dose and the lights, ROC and precision, time and its stages, and memory.
    assert len(charts) == 9
    assert_marked(charts)


def test_they_are_marked_in_charts_of_warnings(tmp_path: Path) -> None:
    seen = [watched_clip(f"images_1_{n:03}", G, 8, (1.2 if n % 2 else 2.2, 3.0)) for n in range(4)]
    safe = [watched_clip(f"images_2_{n:03}", N, 8) for n in range(2)]
    builder = RunBuilder([*seen, *safe])
    seeing(builder)
    for name in ("film", "still"):
        for line in builder.clips:
            said = [G if line["truth"] == G and at > 4 else N for at in range(8)]
            builder.watch(name, line["clip"], said, [0.9 if each == G else 0.1 for each in said])
    task = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0}
    score_run(builder.write(tmp_path / "r", task={**task, "sustain": "1/1"}, sampling="fps:2"))
    charts = drawn(read_run(tmp_path / "r"))
    # First alarms, each of four clips over time, leads against false alarms and by visible time; time and its stages.
    assert len(charts) == 9
    assert_marked(charts)


def test_the_best_baseline_of_the_chart_is_none_that_stood_in_for_a_model(tmp_path: Path) -> None:
    builder = RunBuilder(dash_clips(8, 0, 4))
    builder.model("still")
    given = {"kind": "reference", "reference": True, "needs_frames": False}
    builder.model("still>often", spec="often", of="still", substitute=True, **given)
    right = [line["truth"] for line in builder.clips]
    builder.rows("still", right)
    builder.rows("still>often", right)
    score_run(builder.write(tmp_path / "r"))
    run = read_run(tmp_path / "r")
    stood_in = run.rows["still>often"]
    assert stood_in["baseline"]
    assert stood_in["views"]["strict"]["answered"]["f1"]["value"] == 1.0  # type: ignore[index]
    # Yes to all is right on eight of twelve: 2 * 8 / (2 * 8 + 4).
    for words, _ in saved_charts(run, texts)["summary"]:
        assert "best baseline, over all clips: 0.800." in words


def test_a_chart_says_how_many_models_it_leaves_out_and_shows_no_two_alike(tmp_path: Path) -> None:
    builder = RunBuilder([watched_clip("images_1_000", G, 8, (1.2, 3.0)), watched_clip("images_2_000", N, 8)])
    names = ["_still", *(f"a-long-family-of-models-still-{size}b" for size in range(8))]
    for name in names:
        for line in builder.clips:
            builder.watch(name, line["clip"], [line["truth"]] * 8)
    task = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0}
    run = read_run(builder.write(tmp_path / "r", task={**task, "sustain": "1/1"}, sampling="fps:2"))
    timeline, shown = saved_charts(run, texts)["warning"][0]
    assert timeline.endswith("The first 8 of 9 models.")
    assert [text for text in shown if "still" in text] == [
        " _still", *(f"a-long-family…els-still-{size}b" for size in range(7)),
    ]  # fmt: skip
    assert not any("The first" in words for words, _ in saved_charts(run, texts)["latency"]), "there is room for nine"


FAMILIES = [
    [f"vendor/family-{size:02}-instruct-a-very-long-suffix-awq-int4" for size in range(16)],
    [f"org/model-{size}b-instruct-2026-{month}-preview" for size, month in ((8, 11), (8, 12), (9, 12))],
    ["a-long-name-of-a-model-that-ends", "a-long-name-of-a-model-that-ends-later", "a-long-name-of-a-model-that-e…"],
    ["a\u200eb", "a\u200fb", "m"],
]  # fmt: skip


@pytest.mark.parametrize("names", FAMILIES)
def test_no_two_models_of_a_chart_are_called_alike(names: list[str], tmp_path: Path) -> None:
    builder = RunBuilder(dash_clips(2, 0, 2))
    for name in names:
        builder.rows(name, [G, N, N, N])
    score_run(builder.write(tmp_path / "r"))
    charts = {words: shown for each in saved_charts(read_run(tmp_path / "r"), texts).values() for words, shown in each}
    forests = [shown for words, shown in charts.items() if words.startswith("F1")]
    assert len(forests) == 2
    for shown in forests:
        assert len(set(shown)) == len(shown) >= len(names)
        assert max(map(len, shown)) <= 30


@given(st.lists(st.text(max_size=60), max_size=8, unique=True))
def test_any_names_are_told_apart(names: list[str]) -> None:
    shown = list(told_apart(tuple(names)).values())
    assert len(set(shown)) == len(names)


def test_names_of_any_script_fit_beside_their_axis_and_nothing_is_said_of_fonts(tmp_path: Path) -> None:
    name = "多模态大模型视觉语言测试版"
    builder = RunBuilder(dash_clips(2, 0, 2))
    builder.rows(name, [G, N, N, N])
    score_run(builder.write(tmp_path / "r"))
    run = read_run(tmp_path / "r")
    found = {}

    def drawn_as(figure: Any, chart: str) -> None:
        svg = as_svg(figure, chart)
        assert name in svg
        found[chart] = figure.axes[0].get_window_extent().x0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved_charts(run, drawn_as)
        figures = paper_figures(run)
    assert found["forest strict"] > len(name) * 9  # each letter is as wide as the font is high: 9 points
    assert "forest-strict" in figures
