"""Standard output that is full, closed, or taken away half-way."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, results/a."""
    folder = tmp_path_factory.mktemp("runs")
    done = shell("bench run --quiet --models always,never --run-id a", folder)
    assert done.returncode == 0, done.stderr
    return folder


COMMANDS = ["models", "datasets", "report results/a", "compare results/a", "verify results/a", "--help", "models -h"]


@pytest.mark.parametrize("command", [*COMMANDS, "--version", "run --dry-run --models always"])
def test_a_full_standard_output_is_named_in_one_line(run: Path, command: str) -> None:
    done = shell(f"bench {command} > {FULL}", run)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: cannot write to the standard output: No space left on device")


@pytest.mark.parametrize("more", ["", "--json"])
def test_a_run_that_cannot_print_its_tables_is_complete_and_says_so(run: Path, more: str) -> None:
    run_id = f"b{more}"
    done = shell(f"bench run --models always,never --run-id {run_id} {more} > {FULL}", run)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "the standard output" in done.stderr
    assert f"results/{run_id} is complete, show it with: bench report results" in done.stderr
    assert "make room" not in done.stderr
    assert json.loads((run / "results" / run_id / "manifest.json").read_text())["status"] == "complete"
    assert shell(f"bench verify results/{run_id}", run).returncode == 0


@pytest.mark.parametrize("command", [*COMMANDS, "run --models always,never --run-id c", "run --models always --json"])
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_reader_that_goes_away_changes_nothing(run: Path, command: str, reader: str) -> None:
    done = shell(
        f"bench {command} --run-id c-{reader[:4]} | {reader}" if "-id c" in command else f"bench {command} | {reader}",
        run,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["models", "run --models always --json", "--help"])
def test_a_closed_standard_output_is_no_fault(run: Path, command: str) -> None:
    done = shell(f"bench {command} >&-", run)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("where", [f"2> {FULL}", "2>&-"])
def test_an_error_that_nobody_can_be_told_keeps_its_exit_status(run: Path, where: str) -> None:
    assert shell(f"bench models nobody {where}", run).returncode == 2
    assert shell(f"bench run --models careful {where}", run).returncode == 2
