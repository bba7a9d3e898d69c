"""report.html as a reader meets it: in headless Chromium, at desktop and phone width."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evidence_data import RunBuilder, dash_clips

from ghostbench.report.write import write_report
from ghostbench.scoring.score import score_run


@pytest.fixture
def page(browser: Any, rich_run: Path) -> Any:
    """The report, freshly loaded at 1280 px."""
    return load(browser, rich_run, 1280)


def load(browser: Any, folder: Path, width: int) -> Any:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get((folder / "report.html").as_uri())
    return browser


def shown(page: Any) -> list[str]:
    return [box.get_dom_attribute("data-clip") for box in page.find_elements("css selector", "article.clip")]


def choose(page: Any, value: str) -> list[str]:
    page.execute_script(
        "const it = document.querySelector(`input[value=${arguments[0]}]`); it.checked = true;"
        "it.dispatchEvent(new Event('input', {bubbles: true}));",
        value,
    )
    return shown(page)


def pick(page: Any, name: str, value: str) -> list[str]:
    page.execute_script(
        "const it = document.getElementById('filters').elements[arguments[0]]; it.value = arguments[1];"
        "it.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )
    return shown(page)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window_says_what_it_is_and_logs_no_error(browser: Any, rich_run: Path, width: int) -> None:
    page = load(browser, rich_run, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert "recognition in retrospect, not early warning" in page.find_element("css selector", "header").text
    assert len(shown(page)) == 6
    assert page.get_log("browser") == []


def test_long_names_make_no_page_wider_than_its_window(browser: Any, tmp_path: Path) -> None:
    builder = RunBuilder(dash_clips(2, 0, 2))
    for size in range(3):
        builder.rows(f"vendor/a-family-of-long-names-{size:02}-instruct-very-long-suffix-awq-int4@{size}", [None] * 4)
    score_run(builder.write(tmp_path / "r"))
    write_report(tmp_path / "r")
    page = load(browser, tmp_path / "r", 400)
    assert page.execute_script("return document.documentElement.scrollWidth") == 400


def test_nothing_is_fetched_from_anywhere(page: Any) -> None:
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith("data:")} == {page.current_url}


def test_a_hostile_answer_does_not_run_and_is_shown_as_it_is(page: Any) -> None:
    boxes = page.find_elements("css selector", "article.clip .answers details")
    for box in boxes:
        page.execute_script("arguments[0].open = true", box)
    page.execute_async_script("setTimeout(arguments[0], 100)")
    assert page.execute_script("return window.ran") is None
    assert page.title.endswith("ghostbench")
    texts = [element.text for element in page.find_elements("css selector", "article.clip pre")]
    assert sum("<script>document.title='run'" in text for text in texts) == 7
    assert all("\x1b" not in text and "\u202e" not in text for text in texts)
    assert page.get_log("browser") == []


def test_filters_show_misses_false_alarms_silence_and_disagreements(page: Any) -> None:
    assert choose(page, "misses") == ["images_1_002"]
    assert choose(page, "alarms") == ["images_2_003", "images_2_004", "images_3_005"]
    assert choose(page, "silent") == ["images_3_006"]
    assert choose(page, "disagreements") == ["images_1_002", "images_2_003", "images_2_004"]
    assert "3 of 6" in page.find_element("id", "count").text
    assert len(choose(page, "all")) == 6


def test_who_saw_the_video_disagrees_with_nobody_who_saw_the_frames(
    browser: Any, rich_run: Path, tmp_path: Path
) -> None:
    text = (rich_run / "report.html").read_text(encoding="utf-8")
    assert text.count('"video":false') == 3
    first, second, third, rest = text.split('"video":false')
    text = '"video":false'.join([first, '"video":true'.join([second, third]), rest])
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    page = load(browser, tmp_path, 1280)
    assert choose(page, "disagreements") == []
    assert pick(page, "model", "1") == []
    # It is set against nobody, and a yardstick against those that saw the frames.
    assert pick(page, "model", "2") == ["images_1_002", "images_2_004"]


def test_every_clip_has_a_link_that_shows_it(page: Any) -> None:
    link = page.find_element("css selector", "article.clip[data-clip=images_2_004] h3 a")
    page.execute_script("arguments[0].click()", link)
    page.execute_async_script("setTimeout(arguments[0], 100)")
    assert page.current_url.endswith("#clip=images_2_004")
    assert shown(page) == ["images_2_004"]


def test_filters_follow_the_model_the_view_and_the_words(page: Any) -> None:
    assert choose(page, "alarms") == ["images_2_003", "images_2_004", "images_3_005"]
    assert pick(page, "view", "strict") == ["images_2_003", "images_2_004"]
    assert pick(page, "model", "0") == ["images_2_003"]
    assert pick(page, "model", "1") == ["images_2_004"]
    choose(page, "all")
    assert pick(page, "words", "???") == ["images_1_001"]
    assert pick(page, "words", "child runs") == [
        "images_1_001",
        "images_1_002",
        "images_2_003",
        "images_2_004",
        "images_3_005",
    ]


def test_an_answer_opens_with_its_evidence_attempts_and_raw_text(page: Any) -> None:
    box = page.find_element("css selector", "article.clip .answers details")
    page.execute_script("arguments[0].open = true", box)
    page.execute_async_script("setTimeout(arguments[0], 100)")
    text = box.text
    for words in (
        "evidence: a child runs out",
        "attempts: 2",
        "served by: gpt-4o-2024-11-20",
        '"grade": "ghost_probing"',
    ):
        assert words in text


def test_pictures_are_there_a_matrix_for_every_row_and_charts_for_what_was_measured(page: Any) -> None:
    matrices = page.find_elements("css selector", ".matrix figcaption")
    assert [name.text.split()[0] for name in matrices] == [
        "gpt-4.1", "local", "always", "never", "random", "category-prior",
    ]  # fmt: skip
    captions = " ".join(element.text for element in page.find_elements("css selector", ".charts figcaption"))
    for words in ("F1 in the strict view", "ROC", "Reliability", "Wall time", "memory"):
        assert words in captions
    ids = page.execute_script("return [...document.querySelectorAll('[id]')].map(it => it.id)")
    assert len(ids) == len(set(ids))


def test_warnings_stand_on_top(page: Any) -> None:
    alerts = page.find_element("css selector", ".alerts").text
    assert "asked for gpt-4.1, served gpt-4o-2024-11-20" in alerts
    assert "not shown to beat" in alerts or "does not beat" in alerts
