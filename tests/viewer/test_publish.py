"""A published folder is the viewer's page over files: whole, without media, and without the author's paths."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from viewing import hostile_run, listed, text, two_models, until

from ghostbench.errors import BadInput
from ghostbench.scoring.score import score_run
from ghostbench.viewer.publish import publish


@pytest.fixture
def site(tmp_path: Path) -> Path:
    runs = [two_models(tmp_path / "first"), two_models(tmp_path / "second", "GGGNPN")]
    hostile_run(tmp_path / "hostile")
    for run in (*runs, tmp_path / "hostile"):
        score_run(run)
    assert publish([*runs, tmp_path / "hostile"], tmp_path / "site") == len(
        [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    )
    return tmp_path / "site"


def test_what_the_server_would_say_is_in_files_and_no_place_of_this_machine(site: Path) -> None:
    found = json.loads((site / "data" / "runs.json").read_text())["runs"]
    assert [line["place"] for line in found] == [0, 1, 2]
    assert len(list((site / "data" / "0").glob("clip-*.json"))) == 6
    everything = "".join(path.read_text() for path in site.rglob("*") if path.is_file())
    assert str(site.parent) not in everything
    assert "\x1b" not in everything


def test_what_cannot_be_published_is_said_in_a_line(site: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not empty"):
        publish([tmp_path / "first"], site)
    with pytest.raises(BadInput, match="two runs are called first"):
        publish([tmp_path / "first", tmp_path / "first"], tmp_path / "other")
    manifest = json.loads((tmp_path / "second" / "manifest.json").read_text())
    (tmp_path / "second" / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
    with pytest.raises(BadInput, match="is not finished"):
        publish([tmp_path / "second"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_the_published_page_works_in_a_browser_and_runs_nothing_of_the_runs(browser: Any, site: Path) -> None:
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        browser.get(f"http://127.0.0.1:{server.server_port}/index.html#/run/first/clips?clip=c1")
        until(lambda: len(listed(browser)) == 6 and "published without media" in text(browser))
        assert "ghost probing at 2.00 s" in text(browser)
        # Where there are no frames there is nothing to step through, and no key asks the web server for one.
        assert browser.execute_script("return document.querySelectorAll('.stage, .controls').length") == 0
        for key in ("ArrowRight", ".", " "):
            browser.execute_script("document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))", key)
        asked = "return performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/')).length"
        assert browser.execute_script(asked) == 0
        for where in ("#/compare/first/second", "#/run/hostile", "#/run/hostile/clips"):
            browser.execute_script("location.hash = arguments[0]", where)
            until(lambda: len(text(browser)) > 60)
        until(lambda: "window.ran" in text(browser))
        assert browser.execute_script("return window.ran") is None
    finally:
        server.shutdown()
