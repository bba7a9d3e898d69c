"""Who may write a run folder, and what a kill leaves there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from evidence_data import write_begun

from ghostbench.errors import BadInput
from ghostbench.folder import place as folders
from ghostbench.folder.place import RunFolder

HOLD = """
import os, sys, time
from pathlib import Path
from ghostbench.folder.place import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.reopen()
if sys.argv[2] == "fork" and os.fork() == 0:
    os.close(1)
    time.sleep(60)
    os._exit(0)
print("held", flush=True)
if sys.argv[2] == "hold":
    sys.stdin.read()
os._exit(0)
"""


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    folder = RunFolder.at(tmp_path, "r")
    folder.create()
    write_begun(folder.path)
    folder.close()
    return folder.path


def holder(path: Path, how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_process_that_a_model_forked_off_holds_nothing(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The forked process lives for a minute; what it inherited it has let go of once it runs.
    monkeypatch.setattr(folders, "PATIENCE_S", 30.0)
    assert holder(begun, "fork").wait(120) == 0
    folder = RunFolder(begun)
    folder.reopen()
    folder.close()


def test_a_folder_that_is_written_is_refused_and_one_that_is_let_go_is_waited_for(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = holder(begun, "hold")
    monkeypatch.setattr(folders, "PATIENCE_S", 0.1)
    with pytest.raises(BadInput, match="is being written by another process"):
        RunFolder(begun).reopen()
    monkeypatch.setattr(folders, "PATIENCE_S", 20.0)
    process.kill()
    folder = RunFolder(begun)
    folder.reopen()
    folder.close()
    process.communicate()


def test_what_a_kill_left_half_written_goes_and_nothing_else(begun: Path) -> None:
    (begun / "tables").mkdir()
    (begun / "tables" / ".rates.csv.0123456789abcdef.tmp").touch()
    (begun / ".manifest.json.0123456789abcdef.tmp").touch()
    kept = [begun / ".hidden", begun / ".notes.txt", begun / "results.json.0123456789abcdef.tmp"]
    for path in kept:
        path.touch()
    folder = RunFolder(begun)
    folder.reopen()
    folder.close()
    left = {path.name for path in begun.rglob("*") if path.name not in {"manifest.json", ".lock", "tables"}}
    assert left == {".hidden", ".notes.txt", "results.json.0123456789abcdef.tmp"}


def test_a_lock_that_leads_elsewhere_is_refused_and_what_it_leads_to_is_left_alone(begun: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    (begun / ".lock").unlink()
    (begun / ".lock").symlink_to(theirs)
    with pytest.raises(BadInput):
        RunFolder(begun).reopen()
    assert theirs.read_text() == "theirs"
