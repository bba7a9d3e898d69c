"""The README shows what is really printed, and points at what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_picture", ROOT / "docs" / "pictures" / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_picture_is_what_bench_run_prints() -> None:
    module = renderer()
    drawn = module.draw(module.first_run())
    assert "motion" in drawn
    assert module.PICTURE.read_text(encoding="utf-8") == drawn, "draw it again: python docs/pictures/render.py"


def test_every_picture_of_the_documentation_is_shown_somewhere_and_those_of_pages_are_small() -> None:
    pictures = ROOT / "docs" / "pictures"
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    shown = set(re.findall(r"pictures/([\w-]+\.(?:webp|png|svg|jpg))", text))
    assert shown == {path.name for path in pictures.iterdir() if path.suffix != ".py" and path.is_file()}
    assert all(path.stat().st_size < 150_000 for path in pictures.glob("*.webp"))


def test_every_link_and_command_leads_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).is_file()] == []
    commands = re.findall(r"^\$ (\S+)", text, re.MULTILINE)
    assert commands == ["scripts/first-run", "scripts/test"]
    assert all((ROOT / command).stat().st_mode & 0o100 for command in commands)
