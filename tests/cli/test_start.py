"""`bench` starts light, and speaks one line when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = ["torch", "transformers", "openai", "numpy", "pandas", "scipy", "sklearn", "statsmodels"]
HEAVY += ["matplotlib", "cv2", "av"]
SCRIPT = Path(sysconfig.get_path("scripts")) / "bench"


def test_help_takes_at_most_eight_bare_interpreters(least_cpu_s: Callable[..., float]) -> None:
    ratios: list[float] = []
    # Both anew where others keep the machine busy, which does not slow them alike.
    while not ratios or (ratios[-1] > 8 and len(ratios) < 6):
        bare = least_cpu_s([os.path.realpath(sys.executable), "-c", "pass"], times=10)
        ratios.append(least_cpu_s([str(SCRIPT), "--help"]) / bare)
    assert ratios[-1] <= 8, ratios


@pytest.mark.parametrize(
    "code",
    [
        "from ghostbench.cli.main import bench; bench.main(['--help'], standalone_mode=False)",
        "from ghostbench.plugins.registry import registry; assert len(registry().models) >= 5",
        "import ghostbench; [getattr(ghostbench, name) for name in ghostbench.__all__]",
    ],
    ids=["help", "discovery", "public names"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    check = f"import sys; {code}; print(*sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, check=False)


def test_help_lists_every_subcommand_with_examples() -> None:
    done = bench("--help")
    assert done.returncode == 0
    for name in (
        "run",
        "report",
        "compare",
        "verify",
        "regress",
        "models",
        "datasets",
        "doctor",
        "render",
        "new-adapter",
    ):
        assert f"  {name} " in done.stdout
        single = bench(name, "--help")
        assert single.returncode == 0, single.stderr
        assert "Example" in single.stdout, name


@pytest.mark.parametrize(
    "words",
    [["ruin"], ["models", "motoin"], ["models", "drivemm:FP8"], ["verify"], ["report", "no-such-folder"], ["-x"]],
)
def test_a_wrong_word_is_one_line_and_status_2(words: list[str]) -> None:
    done = bench(*words)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr


def test_a_closed_pipe_is_no_traceback() -> None:
    done = subprocess.run(f"{SCRIPT} models | head -n 1", shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_models_names_every_model_and_a_models_settings() -> None:
    listed = bench("models")
    for name in ("always", "never", "random", "category-prior", "replay:FILE"):
        assert name in listed.stdout
    assert "no settings" in bench("models", "always").stdout


def test_datasets_names_the_embedded_ones() -> None:
    done = bench("datasets")
    assert "dada2000" in done.stdout
    assert "seed99" in done.stdout


def test_the_end_of_a_command_looks_for_no_garbage_in_what_libraries_hold() -> None:
    code = (
        "import atexit, gc, sys\nfrom ghostbench.cli.main import main\ntry: main(['--version'])\n"
        "except SystemExit: atexit._run_exitfuncs()\nprint(gc.get_freeze_count() > 1000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"
