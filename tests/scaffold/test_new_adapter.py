"""`bench new-adapter` writes a small package whose tests pass and run every rule of the conformance kit."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

from ghostbench.scaffold.write import write_adapter

if TYPE_CHECKING:
    from conftest import PluginSite

LINES = 120
RULES = 16
KINDS = ["local", "api"]


def written(site: PluginSite, name: str, *words: str) -> Path:
    """The folder that `bench new-adapter NAME WORDS` wrote."""
    done = site.bench("new-adapter", name, *words)
    assert done.returncode == 0, done.stderr
    return site.folder / name


def installed(site: PluginSite, folder: Path) -> PluginSite:
    """The site with the package installed, as pip would from its pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ((name, package),) = project["entry-points"]["ghostbench"].items()
    site.add(project["name"], modules={}, entry_points=f"[ghostbench]\n{name} = {package}\n")
    shutil.copytree(folder / package, site.folder / package)
    return site


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_writes_is_under_120_lines_in_all(plugin_site: PluginSite, kind: str) -> None:
    folder = written(plugin_site, "my-model", "--kind", kind)
    files = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }
    assert set(files) == {
        "README.md",
        "pyproject.toml",
        "ghostbench_my_model/__init__.py",
        "ghostbench_my_model/model.py",
        "tests/test_ghostbench_my_model.py",
    }
    assert sum(len(text.splitlines()) for text in files.values()) < LINES
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == "ghostbench-my-model"
    assert project["entry-points"]["ghostbench"] == {"my-model": "ghostbench_my_model"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_pass_and_run_the_whole_kit(plugin_site: PluginSite, kind: str) -> None:
    folder = written(plugin_site, "my.Model-2", "--kind", kind)
    installed(plugin_site, folder)
    report = plugin_site.folder / "report.xml"
    done = plugin_site.python("-m", "pytest", "-q", str(folder), f"--junitxml={report}")
    assert done.returncode == 0, done.stdout
    tests = list(ElementTree.parse(report).iter("testcase"))
    assert len(tests) == RULES
    skipped = [test.find("skipped") for test in tests]
    reasons = [child.get("message", "") for child in skipped if child is not None]
    assert all(reason.startswith("not applicable: ") for reason in reasons)
    assert len(tests) - len(reasons) >= 11


@pytest.mark.parametrize("kind", KINDS)
def test_its_code_is_formatted_and_clean(plugin_site: PluginSite, kind: str) -> None:
    pytest.importorskip("ruff")
    folder = written(plugin_site, "my-model", "--kind", kind)
    rules = ["--isolated", "--config", "line-length=120", "--config", 'target-version="py311"']
    for words in (["check", "--select", "E,F,I,UP,B,A,SIM,RET", *rules], ["format", "--check", *rules]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_its_toy_is_examined_and_run_like_any_model_and_marked_as_a_toy(plugin_site: PluginSite, kind: str) -> None:
    installed(plugin_site, written(plugin_site, "my-model", "--kind", kind))
    doctor = plugin_site.bench("doctor", "my-model")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "blank frames change" in doctor.stdout
    run = plugin_site.bench("run", "--models", "my-model,always", "--run-id", "first")
    assert run.returncode == 0, run.stderr
    assert "my-model" in run.stdout
    report = (plugin_site.folder / "results" / "first" / "report.md").read_text(encoding="utf-8")
    assert "toy" in report
    assert "(toy)" in plugin_site.bench("models").stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("motion/x",), "cannot name a model"),
        (("../up",), "cannot name a model"),
        (("",), "cannot name a model"),
        (("a b",), "cannot name a model"),
        (("-x",), "No such option"),
        (("x" * 65,), "cannot name a model"),
        (("always",), "there is a model 'always' already"),
        (("openai",), "there is a model 'openai' already"),
        (("Baselines",), "the package ghostbench_baselines is installed already"),
        (("new", "--kind", "cloud"), "--kind"),
        (("here",), "exists already; choose another name, or another place with --out"),
        (("new", "--out", "file"), "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(plugin_site: PluginSite, words: tuple[str, ...], hint: str) -> None:
    (plugin_site.folder / "here").mkdir()
    (plugin_site.folder / "file").write_text("")
    before = sorted(plugin_site.folder.rglob("*"))
    done = plugin_site.bench("new-adapter", *words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(plugin_site.folder.rglob("*")) == before


def test_it_says_what_to_do_next_with_names_that_a_shell_takes(plugin_site: PluginSite) -> None:
    done = plugin_site.bench("new-adapter", "my-model", "--out", "my folder")
    assert "pip install -e 'my folder/my-model' pytest" in done.stdout
    assert "bench run --models my-model,always" in done.stdout


@pytest.mark.parametrize(
    ("version", "bound"),
    [("1.2.3", ">=1.2.3"), ("0.1.1.dev84+g2695d6dbe.d20261126", ">=0.1.1.dev84"), ("unknown", "")],
)
def test_it_asks_for_this_harness_in_words_that_an_installer_takes(
    version: str, bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ghostbench.scaffold.write.own_version", lambda: version)
    folder = write_adapter("mine", "local", tmp_path)
    needed = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    ours = Requirement(needed[0])
    assert (ours.name, str(ours.specifier)) == ("ghostbench", bound)
