"""The import graph: what the contracts in pyproject.toml cannot say."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

grimp = pytest.importorskip("grimp")
ROOT = Path(__file__).resolve().parents[2]


def packages() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["importlinter"]["root_packages"]


def circles(imports: dict[str, set[str]]) -> Iterator[set[str]]:
    """Every set of modules that reach each other (more than one), by taking away what imports nothing that is left."""
    left = {module: set(targets) for module, targets in imports.items()}
    shrunk = True
    while shrunk:
        free = {module for module, targets in left.items() if not targets & left.keys()}
        wanted = set().union(*left.values()) if left else set()
        free |= left.keys() - wanted
        shrunk = bool(free)
        for module in free:
            del left[module]
    if left:
        yield set(left)


def test_circles_are_found() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}})) == [{"b", "c"}]
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": set()})) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not even for the type checker alone: what needs such an import has a part that belongs elsewhere."""
    graph = grimp.build_graph(*packages(), exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert [sorted(circle) for circle in circles(imports)] == []


def test_every_adapter_of_the_tree_is_held_to_the_contracts() -> None:
    adapters = {path.name for path in (ROOT / "adapters").iterdir() if (path / "__init__.py").is_file()}
    assert adapters | {"ghostbench"} == set(packages())


def test_no_answer_is_read_again_to_be_scored_or_reported() -> None:
    """A task reads an answer once, when it is settled; a second reader would follow rules of its own."""
    package = ROOT / "benchmark" / "ghostbench"
    calls = {
        str(path.relative_to(package))
        for folder in ("scoring", "report")
        for path in (package / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "parse"
    }
    assert calls == set()


FORMER = {"host", "hosts", "Host", "voice", "Voice", "conduct", "Conduct", "Desk", "Row"}
"""What models, the terminal, the control and the tables of a run were called before they had names of their own."""


def test_one_thing_has_one_word_in_all_that_runs() -> None:
    """A server is what has a host."""
    running = ROOT / "benchmark" / "ghostbench" / "running"
    found = {
        f"{path.relative_to(running)}: {name}"
        for path in running.rglob("*.py")
        if path.name != "named_servers.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for field in ("id", "attr", "arg", "name")
        if (name := getattr(node, field, None)) in FORMER
    }
    assert found == set()
