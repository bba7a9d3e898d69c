"""The documentation, read as text: its fenced blocks are what the tests run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title (a file's path) or "", its text."""

    language: str
    title: str
    text: str


@pytest.fixture
def blocks() -> Callable[[str], list[Block]]:
    """The fenced blocks of a page, in order."""

    def read(page: str) -> list[Block]:
        text = (DOCS / page).read_text(encoding="utf-8")
        return [Block(m["language"], m["title"] or "", m["text"]) for m in _BLOCK.finditer(text)]

    return read


@pytest.fixture
def shown_package(blocks: Callable[[str], list[Block]], tmp_path: Path) -> Callable[[str], Path]:
    """Writes the files that a page shows into a folder, and returns it."""

    def write(page: str) -> Path:
        folder = tmp_path / page.removesuffix(".md")
        for block in blocks(page):
            if block.title:
                (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.title).write_text(block.text, encoding="utf-8")
        return folder

    return write
