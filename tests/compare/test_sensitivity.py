"""`bench report --labels`: what a second label file changes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, clip

from ghostbench.cli.report import command
from ghostbench.errors import BadInput
from ghostbench.evidence.sensitivity import sensitivity

G, N = "ghost_probing", "normal"


def run(folder: Path) -> Path:
    builder = RunBuilder(
        [
            clip("images_1_001", G, time_s=2.0),
            clip("images_1_002", N),
            clip("images_1_003", G, time_s=5.0),
            clip("images_1_004", N),
        ]
    )
    builder.rows("m", [G, G, N, N])
    return builder.write(folder / "run")


def labels(folder: Path, *rows: str, name: str = "second.csv") -> str:
    path = folder / name
    path.write_text("video_id,ground_truth_label\n" + "".join(row + "\n" for row in rows))
    return str(path)


def test_changed_clips_are_listed_and_scores_are_over_the_clips_that_both_files_name(tmp_path: Path) -> None:
    second = labels(
        tmp_path, "images_1_001,2s: ghost probing", "images_1_002,1s: ghost probing", "images_1_003,6s: ghost probing"
    )
    found = sensitivity(run(tmp_path), second, skip_bad=False)
    assert found.compared == 3
    clips, strict, _ = found.tables
    assert [(row[0], row[3]) for row in clips.rows] == [("images_1_002", "yes"), ("images_1_003", "no, the time only")]
    assert [row[2:7] for row in strict.rows] == [(3, 1, 1, 1, 0), (3, 2, 0, 1, 0)]


def test_the_runs_own_numbers_stay_as_they_are(tmp_path: Path) -> None:
    folder = run(tmp_path)
    CliRunner().invoke(command, [str(folder)], standalone_mode=False)
    before = (folder / "metrics.json").read_bytes()
    second = labels(tmp_path, "images_1_002,ghost probing")
    done = CliRunner().invoke(command, [str(folder), "--labels", second], standalone_mode=False)
    assert done.exception is None
    assert (folder / "metrics.json").read_bytes() == before
    rows = list(csv.DictReader((folder / "tables" / "sensitivity_clips.csv").open()))
    assert [row["clip"] for row in rows] == ["images_1_002"]
    assert "images_1_002" in done.output


def test_bad_rows_are_refused_by_line_and_listed_when_skipped(tmp_path: Path) -> None:
    second = labels(tmp_path, "images_1_001,none", ",none", "images_1_003,13: cut-in")
    folder = run(tmp_path)
    with pytest.raises(BadInput, match="line 3: the video id is blank"):
        sensitivity(folder, second, skip_bad=False)
    found = sensitivity(folder, second, skip_bad=True)
    assert len(found.skipped) == 2
    assert found.compared == 1


def test_labels_of_other_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="names no clip of this run"):
        sensitivity(run(tmp_path), labels(tmp_path, "images_9_999,none"), skip_bad=False)


def test_skip_bad_labels_without_labels_is_bad_input(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(run(tmp_path)), "--skip-bad-labels"], standalone_mode=False)
    assert isinstance(done.exception, BadInput)


def test_the_first_version_of_the_real_labels_changes_four_clips_and_skips_two_rows(
    shared_data: Path, tmp_path: Path
) -> None:
    from ghostbench.datasets.labels import read_labels

    source = shared_data / "dada2000" / "labels.csv"
    today = read_labels(source.read_bytes(), "labels.csv").clips
    builder = RunBuilder(
        [clip(c.id, c.truth, time_s=c.truth_time_s, category=c.category, remark=c.remark) for c in today]
    )
    builder.rows("m", [G if c.truth == G else N for c in today])
    folder = builder.write(tmp_path / "run")
    first = str(shared_data / "dada2000" / "labels_first_version.tsv")
    with pytest.raises(BadInput, match=r"labels_first_version\.tsv, line 86"):
        sensitivity(folder, first, skip_bad=False)
    found = sensitivity(folder, first, skip_bad=True)
    assert [line.split(":")[0] for line in found.skipped] == ["line 86", "line 87"]
    assert [row[0] for row in found.tables[0].rows] == ["images_1_020", "images_3_002", "images_3_003", "images_5_005"]
    assert json.dumps([row[3] for row in found.tables[0].rows]) == '["yes", "yes", "yes", "yes"]'


def test_several_annotators_are_scored_apart_together_and_by_what_most_say(tmp_path: Path) -> None:
    said = {
        "anna.csv": ("ghost probing", "none", "ghost probing", "none"),
        "ben.csv": ("ghost probing", "ghost probing", "none", "none"),
        "cleo.csv": ("ghost probing", "ghost probing", "cut-in", "none"),
    }
    files = [
        labels(tmp_path, *(f"images_1_00{n},{label}" for n, label in enumerate(each, 1)), name=name)
        for name, each in said.items()
    ]
    found = sensitivity(run(tmp_path), files, skip_bad=False)
    clips, strict, _ = found.tables
    # The model says: yes, yes, no, no. Columns: answered, tp, fp, fn, tn.
    assert {row[1]: row[2:7] for row in strict.rows} == {
        "of the run": (4, 1, 1, 1, 1),
        "anna.csv": (4, 1, 1, 1, 1),
        "ben.csv": (4, 2, 0, 0, 2),
        "cleo.csv": (4, 2, 0, 0, 2),
        "most annotators": (4, 2, 0, 0, 2),
        "unanimous clips": (2, 1, 0, 0, 1),
        "all annotators": (12, 5, 1, 1, 5),
    }
    accuracy = {row[1]: row[9] for row in strict.rows}
    assert [row[0] for row in clips.rows] == ["images_1_001", "images_1_002", "images_1_003"]
    assert [column.title for column in clips.columns[2:5]] == list(said)
    assert accuracy["all annotators"] is not None


def test_annotators_rows_of_a_clip_are_no_independent_rows(tmp_path: Path) -> None:
    """Three annotators who agree know no more of the model than one."""
    one = labels(tmp_path, *(f"images_1_00{n},{t}" for n, t in enumerate(("ghost probing", "none") * 2, 1)))
    copies = [str(Path(one).rename(tmp_path / "a.csv"))]
    for name in ("b.csv", "c.csv"):
        (tmp_path / name).write_bytes((tmp_path / "a.csv").read_bytes())
        copies.append(str(tmp_path / name))
    _, strict, _ = sensitivity(run(tmp_path), copies, skip_bad=False).tables
    rows = {row[1]: row for row in strict.rows}
    for together, alone in zip(rows["all annotators"][7:], rows["a.csv"][7:], strict=True):
        assert together == pytest.approx(alone)


def test_an_even_split_decides_nothing(tmp_path: Path) -> None:
    first = labels(tmp_path, "images_1_001,ghost probing", "images_1_002,none", name="a.csv")
    second = labels(tmp_path, "images_1_001,ghost probing", "images_1_002,ghost probing", name="b.csv")
    _, strict, _ = sensitivity(run(tmp_path), [first, second], skip_bad=False).tables
    assert {row[1]: row[2] for row in strict.rows}["most annotators"] == 1
