"""In reports, lists and exports a row that saw the video is marked, and set against no row that saw the frames."""

from __future__ import annotations

from pathlib import Path

from evidence_data import RunBuilder, clip, dash_clips

from ghostbench.evidence.contenders import read_field
from ghostbench.evidence.regress import check_run
from ghostbench.evidence.snapshot import Snapshot, take_snapshot
from ghostbench.folder.run_records import read_run_records
from ghostbench.report.clip_rows import ClipRows
from ghostbench.report.data import RunData, read_run
from ghostbench.report.export import metrics_lines
from ghostbench.report.overview import overview
from ghostbench.report.paper.methods import methods
from ghostbench.report.paper.references import references
from ghostbench.report.trackers.tracked import tracked
from ghostbench.report.twin_tables import models
from ghostbench.scoring.score import compute_metrics, score_run
from ghostbench.viewer.runs import Runs

SEES = "sees the video, not the frames"
G, N = "ghost_probing", "normal"


def test_models_are_set_against_each_other_where_they_saw_the_same(tmp_path: Path) -> None:
    twins = [clip(f"{scene}-{twin}", G if twin == "as_is" else N) for scene in "ab" for twin in ("as_is", "no_actor")]
    for line in twins:
        line["parameters"] = dict(zip(("scene", "twin"), line["clip"].split("-"), strict=True))
    builder = RunBuilder(twins)
    for name in ("film-1", "still-1", "film-2", "still-2"):
        builder.model(name, sees_video=name.startswith("film"), needs_frames=name.startswith("still"))
        builder.rows(name, [G, N, G, G])
    records = read_run_records(builder.write(tmp_path / "r"))
    table = models(RunData(records.folder, records, compute_metrics(records)))
    assert [row[:2] for row in table.rows] == [("film-1", "film-2"), ("still-1", "still-2")]
    assert "Not set against the others: film-1, film-2 (sees the video, not the frames)." in table.note


def test_a_yardstick_that_stood_in_for_who_saw_the_video_is_not_beside_who_saw_the_frames(tmp_path: Path) -> None:
    builder = RunBuilder(dash_clips(2, 0, 2))
    builder.model("film", kind="remote", sees_video=True, needs_frames=False)
    given = {"kind": "reference", "reference": True, "needs_frames": False}
    builder.model("film>often", spec="often", of="film", substitute=True, sees_video=True, **given)
    for name in ("film", "film>often", "still"):
        builder.rows(name, [G, G, N, N])
    field = read_field([builder.write(tmp_path / "r")])
    assert [one.name for one in field.contenders] == ["still"]
    assert "film>often" not in [one.name for one in field.baselines]
    assert field.without == {"film": SEES, "film>often": SEES}


def test_the_gate_names_a_video_that_is_not_the_one_of_the_reference(tmp_path: Path) -> None:
    def seen(digest: str) -> Snapshot:
        builder = RunBuilder(dash_clips(1, 0, 1))
        builder.model("film", kind="remote", sees_video=True, needs_frames=False)
        for line, grade in zip(builder.clips, (G, N), strict=True):
            shown = {"video_sha256": digest if grade == G else "a" * 64, "frames_sha256": None}
            builder.row("film", line["clip"], grade, attempts=[shown])
        return take_snapshot(read_run_records(builder.write(tmp_path / digest[0])))

    changed = [str(check) for check in check_run(seen("b" * 64), seen("c" * 64), times=False) if check.fails]
    (clip_of,) = {line["clip"] for line in dash_clips(1, 0, 1) if line["truth"] == G}
    assert changed == [f"film, {clip_of}: video_sha256 was {12 * 'c'}…, is {12 * 'b'}…"]


def test_it_is_marked_where_a_paper_a_tracker_or_a_table_shows_it_and_is_not_the_best_of_a_run(tmp_path: Path) -> None:
    builder = RunBuilder(dash_clips(2, 0, 2))
    builder.model("film", kind="remote", sees_video=True, needs_frames=False)
    builder.rows("film", [G, G, N, N])
    builder.rows("still", [G, N, N, N])
    folder = builder.write(tmp_path / "r")
    score_run(folder)
    run = read_run(folder)
    told = " ".join(methods(run, references(run)).split())
    assert f"is a remote model that {SEES}: its rates are not compared with the others" in told
    assert {line["model"]: line["sees_video"] for line in metrics_lines(run) if line["model"] in builder.models} == {
        "film": True,
        "still": False,
    }
    settings, numbers = tracked(folder).rows["film"]
    assert settings["mark"] == SEES
    assert "sees_video" not in numbers
    (line,) = overview(tmp_path)
    assert line["best"]["model"] == "still"
    assert {each["name"]: each["video"] for each in ClipRows(run, {}).page()["models"]} == {
        "film": True,
        "still": False,
    }
    shown = Runs(tmp_path)
    assert {each["name"]: each["saw"] for each in shown.index("r")["models"]} == {"film": SEES, "still": ""}
    assert shown.clip("r", run.clips["clip"][0])["saw"] == {"film": SEES}
    assert {each["name"]: each["saw"] for each in shown.line("r", folder)["rows"]} == {"film": SEES, "still": ""}
