"""The one list of a report's tables: a table that is written and not listed is in no report."""

from __future__ import annotations

import ast
from pathlib import Path

REPORT = Path(__file__).resolve().parents[2] / "benchmark" / "ghostbench" / "report"


def tree(name: str) -> ast.Module:
    return ast.parse((REPORT / name).read_text(encoding="utf-8"))


def written() -> set[str]:
    """The public functions that make a table."""
    return {
        node.name
        for path in REPORT.glob("*_tables.py")
        for node in tree(path.name).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "Table"
    }


def test_every_table_that_is_written_is_listed() -> None:
    named = {getattr(node, "attr", None) or getattr(node, "id", None) for node in ast.walk(tree("tables.py"))}
    assert len(written()) > 20
    assert written() - named == set()
