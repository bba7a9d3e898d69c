"""The tutorial as a new user follows it: a clean environment, a wheel of this project, the commands of the page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Block

ROOT = Path(__file__).resolve().parents[2]
TEN_MINUTES_S = 600

pytestmark = [pytest.mark.first, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *words], check=True)
    return next(folder.glob("*.whl"))


class Shell:
    """One bash session in an empty folder, with nothing of this checkout or its environment on any path."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        path = os.pathsep.join(
            part for part in kept["PATH"].split(os.pathsep) if not Path(part).is_relative_to(sys.prefix)
        )
        python = Path(sys.base_prefix) / "bin"
        environment = {**kept, "PATH": f"{python}{os.pathsep}{path}", "GHOSTBENCH": str(wheel), "COLUMNS": "100"}
        # Most of what is installed is never imported, and compiling it is most of the work.
        environment |= {"PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, commands: str) -> str:
        """What the commands print; each of them must succeed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"set -e\n{commands}\nset +e\necho ==done==\n")
        self._bash.stdin.flush()
        lines = []
        for line in self._bash.stdout:
            if line == "==done==\n":
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"a command failed:\n{commands}\n{''.join(lines)[-4000:]}")

    def cpu_s(self) -> float:
        """The processor time of all commands by now, in seconds."""
        spent = re.findall(r"(\d+)m([\d.]+)s", self.run("times"))
        assert len(spent) == 4
        return sum(60 * int(minutes) + float(seconds) for minutes, seconds in spent)

    def close(self) -> None:
        self._bash.kill()
        self._bash.communicate()


@pytest.fixture(scope="module")
def shell(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    started = Shell(tmp_path_factory.mktemp("new user"), wheel)
    yield started
    started.close()


def words(text: str) -> list[str]:
    """The lines without their spacing, and without times, which differ from run to run."""
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def test_a_new_user_reaches_a_row_of_their_own_in_ten_minutes(
    shell: Shell, blocks: Callable[[str], list[Block]]
) -> None:
    """Every command of the page succeeds, and prints the lines that the page shows.

    What they compute is counted: how long they wait is for the machine and what else it does.
    """
    printed: list[str] = []
    ran = 0
    for block in blocks("tutorial.md"):
        if block.language == "bash":
            printed = words(shell.run(block.text))
            ran += 1
        elif block.language == "text":
            assert [line for line in words(block.text) if line not in printed] == [], "\n".join(printed)
    assert ran == 9
    assert 1 < shell.cpu_s() < TEN_MINUTES_S
    report = (shell.folder / "results" / "mine" / "report.md").read_text(encoding="utf-8")
    assert "| my-model |" in report


def test_the_installed_harness_is_the_wheels_and_not_this_checkout(shell: Shell) -> None:
    found = shell.run("python -c 'import ghostbench; print(ghostbench.__file__)'").strip()
    assert Path(found).is_relative_to(shell.folder / "venv")


def test_a_scaffolded_service_works_from_the_wheel_too(shell: Shell) -> None:
    shell.run("bench new-adapter my-service --kind api\npip install --quiet -e my-service")
    assert "12 passed, 4 skipped" in shell.run("pytest my-service -q")
    printed = shell.run("bench run --models my-service,always --probe blank --run-id service")
    assert "my-service+blank" in printed


def test_the_documented_dataset_task_and_section_install_as_packages(
    shell: Shell, shown_package: Callable[[str], Path]
) -> None:
    packages = [shown_package(page) for page in ("add-a-dataset.md", "add-a-task-or-section.md")]
    shell.run(f"pip install --quiet {' '.join(shlex.quote(str(package)) for package in packages)}")
    assert "junctions" in shell.run("bench datasets")
    shell.run("bench run --dataset junctions --task one-word --models always --run-id hooks")
    report = (shell.folder / "results" / "hooks" / "report.md").read_text(encoding="utf-8")
    assert "All answers agree on 3 of 3 answered clips." in report
