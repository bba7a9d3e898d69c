"""What newcomers and the repository's host read is well-formed, and names things that are there."""

from __future__ import annotations

import re
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


def test_the_citation_is_of_the_version_that_is_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
