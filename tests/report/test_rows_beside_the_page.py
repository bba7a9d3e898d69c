"""A large run's rows: in files beside report.html, whole, loaded when they are to be seen, held against the ledger."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, dash_clips, raw_answer

from ghostbench.evidence.verify import verify
from ghostbench.folder.sums import write_sums
from ghostbench.report import clip_rows
from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run

G, P, N = "ghost_probing", "potential_ghost_probing", "normal"
CLIPS = 130
HOSTILE = (
    "</script><script>document.title='run';window.ran=1</script><img src=x onerror=window.ran=1>\x1b[31m\u202e`);//"
)
LONG = "a long answer, whole to its last word: " + "é" * 30_000 + " END"


def words_of(place: int) -> str:
    """What `m` answers on a clip: clip 70 at length, clip 71 with hostile words, the others with their own number."""
    return {70: LONG, 71: HOSTILE}.get(place, raw_answer(G, evidence=f"seen in number {place:04d}"))


def builder() -> RunBuilder:
    run = RunBuilder(dash_clips(60, 10, 60))
    for place, line in enumerate(run.clips):
        run.row("m", line["clip"], G if place % 3 else N, raw=words_of(place), event_time_s=1.0, score=0.75)
        run.row(
            "other", line["clip"], N if place != 100 else None, raw=None, outcome=None if place != 100 else "refused"
        )
    return run


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits under which 130 clips are a large run."""
    monkeypatch.setattr(clip_rows, "MOST_ROWS", 100)
    monkeypatch.setattr(clip_rows, "_PART_CLIPS", 20)
    monkeypatch.setattr(clip_rows, "_PART_TEXT", 20_000)


@pytest.fixture
def large(tmp_path: Path, small_parts: None) -> Path:
    folder = builder().write(tmp_path / "run")
    score_run(folder)
    write_report(folder)
    return folder


def rows(folder: Path) -> list[Path]:
    return sorted((folder / "report_rows").glob("*.js"))


def read(path: Path) -> Any:
    """The JSON that a file hands to the page."""
    head, value, tail = path.read_text().split("\n", 2)
    assert re.fullmatch(r'ghostbenchRows\("[0-9a-f]{16}","[a-z0-9]+",', head)
    assert tail == ");\n"
    return json.loads(value)


def test_the_page_of_a_large_run_holds_no_answer_and_the_files_hold_every_one_whole(large: Path) -> None:
    page = (large / "report.html").read_text()
    assert "seen in number" not in page
    assert "a long answer" not in page
    index, *parts = (read(path) for path in (large / "report_rows/index.js", *rows(large)[:-1]))
    assert [len(part["clips"]) for part in parts] == [20, 20, 20, 11, 20, 20, 19]  # clip 70 fills its part
    assert index["starts"] == [0, 20, 40, 60, 71, 91, 111]
    clips = [clip["id"] for part in parts for clip in part["clips"]]
    assert clips == [line["clip"] for line in builder().clips]
    answers = [raw for part in parts for raw in part["models"][0]["r"]]
    assert answers[:71] == [words_of(place) for place in range(71)]
    assert index["grades"][0] == "".join("0" if place % 3 else "2" for place in range(CLIPS))
    assert index["grades"][1] == "2" * 100 + "-" + "2" * 29


def test_hostile_answers_are_data_in_the_files_too(large: Path) -> None:
    for path in rows(large):
        text = path.read_text()
        assert "<" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_the_page_of_a_small_run_needs_no_file_and_allows_none(tmp_path: Path) -> None:
    folder = builder().write(tmp_path / "run")
    score_run(folder)
    write_report(folder)
    assert not (folder / "report_rows").exists()
    page = (folder / "report.html").read_text()
    assert re.search(r"script-src &#39;sha256-[^;]*=&#39;\"", page)
    assert LONG in page


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_TEXT"])
def test_many_rows_and_long_answers_alike_go_into_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(clip_rows, limit, 250)
    folder = builder().write(tmp_path / "run")
    write_report(folder)
    assert rows(folder)


@pytest.mark.slow
def test_a_report_written_again_leaves_no_file_of_before(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name for path in rows(large)}
    monkeypatch.setattr(clip_rows, "_PART_CLIPS", 50)
    write_report(large)
    assert len(rows(large)) < len(before)
    assert verify(large).findings == ()
    monkeypatch.setattr(clip_rows, "MOST_ROWS", 1000)
    write_report(large)
    assert not (large / "report_rows").exists()
    assert verify(large).findings == ()


@pytest.mark.slow
def test_an_edited_missing_or_foreign_file_of_rows_is_found_though_every_digest_was_written_anew(large: Path) -> None:
    part = large / "report_rows/000002.js"
    text = part.read_text()
    assert verify(large).findings == ()
    part.write_text(text.replace("seen in number 0045", "seen in number 0054"))
    assert [str(finding) for finding in verify(large).findings] == [
        "report_rows/000002.js: line 2 is not what the ledger gives"
    ]
    write_sums(large)
    assert [finding.file for finding in verify(large).findings] == ["report_rows/000002.js"]
    part.unlink()
    write_sums(large)
    assert [str(finding) for finding in verify(large).findings] == [
        "report_rows/000002.js: is missing: `bench report` writes it"
    ]
    part.write_text(text)
    for name in ("000099.js", "notes.txt"):
        (large / "report_rows" / name).write_text("alert(1)")
        write_sums(large)
        assert [str(finding) for finding in verify(large).findings] == [
            f"report_rows/{name}: is no file of this run's page"
        ]
        (large / "report_rows" / name).unlink()


def test_every_file_of_rows_has_its_digest(large: Path) -> None:
    sums = (large / "SHA256SUMS").read_text()
    assert all(f"  report_rows/{path.name}\n" in sums for path in rows(large))


def load(browser: Any, folder: Path) -> Any:
    browser.get_log("browser")
    browser.get((folder / "report.html").as_uri())
    settle(browser)
    return browser


def settle(page: Any) -> None:
    """Wait until the page has loaded what it is to show, and for what opens by itself."""
    page.execute_async_script(
        "const done = arguments[0]; const look = () => document.getElementById('list').ariaBusy === 'false'"
        " ? setTimeout(done, 100) : setTimeout(look, 20); look();"
    )


def shown(page: Any) -> list[str]:
    return [box.get_dom_attribute("data-clip") for box in page.find_elements("css selector", "article.clip")]


def type_in(page: Any, words: str) -> list[str]:
    page.execute_script(
        "const it = document.getElementById('filters').elements.words; it.value = arguments[0];"
        "it.dispatchEvent(new Event('input', {bubbles: true}));",
        words,
    )
    settle(page)
    return shown(page)


def test_in_a_browser_rows_are_loaded_as_they_are_wanted(browser: Any, large: Path) -> None:
    clips = [line["clip"] for line in builder().clips]
    page = load(browser, large)
    assert shown(page) == clips[:40]
    loaded = "return [...document.scripts].map(it => it.src.split('/').at(-1)).filter(Boolean)"
    assert page.execute_script(loaded) == ["index.js", "000000.js", "000001.js"]
    assert page.find_element("id", "count").text == "130 of 130 clips"
    page.execute_script("document.getElementById('more').click()")
    settle(page)
    assert shown(page) == clips[:80]
    assert page.get_log("browser") == []


def test_in_a_browser_words_are_looked_for_in_every_file_and_a_long_answer_opens_whole(
    browser: Any, large: Path
) -> None:
    clips = [line["clip"] for line in builder().clips]
    page = load(browser, large)
    assert type_in(page, "number 0129") == [clips[129]]
    assert page.find_element("id", "count").text == "1 of 130 clips"
    assert type_in(page, "to its last word") == [clips[70]]
    page.execute_script("document.querySelector('article.clip details').open = true")
    settle(page)
    text = page.execute_script("return document.querySelector('article.clip pre').textContent")
    assert len(text) == 20_001
    page.execute_script("document.querySelector('article.clip details button').click()")
    assert page.execute_script("return document.querySelector('article.clip pre').textContent") == LONG
    assert type_in(page, "window.ran=1") == [clips[71]]
    page.execute_script("document.querySelector('article.clip details').open = true")
    settle(page)
    assert "<script>document.title='run'" in page.find_element("css selector", "article.clip pre").text
    assert page.execute_script("return window.ran") is None
    assert page.get_log("browser") == []


def test_in_a_browser_a_page_without_its_files_or_with_another_runs_says_so_and_shows_none(
    browser: Any, large: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(large / "report.html", alone)
    page = load(browser, alone)
    assert shown(page) == []
    assert "keep this folder beside the page" in page.find_element("css selector", ".failed").text
    other = builder()
    second = other.write(tmp_path / "second", run_id="another")
    write_report(second)
    shutil.copytree(second / "report_rows", alone / "report_rows")
    page = load(browser, alone)
    assert shown(page) == []
    assert "index.js belongs to another run" in page.find_element("css selector", ".failed").text
