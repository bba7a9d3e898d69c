"""What is left on a terminal of eighty columns when `bench run` has ended."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ERASED = "\x1b[2K"


def on_a_terminal(words: list[str], folder: Path, columns: int = 80) -> tuple[int, list[str]]:
    """The exit status, and the lines that are left once the progress bars have been erased."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(words, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass
    os.close(ours)
    left = shown.decode().rpartition(ERASED)[2]
    return process.wait(240), ESCAPE.sub("", left).replace("\r", "").splitlines()


@pytest.mark.slow
def test_the_first_command_leaves_thirty_lines_of_eighty_columns(tmp_path: Path) -> None:
    status, lines = on_a_terminal([sys.executable, "-m", "ghostbench", "run", "--run-id", "r"], tmp_path)
    assert status == 0
    assert 8 <= len(lines) <= 30
    assert max(map(cell_len, lines)) <= 80
    text = "\n".join(lines)
    for model in ("motion", "always", "never", "random", "category-prior"):
        assert re.search(rf"^{model} +5/5 +[.1]", text, re.MULTILINE), text
    assert "all tables: bench report results/r --all" in lines
    assert "report:     results/r/report.html" in lines


@pytest.mark.slow
def test_clips_that_cannot_be_decoded_are_told_of_on_standard_error(bench: Any) -> None:
    root = bench.folder / "torn"
    root.mkdir()
    for number, source in enumerate(sorted((bench.dataset.parent / "clips").iterdir())):
        data = source.read_bytes()
        (root / source.name).write_bytes(data if number >= 4 else data[: len(data) // 3])
    given = ["--models", "local-spy,always", "--data-root", str(root)]
    done = bench.run(*given, "--run-id", "r", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert re.search(r"local-spy gave no answer for 4 of 6 clips: \d decode_failed \(.+\)", said), said
    assert len((done.stdout + done.stderr).splitlines()) <= 30
    assert bench.run(*given, "--run-id", "q", "--quiet").stderr == ""
    assert "4 of 6 clips" in bench.run(*given, "--run-id", "j", "--json").stderr
