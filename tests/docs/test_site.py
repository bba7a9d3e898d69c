"""The documentation builds without a warning and without the network, and its command line is the code's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = ("https://fonts.", "//unpkg.com", "//cdn.", "googleapis", "jsdelivr")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that refuses every connection: whatever the build tried to fetch would fail it.
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_of_the_navigation_is_there(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {path.parent.name for path in site.glob("*/index.html")} == pages
    home = (site / "index.html").read_text(encoding="utf-8")
    assert [page for page in sorted(pages) if f'href="{page}/"' not in home] == []


def test_the_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert [host for host in ELSEWHERE if host in text] == [], page


def test_the_command_line_page_has_every_command_and_option(site: Path) -> None:
    from ghostbench.cli.main import bench

    page = (site / "cli" / "index.html").read_text(encoding="utf-8")
    context = bench.make_context("bench", [], resilient_parsing=True)
    for name in bench.list_commands(context):
        command = bench.get_command(context, name)
        assert command is not None
        assert f"bench {name}" in page
        for parameter in command.params:
            assert [option for option in parameter.opts if option.startswith("--") and option not in page] == []


def test_the_public_names_page_has_every_public_name(site: Path) -> None:
    import ghostbench

    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert [name for name in ghostbench.__all__ if f'id="ghostbench.{name}"' not in page] == []
