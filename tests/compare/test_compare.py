"""`bench compare`: only common clips, only runs made alike, corrected tests."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from evidence_data import RunBuilder, dash_clips

from ghostbench.cli.compare import command
from ghostbench.errors import BadInput
from ghostbench.evidence.compare import compare
from ghostbench.evidence.contenders import read_field
from ghostbench.scoring.significance import mcnemar_exact

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"


def pair(folder: Path) -> Path:
    """Twenty clips: `good` is right on all, `bad` wrong on nine; `partly` answered the first half, all right."""
    run = RunBuilder(dash_clips(10, 0, 10))
    truth: list[str | None] = [G] * 10 + [N] * 10
    run.rows("good", truth)
    run.rows("bad", [N] * 9 + [G] + [N] * 10)
    run.rows("partly", [G] * 10 + [None] * 10)
    return run.write(folder / "run")


def test_a_pair_is_compared_on_the_clips_that_both_answered(tmp_path: Path) -> None:
    found = compare(read_field([pair(tmp_path)]))
    pairs = {(p.first, p.second, p.view, p.basis): p for p in found.pairs}
    one = pairs["good", "bad", "strict", "answered"]
    assert (one.n, one.first_only, one.second_only) == (20, 9, 0)
    assert one.p == pytest.approx(mcnemar_exact(9, 0))
    assert one.differences["accuracy"] is not None
    assert one.differences["accuracy"]["value"] == pytest.approx(0.45)
    other = pairs["good", "partly", "strict", "answered"]
    assert (other.n, other.first_only, other.second_only) == (10, 0, 0)
    assert other.p == 1.0
    worst = pairs["good", "partly", "strict", "worst_case"]
    assert (worst.n, worst.first_only) == (20, 10)


def test_holm_is_over_all_pairs_of_a_view(tmp_path: Path) -> None:
    found = compare(read_field([pair(tmp_path)]))
    strict = [p for p in found.pairs if p.view == "strict" and p.basis == "answered"]
    assert len(strict) == 3
    smallest = min(strict, key=lambda p: p.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 3 * smallest.p))


def test_models_that_do_not_differ_share_their_place(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(10, 0, 10))
    run.rows("a", [G] * 10 + [N] * 10)
    run.rows("b", [G] * 9 + [N] * 11)
    run.rows("c", [N] * 10 + [G] * 10)
    ranking = compare(read_field([run.write(tmp_path / "run")])).rankings[0]
    assert ranking.n == 20
    assert [(line.name, line.place, line.group) for line in ranking.lines] == [
        ("a", "1–2", "a"), ("b", "1–2", "a"), ("c", "3", "b"),
    ]  # fmt: skip


def test_clips_that_a_recording_does_not_hold_are_no_wrong_answers(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(10, 0, 10))
    run.rows("whole", [G] * 10 + [N] * 10)
    for place, line in enumerate(run.clips):
        asked = place < 10
        run.row("half", line["clip"], G if asked else None, outcome="answered" if asked else "not_recorded")
    found = compare(read_field([run.write(tmp_path / "run")]))
    for one in found.pairs:
        assert one.n == 10
        assert one.p_holm == 1.0


def test_runs_are_compared_on_their_common_clips_and_like_names_are_told_apart(tmp_path: Path) -> None:
    first, second = RunBuilder(dash_clips(6, 0, 6)), RunBuilder(dash_clips(6, 0, 6)[2:])
    first.rows("m", [G] * 6 + [N] * 6)
    second.rows("m", [G] * 4 + [N] * 6)
    folders = [first.write(tmp_path / "one"), second.write(tmp_path / "two")]
    with pytest.raises(BadInput, match=r"the runs differ in split .*--allow split"):
        read_field(folders)
    field = read_field(folders, ["split"])
    assert len(field.clips) == 10
    assert [contender.name for contender in field.contenders] == ["m (one)", "m (two)"]
    assert "split" in field.differences[0]


@pytest.mark.parametrize(
    ("key", "manifest"),
    [
        ("sampling", {"sampling": "fps:2"}),
        ("task", {"task": {"name": "ghost-probing", "version": "2", "template_sha256": "d" * 64}}),
        ("repeats", {"repeats": 2}),
    ],
)
def test_runs_made_otherwise_are_refused_unless_that_is_allowed(tmp_path: Path, key: str, manifest: dict) -> None:
    folders = []
    for name, more in (("one", {}), ("two", manifest)):
        run = RunBuilder(dash_clips(3, 0, 3))
        run.rows(name, [G] * 3 + [N] * 3)
        folders.append(run.write(tmp_path / name, **more))
    with pytest.raises(BadInput, match=rf"the runs differ in {key} .*--allow {key}"):
        read_field(folders)
    assert len(read_field(folders, [key]).contenders) == 2


def test_other_labels_are_refused_and_when_allowed_the_first_runs_count(tmp_path: Path) -> None:
    clips = dash_clips(3, 0, 3)
    relabelled = [dict(line) for line in clips]
    relabelled[0]["truth"], relabelled[0]["truth_time_s"] = N, None
    first, second = RunBuilder(clips), RunBuilder(relabelled)
    first.rows("a", [G] * 3 + [N] * 3)
    second.rows("b", [G] * 3 + [N] * 3)
    dataset = {"name": "test", "split": "all", "labels_sha256": "f" * 64}
    one = first.write(tmp_path / "one")
    dataset["split_sha256"] = first.manifest["dataset"]["split_sha256"]
    two = second.write(tmp_path / "two", dataset=dataset)
    with pytest.raises(BadInput, match="--allow labels"):
        read_field([one, two])
    field = read_field([one, two], ["labels"])
    assert field.relabelled == (clips[0]["clip"],)
    assert field.positive.sum() == 3


def test_baselines_take_part_only_where_there_are_not_two_other_models(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(3, 0, 3))
    run.rows("m", [G] * 3 + [N] * 3)
    run.model("always", kind="reference", reference=True)
    run.rows("always", [G] * 6)
    folder = run.write(tmp_path / "run")
    assert [c.name for c in read_field([folder]).contenders] == ["m", "always"]


def test_one_model_alone_cannot_be_compared(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(2, 0, 2))
    run.rows("m", [G, G, N, N])
    with pytest.raises(BadInput, match="there is one model to compare"):
        read_field([run.write(tmp_path / "run")])


def test_with_repeats_a_clip_counts_once_for_the_model_that_was_right_more_often(tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(2, 0, 0), repeats=3)
    for repeat in range(3):
        for line in run.clips:
            run.row("a", line["clip"], G, repeat=repeat)
            run.row("b", line["clip"], G if repeat else N, repeat=repeat)
    one = compare(read_field([run.write(tmp_path / "run")])).pairs[0]
    assert (one.n, one.first_only, one.second_only) == (2, 2, 0)
    assert one.p == 0.5


def test_the_command_prints_every_table_and_the_power_of_the_test(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(pair(tmp_path))], standalone_mode=False)
    assert done.exception is None
    for words in ("Ranking, strict view", "All pairs, lenient view, worst case", "good − bad", "80%", "retrospect"):
        assert words in done.output


@pytest.mark.slow
def test_recorded_studies_compare_in_ten_seconds_and_none_differs_significantly(
    shared_data: Path, tmp_path: Path
) -> None:
    import subprocess
    import sys

    files = sorted((shared_data / "recorded").glob("*.jsonl"))
    models = ",".join(f"replay:{path}={path.stem}" for path in files)
    bench = [sys.executable, "-m", "ghostbench"]
    subprocess.run(
        [
            *bench, "run", "--models", models, "--task", "ghost-probing-summary", "--dataset", "dada2000",
            "--labels", str(shared_data / "dada2000" / "labels.csv"), "--out", str(tmp_path), "--run-id", "recorded",
            "--quiet",
        ],
        check=True,
    )  # fmt: skip
    begun = time.perf_counter()
    done = subprocess.run(
        [*bench, "compare", str(tmp_path / "recorded")], capture_output=True, text=True, check=True, env=None
    )
    assert time.perf_counter() - begun < 10
    assert done.stdout.count("All pairs") == 4
    found = compare(read_field([tmp_path / "recorded"]))
    assert len(found.pairs) == 4 * len(files) * (len(files) - 1) / 2
    assert all(one.n <= 120 for one in found.pairs)
    assert min(one.p_holm for one in found.pairs if one.basis == "answered") > 0.05
