"""The environments that ghostbench is tried in, and what it asks of them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "pythons"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pythons() -> ModuleType:
    loader = SourceFileLoader("pythons", str(SCRIPT))
    spec = importlib.util.spec_from_loader("pythons", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pythons"] = module
    loader.exec_module(module)
    return module


def test_the_lowest_set_pins_every_direct_dependency(pythons: ModuleType) -> None:
    pins = list(pythons.lowest())
    assert [pin.partition("==")[0] for pin in pins] == [
        re.match(r"[\w.-]+", text)[0]  # type: ignore[index]
        for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["motion"])
    ]
    assert "av==17.1.0" in pins


def test_the_workflow_tries_every_python_that_the_package_names_with_both_sets(pythons: ModuleType) -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["pythons"]["strategy"]["matrix"]
    assert {tuple(map(int, text.split("."))) for text in matrix["python"]} == pythons.supported()
    assert set(matrix["versions"]) == {"newest", "lowest"}


@pytest.mark.slow
def test_interpreters_are_found_once_each_and_this_one_among_them(pythons: ModuleType) -> None:
    (named,) = pythons.named([sys.executable])
    assert named.version == sys.version_info[:3]
    found = pythons.found()
    assert len({(python.version, python.path) for python in found}) == len(found)
    assert all(python.version >= (3, 11) for python in found)


def test_what_is_no_python_is_one_line_and_status_2(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), str(tmp_path / "python3")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'python3'} is no Python of 3.11 or newer\n"


def test_no_python_at_all_is_said_and_no_failure(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT)]
    environment = {"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, "nothing to try" in done.stdout) == (0, True)


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_no_extra_but_those_of_local_models_needs_torch(extra: str) -> None:
    def needed(name: str) -> set[str]:
        packages: set[str] = set()
        for text in PROJECT["optional-dependencies"][name]:
            inner = re.fullmatch(r"ghostbench\[(.*)\]", text)
            if inner is None:
                packages.add(re.split(r"[^\w.-]", text)[0])
            else:
                packages.update(*map(needed, inner[1].split(",")))
        return packages

    heavy = {"torch", "transformers", "accelerate", "safetensors"} & needed(extra)
    assert bool(heavy) == (extra in ("drivemm", "hf"))
