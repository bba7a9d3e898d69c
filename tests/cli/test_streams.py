"""Standard output that is full, closed, or taken away half-way."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from warm_process import run_bench

BENCH = Path(sysconfig.get_path("scripts")) / "bench"
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; bench() {{ "{BENCH}" "$@"; }}; {line}'],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def forked(words: str, folder: Path, out: int | None = None) -> subprocess.CompletedProcess[str]:
    """`bench` as a process that has imported everything already, with this descriptor as its standard output."""
    return run_bench(words.split(), cwd=folder, env=os.environ, out=out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, results/a."""
    folder = tmp_path_factory.mktemp("runs")
    done = forked("run --quiet --models always,never --run-id a", folder)
    assert done.returncode == 0, done.stderr
    return folder


COMMANDS = ["models", "datasets", "report results/a", "compare results/a", "verify results/a", "--help", "models -h"]


@pytest.mark.parametrize("command", [*COMMANDS, "--version", "run --dry-run --models always"])
def test_a_full_standard_output_is_named_in_one_line(run: Path, command: str) -> None:
    with FULL.open("wb") as full:
        named_in_one_line(forked(command, run, full.fileno()))


@pytest.mark.parametrize("command", ["models", "report results/a", "--help", "--version"])
def test_a_shell_that_sends_the_standard_output_where_it_is_full_is_told_in_one_line(run: Path, command: str) -> None:
    named_in_one_line(shell(f"bench {command} > {FULL}", run))


def named_in_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: cannot write to the standard output: No space left on device")


@pytest.mark.parametrize("more", ["", "--json"])
def test_a_run_that_cannot_print_its_tables_is_complete_and_says_so(run: Path, more: str) -> None:
    run_id = f"b{more}"
    with FULL.open("wb") as full:
        done = forked(f"run --models always,never --run-id {run_id} {more}", run, full.fileno())
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "the standard output" in done.stderr
    assert f"results/{run_id} is complete, show it with: bench report results" in done.stderr
    assert "make room" not in done.stderr
    assert json.loads((run / "results" / run_id / "manifest.json").read_text())["status"] == "complete"
    assert forked(f"verify results/{run_id}", run).returncode == 0


@pytest.mark.parametrize("command", [*COMMANDS, "run --models always,never --run-id c", "run --models always --json"])
def test_a_reader_that_has_gone_away_changes_nothing(run: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = forked(command, run, write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [*COMMANDS, "run --models always,never --run-id d", "run --models always --json"])
def test_a_reader_that_goes_away_after_a_line_changes_nothing(run: Path, command: str) -> None:
    read, write = os.pipe()
    with subprocess.Popen(["head", "-n", "1"], stdin=read, stdout=subprocess.PIPE) as head:
        os.close(read)
        try:
            done = forked(command, run, write)
        finally:
            os.close(write)
        assert head.communicate()[0].count(b"\n") == 1
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["models", "report results/a", "--help"])
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_pipe_of_the_shell_whose_reader_goes_away_is_no_failure(run: Path, command: str, reader: str) -> None:
    done = shell(f"bench {command} | {reader}", run)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["models", "run --models always --json", "--help"])
def test_a_closed_standard_output_is_no_fault(run: Path, command: str) -> None:
    done = shell(f"bench {command} >&-", run)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("where", [f"2> {FULL}", "2>&-"])
def test_an_error_that_nobody_can_be_told_keeps_its_exit_status(run: Path, where: str) -> None:
    assert shell(f"bench models nobody {where}", run).returncode == 2
    assert shell(f"bench run --models careful {where}", run).returncode == 2
