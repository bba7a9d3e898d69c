"""The README shows what is really printed, and points at what is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_picture", ROOT / "docs" / "pictures" / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_what_bench_run_prints() -> None:
    module = renderer()
    drawn = module.draw(module.first_run())
    assert "motion" in drawn
    assert module.PICTURE.read_text(encoding="utf-8") == drawn, "draw it again: python docs/pictures/render.py"


def test_every_link_and_command_leads_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).is_file()] == []
    commands = re.findall(r"^\$ (\S+)", text, re.MULTILINE)
    assert commands == ["scripts/first-run", "scripts/test"]
    assert all((ROOT / command).stat().st_mode & 0o100 for command in commands)
