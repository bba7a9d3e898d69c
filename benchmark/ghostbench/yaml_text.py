"""YAML as strangers write it: plain values, and no more of them than a file of that size can mean."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST_VALUES = 100_000
"""Values that a file may stand for, each alias counted with all that it stands for."""


TRUE_AND_FALSE: Final = "yes, no, on and off without quotes are true and false"


def told(misfit: ErrorDetails) -> str:
    """What does not fit in a YAML file, in pydantic's words, or in ours where the author meant a text and wrote what
    YAML takes for a number, a date or a truth value. misfit : with its `input`."""
    if misfit["type"] == "string_type" and isinstance(misfit["input"], bool | int | float | date):
        return f"it must be a text: quote it ({TRUE_AND_FALSE}, digits are a number or a date)"
    return misfit["msg"].removeprefix("Value error, ")


class BoundedLoader(yaml.SafeLoader):
    """A `SafeLoader` that raises `MarkedYAMLError` for aliases that multiply (“billion laughs”) or name themselves,
    for keys that are there twice, and for values that are not what they are said to be, or look like.

    PyYAML itself copies what merge keys name, and whoever walks the values meets every alias anew: a file of a
    kilobyte takes hours and all memory.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._sizes: dict[int, int] = {}
        self._written = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node. Raises `MarkedYAMLError`."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._written += 1
        if self._written > MOST_VALUES:
            # At once, and not when the list or mapping ends that holds them.
            raise yaml.MarkedYAMLError(problem=f"more than {MOST_VALUES} values", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        if node is None or id(node) in self._sizes:
            return node
        if self._is_open(node):
            raise yaml.MarkedYAMLError(problem="a value that holds itself", problem_mark=mark)
        size = 1 + sum(self._sizes[id(part)] for part in _parts(node))
        if size > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {MOST_VALUES} values", problem_mark=mark)
        self._sizes[id(node)] = size
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node. Raises `MarkedYAMLError`, which names the line, where PyYAML lets through whatever its
        conversions raise."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, OverflowError):
            kind = str(node.tag).rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"this cannot be read as {kind}; quote what is meant as text", problem_mark=node.start_mark
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping in which no key is there twice: the first one would be lost without a word."""
        seen: set[Any] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable) and name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name} is there twice", problem_mark=key.start_mark)
            if isinstance(name, Hashable):
                seen.add(name)
        return super().construct_mapping(node, deep)

    def _is_open(self, node: yaml.Node) -> bool:
        """Whether the node's end has not been read: it is then met inside itself."""
        return isinstance(node, yaml.CollectionNode) and node.end_mark is None


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
