"""Runs that ask at moments are compared by their warnings, and only with runs that ask alike."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, watched_clip
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ghostbench.cli.compare import command
from ghostbench.errors import BadInput
from ghostbench.evidence.contenders import read_field
from ghostbench.evidence.warning_compare_files import (
    print_warning_comparison,
    warning_comparison_json,
    write_warning_comparison,
)
from ghostbench.evidence.warning_pairs import WarningComparison
from ghostbench.folder.run_records import read_run_records
from ghostbench.report.data import RunData
from ghostbench.report.warning_plots import warning_charts
from ghostbench.report.warning_tables import at_moments
from ghostbench.scoring.ranking import average_precision, weighted_average_precision
from ghostbench.scoring.score import score_run
from ghostbench.scoring.significance import flipped_signs

G, N = "ghost_probing", "normal"
TASK = {"name": "ghost-warning", "version": "1", "template_sha256": "c" * 64, "moments_per_s": 2.0, "sustain": "1/1"}


def alarms(*places: int) -> list[str | None]:
    return [G if place in places else N for place in range(8)]


def build(folder: Path, models: dict[str, list[list[str | None]]], **changed: Any) -> Path:
    """Eight clips with a window from 1.2 to 3.0 s, and eight safe ones."""
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.2, 3.0)) for n in range(8)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(8)]
    repeats = len(next(iter(models.values()))) // 16
    run = RunBuilder(clips, repeats=repeats)
    for name, said in models.items():
        for place, grades in enumerate(said):
            run.watch(name, clips[place % 16]["clip"], grades, repeat=place // 16)
    task = {**TASK, **changed.pop("task", {})}
    return run.write(folder, **{"task": task, "sampling": "fps:2", **changed})


GOOD = [alarms(3)] * 8 + [alarms()] * 8
POOR = [alarms(4)] * 2 + [alarms()] * 6 + [alarms(0)] * 8


def test_pairs_differ_by_what_both_did_in_the_same_clips(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", {"good": GOOD, "poor": POOR})
    found = {pair.measure: pair for pair in WarningComparison(read_field([folder])).pairs}
    warned, false, lead, ap = (found[name] for name in ("warned", "false_alarms", "lead_s", "ap_mean"))
    assert (warned.n, warned.first_more, warned.second_more) == (8, 6, 0)
    assert warned.p == pytest.approx(2 * 0.5**6)
    assert warned.difference is not None
    assert warned.difference["value"] == pytest.approx(6 / 8)
    assert (false.n, false.first_more, false.second_more) == (8, 0, 8)
    assert false.p == pytest.approx(2 * 0.5**8)
    assert lead.difference is not None
    assert lead.difference["value"] == pytest.approx((2 * (1.0 - 0.5) + 6 * 1.0) / 8)
    assert lead.p == pytest.approx(2 * 0.5**8), "all eight clips on one side"
    assert lead.difference["low"] is not None
    assert 0 < lead.difference["low"] <= 7 / 8
    assert ap.p is None
    assert ap.difference is not None


def test_false_alarms_by_which_a_threshold_was_chosen_are_not_tested(tmp_path: Path) -> None:
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.2, 3.0)) for n in range(8)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(20)]
    run = RunBuilder(clips)
    for name in ("by grade", "too", "by score"):
        for place, each in enumerate(clips):
            said = alarms(3) if place < 8 or (name == "too" and place % 2) else alarms()
            levels = [0.9 if grade == G else place / 100 for grade in said] if name == "by score" else None
            run.watch(name, each["clip"], said, levels)
    comparison = WarningComparison(read_field([run.write(tmp_path / "a", task=TASK, sampling="fps:2")]))
    found = {(pair.first, pair.second): pair for pair in comparison.pairs if pair.measure == "false_alarms"}
    tested = found["by grade", "too"]
    assert tested.difference is not None
    assert tested.difference["low"] is not None
    # One test of three: there is nothing to correct it for.
    assert tested.p == tested.p_holm == pytest.approx(2 * 0.5**10)
    for other in ("by grade", "too"):
        chosen = found[other, "by score"]
        # Two of twenty safe clips are above any threshold that leaves a tenth of them.
        apart = (0.5 if other == "too" else 0) - 0.1
        assert chosen.difference == {"value": pytest.approx(apart), "low": None, "high": None}
        assert (chosen.p, chosen.p_holm) == (None, None)
    said = Console(record=True, width=200)
    print_warning_comparison(comparison, said)
    assert "False alarms per safe clip: 1 of 1 pairs differ" in said.export_text()


def test_nothing_is_tested_where_no_clip_has_a_window(tmp_path: Path) -> None:
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.6, 1.9)) for n in range(8)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(8)]
    run = RunBuilder(clips)
    for place, each in enumerate(clips):
        run.watch("one", each["clip"], alarms(3))
        run.watch("other", each["clip"], alarms(3) if place % 2 else alarms())
    comparison = WarningComparison(read_field([run.write(tmp_path / "a", task=TASK, sampling="fps:2")]))
    found = {pair.measure: (pair.n, pair.p, pair.p_holm) for pair in comparison.pairs}
    assert found["warned"] == found["lead_s"] == (0, None, None)
    assert found["false_alarms"][0] == 8
    said = Console(record=True, width=200)
    print_warning_comparison(comparison, said)
    told = said.export_text()
    assert "Warned: not tested, as no clip has a window in which both were asked." in told
    assert "Lead, mean, seconds: not tested, as no clip has a window" in told


def test_repeats_of_a_clip_are_one_clip(tmp_path: Path) -> None:
    once = build(tmp_path / "once", {"good": GOOD, "poor": POOR})
    thrice = build(tmp_path / "thrice", {"good": GOOD * 3, "poor": POOR * 3})
    first, second = (WarningComparison(read_field([folder])).pairs for folder in (once, thrice))
    for one, other in zip(first, second, strict=True):
        assert (one.n, one.p, one.difference) == (other.n, other.p, pytest.approx(other.difference))


def test_a_missing_answer_is_a_miss_or_a_false_alarm(tmp_path: Path) -> None:
    lost: list[str | None] = [*alarms(3)[:7], None]
    folder = build(tmp_path / "a", {"good": GOOD, "lost": [lost] * 8 + [lost] * 8})
    comparison = WarningComparison(read_field([folder]))
    found = {pair.measure: pair.difference for pair in comparison.pairs}
    assert found["warned"] is not None
    assert found["warned"]["value"] == 1.0
    assert found["false_alarms"] is not None
    assert found["false_alarms"]["value"] == -1.0
    assert comparison.said["images_1_000"] == {"good": "warned at 2 s", "lost": "an answer is missing"}


def without_media(folder: Path, places: list[int], models: dict[str, list[list[str | None]]]) -> Path:
    """The same sixteen clips, of which those at these places could not be read."""
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.2, 3.0)) for n in range(8)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(8)]
    nothing = dict.fromkeys(
        ("duration_s", "frame_indices", "frame_times_s", "decoder", "frames_sha256", "questions"), None
    )
    run = RunBuilder([each | nothing if place in places else each for place, each in enumerate(clips)])
    for name, said in models.items():
        for place, grades in enumerate(said):
            if place in places:
                run.row(name, clips[place]["clip"], None, outcome="missing_media")
            else:
                run.watch(name, clips[place]["clip"], grades)
    return run.write(folder, task=TASK, sampling="fps:2")


def test_clips_whose_media_failed_are_compared_as_wrong(tmp_path: Path) -> None:
    folder = without_media(tmp_path / "a", [7, 15], {"good": GOOD, "poor": POOR})
    comparison = WarningComparison(read_field([folder]))
    found = {pair.measure: pair for pair in comparison.pairs}
    assert [found[measure].n for measure in ("warned", "false_alarms", "lead_s")] == [8, 8, 8]
    told = {name: [each[name]["value"] for name in ("warned", "false_alarms_per_clip")]
            for name, each in comparison.measured.items()}  # fmt: skip
    told = {name: told[name] for name in ("good", "poor", "always", "never")}
    assert told == {"good": [7 / 8, 1 / 8], "poor": [2 / 8, 1], "always": [0, 1], "never": [0, 0]}


def test_a_run_without_any_media_is_still_one_of_warnings(tmp_path: Path) -> None:
    folder = without_media(tmp_path / "a", list(range(16)), {"good": GOOD, "poor": POOR})
    field = read_field([folder])
    assert field.at_moments
    assert [pair.n for pair in WarningComparison(field).pairs[:2]] == [8, 8]
    metrics = score_run(folder)
    found = metrics["models"]["good"]["early_warning"]
    assert found is not None
    assert (found["warned"]["value"], found["false_alarms_per_clip"]["value"]) == (0.0, 1.0)
    assert at_moments({**metrics["models"], **metrics["reference"]}), "no rate of whole clips takes their place"


def test_no_line_is_drawn_where_nothing_was_said(tmp_path: Path) -> None:
    gap: list[str | None] = [*alarms(3)[:5], None, *alarms()[6:]]
    folder = build(tmp_path / "a", {"good": [gap] * 8 + GOOD[8:]})
    metrics = score_run(folder)
    drawn = dict(warning_charts(RunData(folder, read_run_records(folder), metrics), ["good"]))
    [over_time] = [words for words, chart in drawn.items() if chart.name == "warning-0"]
    heights = drawn[over_time].figure.axes[0].lines[0].get_ydata()
    assert np.array_equal(np.asarray(heights, dtype=float), [0, 0, 0, 1, 0, np.nan, 0, 0], equal_nan=True)
    assert "none where an answer is missing" in over_time
    [timeline] = [words for words, chart in drawn.items() if chart.name == "warning-timeline"]
    assert "no dot it gave no alarm, or no answer" in timeline


def test_baselines_stand_beside_the_models_and_no_draw_by_clip_does(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", {"good": GOOD, "poor": POOR})
    measured = WarningComparison(read_field([folder])).measured
    assert list(measured) == ["good", "poor", "always", "never", "category-prior", "constant-time", "category-time"]
    for name, warned, false in (("always", 0, 1), ("never", 0, 0), ("constant-time", 1, 1), ("category-time", 1, 0)):
        assert measured[name]["warned"]["value"] == warned, name
        assert measured[name]["false_alarms_per_clip"]["value"] == false, name


def test_a_run_of_baselines_alone_compares_those(tmp_path: Path) -> None:
    clips = [watched_clip(f"images_1_{n:03}", G, 8, (1.2, 3.0)) for n in range(3)]
    clips += [watched_clip(f"images_2_{n:03}", N, 8) for n in range(3)]
    run = RunBuilder(clips)
    for name, said in (("always", alarms(*range(8))), ("never", alarms())):
        run.model(name, kind="reference", reference=True)
        for clip in clips:
            run.watch(name, clip["clip"], said)
    comparison = WarningComparison(read_field([run.write(tmp_path / "a", task=TASK, sampling="fps:2")]))
    assert list(comparison.measured) == ["always", "never", "constant-time", "category-time"]
    found = {pair.measure: pair.difference for pair in comparison.pairs}
    assert found["warned"] is not None
    assert found["warned"]["value"] == 0.0, "neither warns"
    assert found["false_alarms"] is not None
    assert found["false_alarms"]["value"] == 1.0


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("moments", {"task": {"moments_per_s": 4.0}}),
        ("sustain", {"task": {"sustain": "2/3"}}),
        ("sampling", {"sampling": "fps:4"}),
    ],
)
def test_runs_that_ask_otherwise_are_refused_unless_it_is_allowed(
    tmp_path: Path, key: str, changed: dict[str, Any]
) -> None:
    folders = [build(tmp_path / "a", {"good": GOOD}), build(tmp_path / "b", {"poor": POOR}, **changed)]
    with pytest.raises(BadInput, match=rf"differ in {key} .*--allow {key}"):
        read_field(folders)
    field = read_field(folders, [key])
    assert [one.name for one in field.contenders] == ["good", "poor"]
    assert any(key in words for words in field.differences)


def test_moments_and_whole_clips_are_not_mixed_whatever_is_allowed(tmp_path: Path) -> None:
    whole = RunBuilder([watched_clip("images_1_000", G, 8, (1.2, 3.0)) | {"questions": None}])
    whole.row("m", "images_1_000", G)
    folders = [build(tmp_path / "a", {"good": GOOD}), whole.write(tmp_path / "b")]
    with pytest.raises(BadInput, match="about whole clips"):
        read_field(folders, ["task", "sampling", "moments", "sustain", "split"])


def test_files_and_terminal_say_the_same(tmp_path: Path) -> None:
    folder = build(tmp_path / "a", {"good": GOOD, "poor": POOR})
    comparison = WarningComparison(read_field([folder]))
    write_warning_comparison(tmp_path / "out", comparison)
    stated = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert stated == json.loads(json.dumps(warning_comparison_json(comparison)))
    assert stated["pairs"][0]["difference"]["value"] == 0.75
    tables = sorted(path.name for path in (tmp_path / "out" / "tables").glob("*.csv"))
    names = ("clips", "pairs_ap_mean", "pairs_false_alarms", "pairs_lead_s", "pairs_warned", "warnings")
    assert tables == [f"{name}.csv" for name in names]
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "Pairs: Warned" in page
    console = Console(file=io.StringIO(), width=80)
    print_warning_comparison(comparison, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    lines = printed.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    assert "Warned: 1 of 1 pairs differ" in printed
    done = CliRunner().invoke(command, [str(folder), "--json"], standalone_mode=False)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["sustain"] == "1/1"


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.7]), st.booleans(), st.integers(0, 3)), min_size=1, max_size=9))
def test_precision_of_redrawn_sets_is_that_of_repeated_rows(rows: list[tuple[float, bool, int]]) -> None:
    score, truth, times = (np.array(column) for column in zip(*rows, strict=True))
    (found,) = weighted_average_precision(score, truth, times[None].astype(np.float64))
    if (truth * times).any():
        expected = average_precision(np.repeat(score, times), np.repeat(truth, times))
        assert found == pytest.approx(expected)
    else:
        assert np.isnan(found)


@given(st.lists(st.integers(-3, 3), max_size=7))
def test_the_test_of_signs_counts_all_ways_to_sign(differences: list[int]) -> None:
    values = np.array(differences, dtype=np.float64)
    apart = values[values != 0]
    ways = [sum(x if way >> n & 1 else -x for n, x in enumerate(apart)) for way in range(2 ** len(apart))]
    assert flipped_signs(values) == pytest.approx(np.mean([abs(way) >= abs(sum(apart)) for way in ways]))


def test_many_differences_are_tested_by_drawn_signs_and_never_found_impossible() -> None:
    assert flipped_signs(np.full(60, 0.5)) == pytest.approx(1 / 20_000)
    assert flipped_signs(np.tile([0.5, -0.5], 30)) == 1.0
    assert flipped_signs(np.ones(60)) == pytest.approx(2 * 0.5**60), "whole numbers are counted, not drawn"
