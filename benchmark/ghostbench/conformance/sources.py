"""What an adapter's source code imports of the harness."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import ghostbench


def inner_imports(package: str) -> list[str]:
    """Every import of a package's modules that reaches into the harness, as "file:line: statement".

    Allowed is what `ghostbench` exports at its top level, `ghostbench.__all__`; everything else may change any day.
    """
    found = []
    for path in _files(package):
        tree = ast.parse(path.read_bytes(), str(path))
        for node in ast.walk(tree):
            found += [f"{path.name}:{line}: {what}" for line, what in _inner(node)]
    return found


def _files(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return sorted(path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*.py"))
    return [Path(spec.origin)] if spec.origin else []


def _inner(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.startswith("ghostbench."):
                yield node.lineno, f"import {alias.name}"
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        if node.module.startswith("ghostbench."):
            yield node.lineno, f"from {node.module} import …"
        elif node.module == "ghostbench":
            for alias in node.names:
                if alias.name not in ghostbench.__all__:
                    yield node.lineno, f"from ghostbench import {alias.name}"
