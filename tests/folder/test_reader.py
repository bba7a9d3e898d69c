"""A run folder is read as far as is wanted: its head, one clip, and a ledger while it grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evidence_data import RunBuilder, dash_clips

from ghostbench.errors import BadInput
from ghostbench.folder.reader import Folder, changed_at, runs_in

G, N = "ghost_probing", "normal"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunBuilder([*dash_clips(2, 0, 2), {**dash_clips(1, 0, 0)[0], "clip": 'odd "name" 汉'}], repeats=2)
    for repeat in range(2):
        run.rows("m", [G, N, N, None, G], repeat=repeat)
        run.rows("n", [G, G, N, N, N], repeat=repeat)
    return run.write(tmp_path / "run")


def test_the_head_is_read_without_the_rest(folder: Path) -> None:
    for name in ("clips.jsonl", "attempts.jsonl", "predictions.jsonl"):
        (folder / name).write_text("[[[ no lines at all")
    run = Folder.open(folder)
    assert (run.header.run_id, run.state, list(run.header.models)) == ("run", "complete", ["m", "n"])


@pytest.mark.parametrize("name", ["images_2_0001", 'odd "name" 汉'])
def test_one_clip_is_read_without_the_others(folder: Path, name: str) -> None:
    run = Folder.open(folder)
    assert run.clip(name).clip == name
    assert [(line.model, line.repeat, line.clip) for line in run.attempts_at(name)] == [
        ("m", 0, name), ("n", 0, name), ("m", 1, name), ("n", 1, name),
    ]  # fmt: skip
    assert {line.clip for line in run.predictions_for(name)} == {name}
    with pytest.raises(BadInput, match="has no clip 'images'"):
        run.clip("images")


def test_a_growing_ledger_is_told_of_line_by_line_and_a_torn_one_when_it_is_whole(folder: Path) -> None:
    ledger = folder / "attempts.jsonl"
    *whole, last = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(whole[:3]) + whole[3][:40])
    run = Folder.open(folder)
    before = changed_at(folder)
    first = run.new_attempts()
    assert (len(first.lines), first.odd, first.more) == (3, 0, False)
    assert run.new_attempts(first.end).lines == ()
    with ledger.open("ab") as file:
        file.write(whole[3][40:] + b"no line\n" + last)
    assert changed_at(folder) != before
    then = run.new_attempts(first.end)
    assert (len(then.lines), then.odd) == (2, 1)
    assert then.lines[1][1].clip == json.loads(last)["clip"]
    start, _ = then.lines[1]
    assert ledger.read_bytes()[start : start + len(last)] == last
    assert run.new_attempts(then.end).end == then.end == ledger.stat().st_size
    ledger.write_bytes(whole[0])
    again = run.new_attempts(then.end)
    assert (again.anew, len(again.lines)) == (True, 1)


def test_a_run_without_a_ledger_so_far_has_no_attempts(folder: Path) -> None:
    (folder / "attempts.jsonl").unlink()
    run = Folder.open(folder)
    assert (run.new_attempts().lines, list(run.attempts()), run.attempts_at("images_2_0001")) == ((), [], [])


def test_folders_that_are_no_run_and_links_are_passed_over(folder: Path) -> None:
    (folder.parent / "other").mkdir()
    (folder.parent / "link").symlink_to(folder)
    (folder.parent / "file").write_text("")
    assert runs_in(folder.parent) == [folder]
    assert runs_in(folder.parent / "nowhere") == []
