"""`bench label` by keyboards of every kind, by a screen reader's words, and where the server or the video goes away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ghostbench.labelling.log import read

pytestmark = pytest.mark.slow

PRESS = """
    const {on, ...more} = arguments[1];
    (on ? document.querySelector(on) : document.body).dispatchEvent(
        new KeyboardEvent("keydown", {key: arguments[0], bubbles: true, cancelable: true, ...more}))
"""


class Page:
    """The page of a server, and what it shows."""

    def __init__(self, browser: Any, link: str) -> None:
        self.browser = browser
        browser.delete_all_cookies()
        browser.get("about:blank")
        browser.get(link)
        self.until("document.getElementById('at')?.textContent.includes(' of 10 ·')")

    def press(self, key: str, **more: object) -> None:
        self.browser.execute_script(PRESS, key, more)

    def js(self, expression: str) -> Any:
        return self.browser.execute_script(f"return {expression}")

    def until(self, expression: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 60, poll_frequency=0.02).until(lambda _: self.js(expression))

    def said(self, name: str, value: str) -> None:
        self.until(f"(document.getElementById('value-{name}')?.textContent ?? '') === '{value}'")


def test_keys_go_by_their_place_where_they_write_something_else(labelling: Any, browser: Any, tmp_path: Path) -> None:
    page = Page(browser, labelling("anna", tmp_path / "anna.jsonl").link)
    page.press("é", code="Digit2")  # French: digits are under Shift
    page.said("truth", "ghost probing")
    page.press("!", code="Digit1", shiftKey=True)  # American: and no digit
    page.press("м", code="KeyV")  # Russian
    page.said("first_visible_s", "frame 0 · 0.000 s")
    page.press("Process", code="KeyU")  # an input method
    page.said("doubt", "yes")
    page.press("U", code="KeyU", repeat=True)  # held down
    page.press("Z", code="KeyZ")  # Caps Lock
    page.said("doubt", "")
    page.press("[", code="Digit8", altKey=True, ctrlKey=True, modifierAltGraph=True)  # German, at the first clip
    page.press("]", code="Digit9", altKey=True, ctrlKey=True, modifierAltGraph=True)
    page.until("document.body.dataset.item === '1'")
    page.press("ü", code="BracketLeft")
    page.until("document.body.dataset.item === '0'")
    page.said("truth", "ghost probing")


def test_a_button_is_pressed_by_keys_and_every_field_has_a_name(labelling: Any, browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    out = tmp_path / "anna.jsonl"
    page = Page(browser, labelling("anna", out).link)
    page.press("2")
    page.said("truth", "ghost probing")
    for key in (Keys.ENTER, Keys.SPACE):
        page.press("c")
        page.said("contact_s", "frame 0 · 0.000 s")
        browser.find_element(By.CSS_SELECTOR, "[data-name=contact_s] button").send_keys(key)
        page.said("contact_s", "")
    assert not any(draft.done for draft in read(out).drafts.values())
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [
        (n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"] and "role" in n
    ]
    of = {role: [name for each, name in named if each == role] for role in ("textbox", "button", "slider", "image")}
    assert of["textbox"] == ["occluder", "road user", "note"]
    assert of["button"] == ["take away: 1 none · 2 ghost probing · 3 cut-in"]
    assert of["slider"] == ["frame"]
    assert of["image"] == ["frame 0"]


def test_what_is_typed_is_on_disk_without_an_end_to_it_and_stays_where_it_is_typed(
    labelling: Any, browser: Any, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    out = tmp_path / "anna.jsonl"
    page = Page(browser, labelling("anna", out).link)
    item = read(out).items[0]
    page.press("n")
    note = browser.find_element(By.ID, "value-note")
    note.send_keys("behind the van")
    page.until("document.getElementById('saved').textContent === 'saved: note behind the van'")
    assert read(out).drafts[item].values["note"] == "behind the van"
    note.send_keys(", left")
    page.until("document.getElementById('saved').textContent === 'saved: note behind the van, left'")
    assert page.js("document.activeElement.id") == "value-note"


def test_a_key_is_about_the_frame_that_is_seen(labelling: Any, browser: Any, tmp_path: Path) -> None:
    """Pictures and clips that take long to come: nothing is said of one that was not there."""
    out = tmp_path / "anna.jsonl"
    page = Page(browser, labelling("anna", out).link)
    page.until("document.getElementById('frame').complete")
    browser.execute_script("""
        const ask = window.fetch;
        window.held = [];
        window.fetch = (path, ...more) => /label\\/1$/.test(path) && !more[0]?.body
            ? new Promise((go) => window.held.push(() => go(ask(path, ...more)))) : ask(path, ...more);
    """)
    page.press("]")
    page.until("window.held.length === 1")
    page.press("e")
    page.press("2")
    page.js("window.held[0]()")
    page.until("document.body.dataset.item === '1'")
    page.press("1")
    page.said("truth", "normal")
    page.said("event_s", "")
    assert [draft.values for draft in read(out).drafts.values()] == [{"truth": "normal"}]


def test_a_key_that_could_not_be_saved_is_said_to_be_so(labelling: Any, browser: Any, tmp_path: Path) -> None:
    out = tmp_path / "anna.jsonl"
    server = labelling("anna", out)
    page = Page(browser, server.link)
    page.press("2")
    page.until("document.getElementById('saved').textContent.startsWith('saved')")
    server.kill()
    page.press("u")
    page.until("document.getElementById('saved').textContent === 'not saved'")
    assert "start it again" in page.js("document.getElementById('error').textContent")
    assert "doubt" not in read(out).drafts[read(out).items[0]].values


def test_who_settles_reads_what_the_others_said_and_goes_to_the_frames_that_they_saw(
    labelling: Any, browser: Any, tmp_path: Path
) -> None:
    for name, truth, frame in (("anna", "ghost_probing", 7), ("ben", "cut_in", 2)):
        server = labelling(name, tmp_path / f"{name}.jsonl", "--clips", "images_7_003")
        server.json("/api/label/0", {"set": "truth", "value": truth})
        server.json("/api/label/0", {"set": "contact_s", "frame": frame})
        server.json("/api/label/0", {"set": "occluder", "value": "a_van"})
        server.kill()
    settle = [f"--settle={tmp_path / name}.jsonl" for name in ("anna", "ben")]
    page = Page(browser, labelling("cleo", tmp_path / "cleo.jsonl", *settle).link)
    cards = page.js("[...document.querySelectorAll('#others .card')].map((card) => card.innerText.trim())")
    assert cards == [
        "anna: ghost probing contact 0.700 s occluder a_van",
        "ben: cut-in contact 0.200 s occluder a_van",
    ]
    for card, frame in ((0, 7), (1, 2)):
        page.js(f"document.querySelectorAll('#others button')[{card}].click()")
        page.until(f"document.getElementById('frame').alt === 'frame {frame}'")


def test_after_a_clip_comes_the_next_and_not_one_that_was_left(labelling: Any, browser: Any, tmp_path: Path) -> None:
    page = Page(browser, labelling("anna", tmp_path / "anna.jsonl", "--clips", "images_7_00[1-3]").link)
    page.press("]")
    page.until("document.body.dataset.item === '1'")
    for item in ("2", "0"):
        page.press("1")
        page.said("truth", "normal")
        page.press("Enter")
        page.until(f"document.body.dataset.item === '{item}'")
