"""A run folder that holds links, pipes and leftovers: nothing outside it is read, written or waited for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from warm_process import run_bench

import ghostbench
from ghostbench.cli.main import bench as command_line
from ghostbench.errors import BadInput
from ghostbench.folder.ledger import recover
from ghostbench.folder.place import RunFolder
from ghostbench.folder.round_files import FileJournal, Round
from ghostbench.writing import check_plain, make_folder, open_to_append, remove_begun, write_text

FILES = (
    ".lock", "manifest.json", "clips.jsonl", "attempts.jsonl", "predictions.jsonl", "metrics.json", "report.md",
    "report.html", "SHA256SUMS", "sensitivity.md", "tables/summary.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("runs")
    words = ["run", "--models", "always,never", "--out", str(out), "--run-id", "r", "--quiet"]
    assert run_bench(words, cwd=out, env=os.environ).returncode == 0
    return out / "r"


@pytest.fixture
def folder(tmp_path: Path, finished: Path) -> Path:
    """A copy of it, in a folder `out`."""
    shutil.copytree(finished, tmp_path / "out" / "r")
    return tmp_path / "out" / "r"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of the user's with a file for every name that a run writes."""
    home = tmp_path / "home"
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("precious")
    return home


def untouched(home: Path) -> bool:
    files = [path for path in home.rglob("*") if path.is_file()]
    return len(files) == len(FILES) and all(path.read_text() == "precious" for path in files)


@pytest.mark.parametrize("name", [*FILES, "tables", "journals", "log.jsonl"])
@pytest.mark.parametrize("words", ["verify", "report", "report --labels", "resume"])
def test_a_link_in_a_run_folder_is_named_and_not_followed(
    folder: Path, precious: Path, name: str, words: str, tmp_path: Path
) -> None:
    place = folder / name
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to(precious / name)
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\nghost5_01,none\n")
    labels = ["--labels", str(tmp_path / "labels.csv")] if "--labels" in words else []
    line = [words.split(maxsplit=1)[0], str(folder), *labels]
    with pytest.raises(BadInput) as caught:  # noqa: PT012 - two ways to the folder
        if words == "resume":
            RunFolder(folder).reopen()
        CliRunner().invoke(command_line, line, standalone_mode=False, catch_exceptions=False)
    assert name.partition("/")[0] in str(caught.value) or "no run" in str(caught.value)
    assert untouched(precious)


@pytest.mark.parametrize("name", ["attempts.jsonl", "report.html", ".lock"])
def test_a_pipe_in_a_run_folder_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    done = CliRunner().invoke(command_line, ["verify", str(folder)], standalone_mode=False)
    assert isinstance(done.exception, BadInput)
    assert f"{name} is a pipe or a device" in str(done.exception)


def test_a_lock_prepared_as_a_link_does_not_truncate_what_it_leads_to(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "results" / "new").mkdir(parents=True)
    (tmp_path / "results" / "new" / ".lock").symlink_to(precious / ".lock")
    with pytest.raises(BadInput, match=r"\.lock is a link"):
        RunFolder.at(tmp_path / "results", "new").create()
    assert untouched(precious)


def test_a_link_that_appears_later_is_not_written_through(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "attempts.jsonl").symlink_to(precious / "attempts.jsonl")
    (tmp_path / "tables").symlink_to(precious / "tables")
    with pytest.raises(BadInput, match="is a link"):
        open_to_append(tmp_path / "attempts.jsonl")
    with pytest.raises(BadInput, match="is a link"):
        recover(tmp_path / "attempts.jsonl")
    with pytest.raises(BadInput, match="no folder of its own"):
        make_folder(tmp_path / "tables")
    write_text(tmp_path / "attempts.jsonl", "new")
    assert not (tmp_path / "attempts.jsonl").is_symlink()
    (tmp_path / "journals").symlink_to(precious / "tables")
    with pytest.raises(BadInput, match="no folder of its own"):
        Round(tmp_path / "journals" / "row").start()
    assert untouched(precious)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"sealed_at": 1}', b'{"sealed_at": NaN, "entries": []}', b"[" * 9999]
)
def test_a_round_that_was_changed_is_told_of_in_one_line(tmp_path: Path, content: bytes) -> None:
    begun = Round(tmp_path / "journals" / "row")
    begun.start().close()
    begun.seal([])
    assert begun.entries()[1] == {}
    (begun.folder / "index.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"index\.json.*changed after the run wrote it: put it back"):
        begun.entries()
    journal = FileJournal(begun.folder)
    journal.write({"part": 1})
    assert journal.read() == {"part": 1}
    (begun.folder / "journal.json").write_bytes(content.replace(b"{", b"["))
    with pytest.raises(BadInput, match=r"journal\.json.*put it back"):
        journal.read()


rows = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(rows, rows)
def test_two_rows_never_share_a_folder_on_any_file_system(one: str, other: str) -> None:
    folder = RunFolder(Path("/results/r"))
    names = [folder.journal_folder(row).name for row in (one, other, one.swapcase(), unicodedata.normalize("NFD", one))]
    for name in names:
        assert name.isascii()
        assert len(name) < 100
        assert "/" not in name and not name.startswith(".")  # noqa: PT018
    distinct = {one, other, one.swapcase(), unicodedata.normalize("NFD", one)}
    assert len({name.casefold() for name in names}) == len(distinct)


def test_rows_in_characters_of_their_own_have_folders_of_their_own() -> None:
    folder = RunFolder(Path("/results/r"))
    assert folder.journal_folder("甲") != folder.journal_folder("乙")
    assert folder.journal_folder("GPT").name.casefold() != folder.journal_folder("gpt").name.casefold()
    assert folder.journal_folder("..").parent == Path("/results/r/journals")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o027, 0o640)])
def test_files_get_the_mode_that_the_user_wants(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a", "x")
        open_to_append(tmp_path / "b").close()
        run = RunFolder.at(tmp_path / "out", "r")
        run.create()
        run.close()
    finally:
        os.umask(before)
    files = (tmp_path / "a", tmp_path / "b", tmp_path / "out" / "r" / ".lock")
    assert {path.stat().st_mode & 0o777 for path in files} == {mode}


def test_what_a_killed_process_began_to_write_is_removed_and_what_is_being_written_is_not(folder: Path) -> None:
    script = (
        "import os, sys, time\nfrom pathlib import Path\nfrom ghostbench import writing\n"
        "def wait(*_):\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "os.replace = wait\nwriting.write_text(Path(sys.argv[1]), 'x')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, folder / "report.md"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        remove_begun(folder)
        assert len(list(folder.glob(".report.md.*.tmp"))) == 1
        writer.send_signal(signal.SIGKILL)
    assert len(list(folder.glob(".report.md.*.tmp"))) == 1
    run = RunFolder.at(folder.parent, "r")
    run.reopen()
    run.close()
    assert list(folder.glob(".*.tmp")) == []


def test_a_folder_of_plain_files_is_plain(folder: Path) -> None:
    started = time.monotonic()
    check_plain(folder)
    check_plain(folder / "nothing")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["annotations", "settings", "give_up"])
@pytest.mark.parametrize("value", [[None], [{}], [1]])
def test_a_list_of_what_is_no_text_in_a_manifest_is_one_line(bench: Any, name: str, value: list[Any]) -> None:
    assert bench.run("--models", "blind-remote", "--run-id", "r", "--limit", "1").returncode == 0
    path = bench.folder / "results/r/manifest.json"
    manifest = json.loads(path.read_text())
    options = {**manifest["options"], name: value}
    path.write_text(json.dumps({**manifest, "status": "interrupted", "digests": {}, "options": options}))
    done = bench.run("--resume", "--run-id", "r", dataset=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"for the option {name}; put it back as it was" in done.stderr


@pytest.mark.parametrize(
    "name", ["con", "NUL", "aux.txt", "Com1", "lpt9.2026", "a/b", "a:b", ".r", "r.", "r ", "\u202er", "r\n"]
)
def test_a_run_id_that_some_system_cannot_keep_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a folder on every system") as error:
        RunFolder.at(tmp_path, name)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["console", "nullary", "com10", "r.con", "鬼探头", "2026-11-26T19.00-always"])
def test_a_run_id_that_every_system_keeps_is_taken(tmp_path: Path, name: str) -> None:
    assert RunFolder.at(tmp_path, name).path == tmp_path / name


def test_a_run_that_is_begun_in_a_folder_that_is_gone_goes_where_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    run = ghostbench.run("always", limit=1, out=str(tmp_path / "out"), run_id="r")
    assert list(run.predictions["outcome"]) == ["answered"]
