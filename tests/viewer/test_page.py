"""The page of `bench view` in headless Chromium: runs, clips, frames and keys, at every width, and hostile runs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from evidence_data import RunBuilder, clip, dash_clips
from viewing import Viewer, grow, growing_run, listed, run_on_media, serving, serving_text, text, two_models, until

from ghostbench.scoring.score import score_run

pytestmark = pytest.mark.slow
REAL = "images_5_004"
PAPER_PX = 718
"""An A4 page between margins of a centimetre, CSS pixels."""
BEYOND = """
    const width = document.documentElement.clientWidth;
    return [...document.querySelectorAll("main th, main td, main p, main pre, main .tag")]
        .filter((each) => each.getClientRects().length > 0 && each.getBoundingClientRect().right > width + 0.5)
        .map((each) => each.innerText);
"""
"""The words of what lies beyond the right edge."""
SMALL = """
    const high = (cell) => {
        const words = document.createRange();
        words.selectNodeContents(cell);
        return words.getBoundingClientRect().height;
    };
    return [...document.querySelectorAll("main th, main td, main p, main pre")]
        .filter((each) => each.innerText.trim() && each.getClientRects().length > 0)
        .filter((each) => parseFloat(getComputedStyle(each).fontSize) < 9 || each.scrollWidth > each.clientWidth + 1
            || (each.matches("td.number") && high(each) > 52))
        .map((each) => each.innerText);
"""
"""The words of what is too small to read, runs out of its box, or is a number of more than three lines."""
BROKEN = """
    const found = [];
    for (const cell of document.querySelectorAll("main th, main td.number")) {
        const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) for (const word of walker.currentNode.data.matchAll(/[^\\s-]+/g)) {
            const place = document.createRange();
            place.setStart(walker.currentNode, word.index);
            place.setEnd(walker.currentNode, word.index + word[0].length);
            if (place.getClientRects().length > 1) found.push(word[0]);
        }
    }
    return found;
"""
"""Words of headings and numbers that are broken in two."""
ROUNDS = 5
"""How often a time is taken at most, until one keeps to its limit: others share the machine."""
GRADES = ("ghost_probing", "potential_ghost_probing", "normal", None)


def opened(browser: Any, viewer: Viewer, where: str = "#/", *, width: int = 1400, dark: bool = False) -> Any:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(f"{viewer.root}/?token={viewer.token}")
    browser.execute_script("location.hash = arguments[0]", where)
    return browser


def press(page: Any, key: str, **more: object) -> None:
    page.execute_script(
        "document.body.dispatchEvent("
        "new KeyboardEvent('keydown', {key: arguments[0], bubbles: true, ...arguments[1]}))",
        key, more,
    )  # fmt: skip


@pytest.mark.parametrize("width", [400, 1400, 2560])
@pytest.mark.parametrize("where", ["#/", "#/run/first", "#/run/first/clips", "#/compare/first/second"])
def test_every_page_fits_its_window_and_logs_no_error(browser: Any, viewer: Viewer, width: int, where: str) -> None:
    page = opened(browser, viewer, where, width=width)
    until(lambda: len(text(page)) > 60)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    said = [entry for entry in page.get_log("browser") if "404" not in entry["message"]]
    assert said == []


def test_the_link_lets_in_where_another_page_shows_it(browser: Any, viewer: Viewer) -> None:
    # As a notebook's terminal and a chat do, on a host that is not this server's.
    with serving_text(f'<a href="{viewer.root}/?token={viewer.token}">the address that was printed</a>') as elsewhere:
        browser.delete_all_cookies()
        browser.get(elsewhere)
        browser.execute_script("document.querySelector('a').click()")
        until(lambda: "first" in text(browser))


def test_nothing_is_fetched_from_elsewhere_and_hostile_runs_run_nothing(browser: Any, viewer: Viewer) -> None:
    page = opened(browser, viewer)
    for where, last in (("#/", "window.ran"), ("#/run/hostile", "window.ran"), ("#/run/hostile/clips", "2 attempts")):
        page.execute_script("location.hash = arguments[0]", where)
        until(lambda last=last: "window.ran" in text(page) and last in text(page))
        assert page.execute_script("return window.ran") is None
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith((f"{viewer.root}/", "data:"))} == set()


def test_clips_are_filtered_by_keys_and_every_state_has_a_link(browser: Any, viewer: Viewer) -> None:
    page = opened(browser, viewer, "#/run/first/clips")
    until(lambda: len(listed(page)) == 6)
    press(page, "d")
    # "m" gave no answer for c5: that is no opinion.
    assert listed(page) == ["c1", "c3"]
    press(page, "m")
    assert listed(page) == ["c1"]
    press(page, "n")
    assert listed(page) == ["c5"]
    press(page, "f")
    alarms = listed(page)
    assert alarms == ["c2", "c3", "c4"]
    press(page, "j")
    until(lambda: "clip=c3" in page.current_url or "clip=c2" in page.current_url)
    address = page.current_url
    assert "show=alarms" in address
    page.get("about:blank")
    page.get(address)
    until(lambda: listed(page) == alarms)


def test_who_saw_the_video_disagrees_with_nobody_who_saw_the_frames(browser: Any, tmp_path: Path) -> None:
    folder = two_models(tmp_path / "r")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["models"]["n"] |= {"kind": "remote", "sees_video": True, "needs_frames": False}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with serving(tmp_path) as viewer:
        page = opened(browser, viewer, "#/run/r/clips")
        until(lambda: len(listed(page)) == 6)
        press(page, "d")
        until(lambda: "0 of 6" in text(page))
        press(page, "m")
        until(lambda: listed(page) == ["c1"])


def test_the_best_of_a_run_is_no_wording_or_probe_of_a_model(browser: Any, tmp_path: Path) -> None:
    folder = two_models(tmp_path / "r", "GGNNNN")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["models"]["m"] |= {"of": "n", "probe": "blank"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    score_run(folder)
    with serving(tmp_path) as viewer:
        page = opened(browser, viewer)
        until(lambda: "n: .571" in text(page))
        assert "m: " not in text(page)


def test_runs_are_found_by_words_and_tags_and_what_was_said_at_moments_is_judged_by_its_window(
    browser: Any, viewer: Viewer
) -> None:
    page = opened(browser, viewer, "#/?words=%23early")
    until(lambda: "1 of" in text(page))
    assert "by moments" in text(page)
    assert page.execute_script("return document.querySelectorAll('tbody tr').length") == 1
    page.execute_script("location.hash = '#/run/warned/clips'")
    until(lambda: listed(page) == ["night", "day", "dusk"])
    options = "return [...document.querySelectorAll('select[name=slice] option')].map((o) => o.value)"
    assert page.execute_script(options) == [
        "", "first_visible_s=1.5", "first_visible_s=2.5", "light=day", "light=dusk", "light=night", "contact_s=3",
    ]  # fmt: skip
    page.execute_script(
        "const s = document.querySelector('select[name=slice]'); s.value = 'light=night';"
        "s.dispatchEvent(new Event('change'))"
    )
    assert listed(page) == ["night"]
    address = page.current_url
    assert "slice=light%3Dnight" in address
    page.get("about:blank")
    page.get(address)
    until(lambda: listed(page) == ["night"] and "first alarm" in text(page))
    said = (
        "[...document.querySelectorAll('.moments button')].map((b) => [b.innerText, b.className.replace('tag ', '')])"
    )
    # Without colours, too, and to who is read to.
    sign = (
        "return [...document.querySelectorAll('.moments button')].map((b) => getComputedStyle(b, '::before').content)"
    )
    signs = page.execute_script(sign)
    assert [next((word for word in ("right", "wrong") if word in each), "") for each in signs] == [
        "",
        "wrong",
        "right",
        "right",
    ]
    assert page.execute_script(f"return {said}") == [
        ["1.00 s normal", "plain"], ["2.00 s ghost probing", "wrong"], ["3.00 s ghost probing", "right"],
        ["4.00 s ghost probing", "right"],
    ]  # fmt: skip
    # The window ends with the contact, which is in it, and not with the label's time.
    page.execute_script("location.hash = '#/run/warned/clips?clip=dusk'")
    until(lambda: page.execute_script("return document.querySelector('.stage + .bar s')?.style.left") == "18.75%")
    assert page.execute_script("return document.querySelector('.stage + .bar s').style.width") == "18.75%"
    assert page.execute_script(f"return {said}.map(([, kind]) => kind)") == ["wrong", "right", "right", "plain"]


@pytest.mark.parametrize("where", ["#/", "#/run/first", "#/run/warned/clips?clip=dusk", "#/compare/first/second"])
def test_every_page_prints_what_was_said_and_nothing_to_press(browser: Any, viewer: Viewer, where: str) -> None:
    page = opened(browser, viewer, where, width=PAPER_PX, dark=True)
    shown = """
        return [...document.querySelectorAll(arguments[0])].filter((each) => each.getClientRects().length > 0).length
    """
    until(lambda: page.execute_script(shown, "td, .card"))
    pressed = "header, .filters, .controls, .clips, input, main button:not(.tag)"
    before = page.execute_script(shown, pressed)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
    try:
        assert before > 0
        assert page.execute_script(shown, pressed) == 0
        assert page.execute_script(shown, "td, .card") > 0
        # Nothing of a table is beyond the paper's edge, where no one can scroll to it.
        assert page.execute_script("return document.documentElement.scrollWidth") <= PAPER_PX
        assert page.execute_script(BEYOND) == []
        assert page.execute_script(SMALL) == []
        assert page.execute_script(BROKEN) == []
        # Dark text on white, whatever the screen has.
        colours = "const of = getComputedStyle(document.body); return [of.color, of.backgroundColor]"
        assert page.execute_script(colours) == ["rgb(27, 31, 36)", "rgb(255, 255, 255)"]
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize(
    ("where", "listing"),
    [
        ("#/run/first/clips?model=99", ["c0", "c1", "c2", "c3", "c4", "c5"]),
        ("#/run/first/clips?view=foo&show=misses", ["c1"]),
        (
            "#/run/first/clips?show=foo&outcome=foo&truth=foo&slice=foo%3Dbar&category=x",
            ["c0", "c1", "c2", "c3", "c4", "c5"],
        ),
        ("#/run/first/clips?show=misses&other=1", []),
        ("#/run/first/clips?show=misses&other=0", ["c1"]),
        ("#/run/first/clips?clip=c1&frame=zzz", ["c0", "c1", "c2", "c3", "c4", "c5"]),
    ],
)  # fmt: skip
def test_a_link_that_names_what_is_not_there_shows_what_it_says_it_shows(
    browser: Any, viewer: Viewer, where: str, listing: list[str]
) -> None:
    page = opened(browser, viewer, where)
    until(lambda: listed(page) == listing and "6 clips" in text(page))
    chosen = page.execute_script("return [...document.querySelectorAll('select')].map((each) => each.selectedIndex)")
    assert -1 not in chosen


def test_a_link_that_was_cut_in_two_says_that_there_is_no_such_run(browser: Any, viewer: Viewer) -> None:
    page = opened(browser, viewer, "#/run/first%2")
    until(lambda: "there is no run of that name" in text(page))


def test_names_with_characters_that_are_not_shown_can_be_opened(browser: Any, tmp_path: Path) -> None:
    for name in ("a\u200eb", "a\u200fb"):
        run = RunBuilder([clip(f"c\u200e{name}", "ghost_probing"), clip("c two", "normal")])
        run.rows("m", ["ghost_probing", "normal"])
        run.write(tmp_path / name)
    with serving(tmp_path) as viewer:
        names = [line["name"] for line in viewer.json("/api/runs")["runs"]]
        assert sorted(names) == ["a\N{REPLACEMENT CHARACTER}b", "a\N{REPLACEMENT CHARACTER}b (2)"]
        page = opened(browser, viewer, f"#/run/{quote(names[1])}/clips")
        until(lambda: len(listed(page)) == 2 and "Label: ghost probing" in text(page))


def test_a_run_that_goes_on_moves_nothing_away_from_who_reads_it(browser: Any, tmp_path: Path) -> None:
    two_models(tmp_path / "first")
    growing = growing_run(tmp_path / "growing")
    with (growing / ".lock").open("w") as held, serving(tmp_path) as viewer:
        fcntl.flock(held, fcntl.LOCK_EX)
        page = opened(browser, viewer, width=400)
        until(lambda: "2/6" in text(page))
        page.execute_script("""
            document.querySelector("a[href$=first]").focus();
            document.querySelector(".scroll").scrollLeft = 90;
            window.kept = document.querySelector("tbody");
        """)
        grow(growing, "c2")
        until(lambda: "3/6" in text(page))
        state = "return [document.activeElement.innerText, document.querySelector('.scroll').scrollLeft]"
        assert page.execute_script(state) == ["first", 90]
        # What has not changed is not drawn, nor read out, again.
        looked = "return performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/api/runs')).length"
        page.execute_script("window.kept = document.querySelector('tbody')")
        before = page.execute_script(looked)
        until(lambda: page.execute_script(looked) > before + 1)
        assert page.execute_script("return window.kept === document.querySelector('tbody')")
        assert page.execute_script("return document.querySelectorAll('[aria-live=polite]').length") == 0


def test_keys_go_by_their_place_and_leave_what_they_are_in_alone(browser: Any, viewer: Viewer) -> None:
    page = opened(browser, viewer, "#/run/first/clips?clip=c1")
    until(lambda: "1 attempt" in text(page))
    press(page, "ь", code="KeyM")  # Russian
    until(lambda: listed(page) == ["c1"])
    press(page, "A", code="KeyA")  # Caps Lock
    until(lambda: len(listed(page)) == 6)
    press(page, "Process", code="KeyN")  # an input method
    until(lambda: listed(page) == ["c5"])
    page.find_element("css selector", "summary").send_keys(" ")
    assert page.execute_script("return document.querySelector('details').open")
    assert "Pause" not in text(page)
    # Who goes by keys begins at the top of what came, and hears of the line of frames what it shows.
    page.execute_script("location.hash = '#/run/first'")
    until(lambda: page.execute_script("return document.activeElement.id") == "main")


def test_labels_that_differ_between_two_runs_are_told(browser: Any, tmp_path: Path) -> None:
    two_models(tmp_path / "first")
    run = RunBuilder([clip(f"c{place}", "ghost_probing" if place == 0 else "normal") for place in range(6)])
    run.rows("m", ["ghost_probing"] * 6)
    run.write(tmp_path / "second")
    with serving(tmp_path) as viewer:
        page = opened(browser, viewer, "#/compare/first/second")
        until(lambda: "What changed" in text(page))
        assert "1 of them has another label in the second run" in text(page)
        assert "c1: ghost probing, then normal" in text(page)


def test_two_runs_are_held_side_by_side(browser: Any, viewer: Viewer) -> None:
    page = opened(browser, viewer, "#/compare/first/second")
    until(lambda: "What changed" in text(page))
    rows = page.execute_script("return [...document.querySelectorAll('tbody tr')].map((r) => r.innerText.split('\\t'))")
    assert rows[0] == ["m", "5", "1"]
    assert ["m", "c1", "ghost probing", "normal", "ghost probing"] in rows
    until(lambda: "How the runs differ" in text(page))
    assert rows[-1] == ["command", "bench run --run-id first", "bench run --run-id second"]


def test_two_hundred_runs_of_which_one_grows(browser: Any, tmp_path: Path) -> None:
    first = two_models(tmp_path / "run-000")
    for number in range(1, 199):
        shutil.copytree(first, tmp_path / f"run-{number:03}")
    growing = growing_run(tmp_path / "growing")
    # A lock that another process holds is what tells that a run goes on; the page looks again in any case.
    with serving(tmp_path) as viewer:
        page = opened(browser, viewer, "#/run/growing")
        until(lambda: "2/6" in text(page))
        opened(browser, viewer)
        until(lambda: page.execute_script("return document.querySelectorAll('tbody tr').length") == 200)
        grow(growing, "c2")
        page.execute_script("location.hash = '#/run/growing'")
        until(lambda: "3/6" in text(page))
        # An answer that nobody has read yet is no other one than an answer that was.
        page.execute_script("location.hash = '#/compare/run-000/growing'")
        until(lambda: "cannot be compared yet: growing has not ended" in text(page))
        page.execute_script("location.hash = '#/run/growing/clips?show=silent'")
        until(lambda: listed(page) == ["c3", "c4", "c5"])
        assert "answers are read when the run has ended" in text(page)


@pytest.fixture(scope="module")
def ghost5(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """A run over the five clips that come with the package."""
    from warm_process import run_bench

    place = tmp_path_factory.mktemp("ghost5")
    words = ["run", "--models", "motion,always", "--out", str(place), "--run-id", "r", "--quiet"]
    assert run_bench(words, cwd=place, env={**os.environ}, timeout=120).returncode == 0
    with serving(place) as server:
        yield server


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """A run over one real clip."""
    media = shared_data / "dada2000" / "clips" / f"{REAL}.avi"
    if not media.is_file():
        pytest.skip("the real clip is not here")
    place = tmp_path_factory.mktemp("real")
    run_on_media(place / "r", "dada2000", REAL, str(media))
    with serving(place, media.parent) as server:
        yield server


@pytest.mark.parametrize(("which", "clip"), [("ghost5", "ghost5_02"), ("real", REAL)])
def test_frames_are_stepped_through_by_keys_each_within_fifty_milliseconds_once_cached(
    browser: Any, request: pytest.FixtureRequest, which: str, clip: str
) -> None:
    viewer: Viewer = request.getfixturevalue(which)
    page = opened(browser, viewer, f"#/run/r/clips?clip={clip}")
    until(lambda: "those of the run, by their digest" in text(page), within_s=60)
    press(page, ".")
    press(page, ".")
    index = int(page.execute_script("return document.getElementById('frame').dataset.index"))
    sampled = viewer.json(f"/api/runs/r/frames?clip={clip}")["sampled"]
    assert index in sampled[1:]
    cached = """
        return performance.getEntriesByType("resource").filter((each) => each.responseEnd > 0)
            .map((each) => Number((new URL(each.name).pathname.match(/\\/frames\\/(\\d+)$/) || [])[1]))
    """
    until(lambda: set(range(index + 1, index + 9)) <= set(page.execute_script(cached)))
    step = """
        const [done, image, begun] = [arguments[0], document.getElementById("frame"), performance.now()];
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
        image.decode().then(() => done(performance.now() - begun));
    """
    rounds: list[list[float]] = []
    # Where others keep the machine busy, the same steps are made again: what takes long then is not the page.
    while not rounds or (max(rounds[-1]) >= 50 and len(rounds) < ROUNDS):
        if rounds:
            for _ in range(8):
                press(page, "ArrowLeft")
            until(lambda: int(page.execute_script("return document.getElementById('frame').dataset.index")) == index)
        rounds.append([float(page.execute_async_script(step)) for _ in range(8)])
    assert int(page.execute_script("return document.getElementById('frame').dataset.index")) == index + 8
    assert max(rounds[-1]) < 50, rounds
    until(lambda: f"frame={index + 8}" in page.current_url)
    # Whoever holds a key down goes on: browsers take two hundred addresses in ten seconds, and then no more.
    for _ in range(125):
        press(page, "ArrowLeft")
        press(page, "ArrowRight")
    press(page, "ArrowRight")
    until(lambda: f"frame={index + 9}" in page.current_url)


def test_a_large_run_opens_in_two_seconds_and_filters_in_a_tenth(browser: Any, tmp_path: Path) -> None:
    run = RunBuilder(dash_clips(800, 200, 1000))
    for model in range(20):
        for place, line in enumerate(run.clips):
            said = GRADES[(place * 7 + model * 3 + place // 11) % 4]
            run.row(f"model-{model:02}", line["clip"], said, attempts=[])
    run.write(tmp_path / "large")
    with serving(tmp_path) as viewer:
        page = opened(browser, viewer)
        until(lambda: "large" in text(page))
        opening: list[float] = []
        filtering: list[float] = []
        while not opening or (max(opening[-1], filtering[-1] / 50) >= 2 and len(opening) < ROUNDS):
            if opening:
                opened(browser, viewer)
                until(lambda: "large" in text(page))
            begun = time.monotonic()
            page.execute_script("location.hash = '#/run/large/clips'")
            until(lambda: "2000 of 2000" in text(page))
            opening.append(time.monotonic() - begun)
            spans = []
            for key in "dmfna":
                press(page, key)
                spans.append(float(page.execute_script("return document.getElementById('main').dataset.filteredIn")))
            filtering.append(max(spans))
        print(f"opened in {opening[-1]:.2f} s, filtered in {filtering[-1]:.0f} ms")
        assert opening[-1] < 2, opening
        assert filtering[-1] < 100, filtering
