"""One package knows the files of a run folder: nobody else spells their names, and each line has one definition."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import ghostbench
from ghostbench.folder import names
from ghostbench.folder.lines import STAGES
from ghostbench.records import Stages

HERE = Path(ghostbench.__file__).parent
FOLDERS = (names.TABLES, names.PROMPTS, names.JOURNALS, names.PAGE_ROWS)
FILES = {
    value
    for value in vars(names).values()
    if isinstance(value, str) and "." in value and "\n" not in value and " " not in value
} | {names.SUMS}
FILES -= {names.ROUND_INDEX}
"""Others have files of that name too."""


def spelled(source: str) -> Iterator[tuple[int, str]]:
    """Each string that is a path with a file of a run folder in it, or is put together to one; prose is not meant."""
    tree = ast.parse(source)
    joined = {
        id(side) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        for side in (node.left, node.right)
    }  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or " " in node.value:
            continue
        parts = node.value.split("/")
        if FILES.intersection(parts) or (parts[0] in FOLDERS and (len(parts) > 1 or id(node) in joined)):
            yield node.lineno, node.value


def test_the_names_that_are_looked_for_are_those_of_a_run() -> None:
    assert {"manifest.json", "attempts.jsonl", "report.html", "SHA256SUMS", ".lock"} <= FILES
    assert list(spelled("x = folder / 'attempts.jsonl'")) == [(1, "attempts.jsonl")]
    told = sorted(text for _, text in spelled("x = folder / 'tables'; y = 'tables/a.csv'; z = 'tables'"))
    assert told == ["tables", "tables/a.csv"]
    assert list(spelled("x = place.glob('*/manifest.json')")) == [(1, "*/manifest.json")]


def test_no_module_outside_the_package_spells_the_name_of_a_run_folders_file() -> None:
    found = [
        f"{path.relative_to(HERE)}:{line}: {text}"
        for path in sorted(HERE.rglob("*.py"))
        if path.parent != HERE / "folder"
        for line, text in spelled(path.read_text(encoding="utf-8"))
    ]
    assert found == []


RECORDS = ("MANIFEST", "CLIPS", "ATTEMPTS", "PREDICTIONS", "SENT", "BEGUN", "PRINTED", "LOG", "TAGS", "METRICS", "SUMS")
"""What the package itself reads and writes; the report's pages and tables are written by who makes them."""
OPENS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "truncate", "write_json", "remove", "unlink"}


def opened(source: str) -> Iterator[tuple[int, str]]:
    """Each call that opens a path which is put together with the name of a record of the run, or is called like it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            within = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
            names = {each.id for part in within for each in ast.walk(part) if isinstance(each, ast.Name)}
            if called in OPENS and (found := names.intersection(RECORDS)):
                yield node.lineno, f"{called} {' '.join(sorted(found))}"


def test_opening_a_record_is_found() -> None:
    assert list(opened("a = json.loads((folder / METRICS).read_bytes())")) == [(1, "read_bytes METRICS")]
    assert list(opened("file = os.open(folder / PRINTED, os.O_WRONLY)")) == [(1, "open PRINTED")]
    assert list(opened("line = read_records(folder / CLIPS, ClipLine)")) == []


def test_no_module_outside_the_package_opens_a_record_of_the_run() -> None:
    found = [
        f"{path.relative_to(HERE)}:{line}: {text}"
        for path in sorted(HERE.rglob("*.py"))
        if path.parent != HERE / "folder"
        for line, text in opened(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_stages_of_every_reader_are_those_of_the_record() -> None:
    assert tuple(field.name for field in dataclasses.fields(Stages)) == STAGES
