"""What newcomers and the repository's host read is well-formed, and names things that are there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted((ROOT / ".github").rglob("*.yml"))


@pytest.mark.parametrize(
    "path", [*FORMS, ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"], ids=lambda p: p.name
)
def test_it_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_map_of_the_code_names_places_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:benchmark|adapters|datasets|tests|scripts|docs)/[\w./-]*)`", text)
    assert len(places) > 8
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_folder_of_the_harness_is_on_the_map() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in (ROOT / "benchmark" / "ghostbench").glob("*/__init__.py")}
    assert sorted(name for name in folders if f"ghostbench/{name}/" not in text) == []


def test_every_place_of_the_glossary_is_there() -> None:
    rows = re.findall(
        r"^\| \*\*.*\| `([\w./]+)` \|$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) > 30
    homes = (ROOT / "benchmark" / "ghostbench", ROOT / "adapters", ROOT)
    assert [place for place in rows if not any((home / place).exists() for home in homes)] == []


def test_the_citation_is_of_the_last_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    released = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert (citation["version"], citation["license"]) == (released[0], project["license"])


def test_the_version_is_the_tag_s(tmp_path: Path) -> None:
    pytest.importorskip("hatch_vcs")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    def version() -> str:
        command = [sys.executable, "-m", "hatchling", "version"]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    assert version() == "0.1.1.dev0"  # a source archive outside git
    git("init", "-q")
    git("add", "pyproject.toml")
    git("commit", "-q", "-m", "first")
    git("tag", "v9.8.7")
    assert version() == "9.8.7"
    git("commit", "-q", "--allow-empty", "-m", "second")
    assert version().startswith("9.8.8.dev1+g")
