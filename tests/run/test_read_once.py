"""A fresh run reads no file of its own folder more than once, and only to score what it wrote."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

HOOK = """
import os, sys
log = os.open(os.environ["OPENS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def told(event, args):
    if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(args[0]))
        if f"{os.sep}results{os.sep}" in path and args[2] & os.O_ACCMODE == os.O_RDONLY and os.path.isfile(path):
            os.write(log, (path + "\\n").encode())
sys.addaudithook(told)
"""


def opened(bench: Any, tmp_path: Path, *words: str) -> Counter[str]:
    """How often each file of the run's folder was opened to be read, by all of the command's processes."""
    place, log = tmp_path / "hook", tmp_path / "opened"
    place.mkdir()
    (place / "sitecustomize.py").write_text(HOOK)
    # A process of its own from its first import on, which the hook must come before.
    process = bench.start(
        *words, "--run-id", "r", PYTHONPATH=os.pathsep.join([str(place), bench.env["PYTHONPATH"]]), OPENS_LOG=str(log)
    )
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    folder = bench.folder / "results" / "r"
    return Counter(str(Path(line).relative_to(folder)) for line in log.read_text().splitlines())


@pytest.mark.slow
def test_a_fresh_run_reads_no_file_of_its_own_folder_more_than_once(bench: Any, tmp_path: Path) -> None:
    counts = opened(
        bench, tmp_path, "--models", "blind-spy,remote-spy,always", "--probe", "blank", "--repeats", "2",
        "--set", "remote-spy.cost_usd=0.1",
    )  # fmt: skip
    assert {name: count for name, count in counts.items() if count > 1} == {}
    # What was written is read back, so that scores come from the disk and not from memory.
    assert {"attempts.jsonl", "predictions.jsonl", "manifest.json"} <= counts.keys()
