"""What GitHub and citation tools read fits their schemas: a mistake there shows nowhere else before it is pushed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
FILES = {
    "github-workflows": sorted((ROOT / ".github" / "workflows").glob("*.yml")),
    "github-issue-forms": [path for path in FORMS if path.name != "config.yml"],
    "github-issue-config": [path for path in FORMS if path.name == "config.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}


def said_of(schema: str, *paths: Path) -> tuple[int, str]:
    checker = pytest.importorskip("check_jsonschema")
    done = CliRunner().invoke(checker.main, ["--builtin-schema", f"vendor.{schema}", *map(str, paths)])
    return done.exit_code, done.output


@pytest.mark.parametrize("schema", FILES)
def test_it_fits(schema: str) -> None:
    assert FILES[schema]
    assert said_of(schema, *FILES[schema]) == (0, "ok -- validation done\n")


def test_a_workflow_with_a_mistake_does_not(tmp_path: Path) -> None:
    (tmp_path / "ci.yml").write_text(FILES["github-workflows"][0].read_text().replace("runs-on:", "run-on:"))
    status, said = said_of("github-workflows", tmp_path / "ci.yml")
    assert status == 1
    assert "run-on" in said
