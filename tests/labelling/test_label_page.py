"""`bench label`: blind, by keyboard, frame by frame, and on disk before the page shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ghostbench.labelling.agree import agree
from ghostbench.labelling.log import read
from ghostbench.labelling.raters import read_raters

TRUTH_KEYS = {"normal": "1", "ghost_probing": "2", "cut_in": "3"}


def test_what_is_told_names_no_clip_and_shows_the_frames_of_their_numbers(
    labelling: Any, drawn: Path, tmp_path: Path
) -> None:
    from ghostbench.media.count import frame_times
    from ghostbench.media.every import every_frame
    from ghostbench.viewer.frames import jpeg

    out = tmp_path / "anna.jsonl"
    server = labelling("anna", out)
    told = server.ask("/api/label")[1]
    items = read(out).items
    assert len(json.loads(told)["done"]) == len(items) == 22
    for n in (0, 21):
        picture = server.ask(f"/api/label/{n}/frames/7")
        media = str(drawn.parent / "clips" / f"{items[n][0]}.avi")
        told += server.ask(f"/api/label/{n}")[1]
        times: list[float] = []
        frames = list(every_frame(media, times))
        assert tuple(times) == frame_times(media)
        assert picture == (200, jpeg(frames[7]))
        found = server.json(f"/api/label/{n}", {"set": "contact_s", "frame": 7})
        assert found["values"]["contact_s"] == pytest.approx(times[7])
        assert found["frames"] == {"contact_s": 7}
    for word in (b"images_7", b"remark", b".avi", b"clips"):
        assert word not in told
    log = read(out)
    assert all(len(str(log.drafts[items[n]].media)) == 64 for n in (0, 21))
    assert server.ask("/api/label/0/frames/10")[0] == 404
    assert server.ask("/api/label/99")[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/api/label", None, {"Cookie": ""}, 403),
        ("/api/label", None, {"Cookie": "ghostbench=wrong"}, 403),
        ("/api/label", None, {"Host": "evil.example:80"}, 421),
        ("/api/label", None, {"Origin": "https://evil.example"}, 403),
        ("/api/label/0", {"set": "truth", "value": "normal"}, {"Origin": ""}, 403),
        ("/api/label/0", {"set": "truth", "value": "normal"}, {"Origin": "null"}, 403),
        ("/api/label/0", {"set": "truth", "value": "perhaps"}, {}, 400),
        ("/api/label/0", {"set": "contact_s", "frame": 10}, {}, 400),
        ("/api/label/0", {"set": "contact_s", "frame": -1}, {}, 400),
        ("/api/label/0", {"set": "annotator", "value": "ben"}, {}, 400),
        ("/api/label/0", {"done": True}, {}, 400),
        ("/api/label/0", ["set"], {}, 400),
        ("/page/../labels.py", None, {}, 404),
        ("/page/labels.csv", None, {}, 404),
    ],
)
def test_what_is_not_the_pages_own_is_refused_and_not_written_down(
    refusing: Any, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    server, out = refusing
    before = out.read_bytes()
    assert server.ask(path, body, **headers)[0] == status
    assert [line for line in out.read_bytes()[len(before) :].splitlines() if b'"media"' not in line] == []


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refusing")


@pytest.fixture
def refusing(labelling: Any, module_tmp: Path) -> Any:
    out = module_tmp / "anna.jsonl"
    return labelling("anna", out), out


@pytest.mark.slow
def test_two_annotators_label_by_keyboard_and_a_kill_loses_at_most_the_key_being_pressed(
    labelling: Any, browser: Any, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
    from sklearn.metrics import cohen_kappa_score

    def wait(condition: Any) -> Any:
        return WebDriverWait(browser, 60, poll_frequency=0.02).until(condition)

    def press(*keys: str) -> None:
        browser.find_element(By.TAG_NAME, "body").send_keys(*keys)

    def said(name: str) -> str:
        script = "return document.querySelector(`.field[data-name=${arguments[0]}] output`)?.textContent ?? ''"
        return str(browser.execute_script(script, name))

    def at_item(n: int) -> None:
        wait(lambda b: b.execute_script("return document.body.dataset.item") == str(n))
        wait(lambda b: " of 10 ·" in b.execute_script("return document.getElementById('at').textContent"))

    plans = {"anna": lambda k: "ghost_probing" if k < 9 else "normal" if k < 16 else "cut_in",
             "ben": lambda k: "ghost_probing" if k < 6 else "normal" if k < 18 else "cut_in"}  # fmt: skip
    for name, plan in plans.items():
        out = tmp_path / f"{name}.jsonl"
        server = labelling(name, out)
        browser.get(server.link)
        items = read(out).items
        for n, (clip, _) in enumerate(items):
            at_item(n)
            truth = plan(int(clip[-3:]) - 1)
            press(TRUTH_KEYS[truth])
            if truth != "normal":
                press(*[Keys.ARROW_RIGHT] * 3, "v", Keys.ARROW_RIGHT, "e")
                wait(lambda _: said("event_s").startswith("frame 4"))
            wait(lambda _, truth=truth: said("truth") == truth.replace("_", " "))
            if n == 5:  # killed here, and gone on with
                before = out.read_bytes()
                server.kill()
                server = labelling(name, out)
                assert read(out).drafts[items[n]].values["truth"] == truth
                assert out.read_bytes() == before
                browser.get(server.link)
                at_item(n)
                assert said("truth") == truth.replace("_", " ")
            if n == 7:
                press("u")
                wait(lambda _: said("doubt") == "yes")
                press("z")
                wait(lambda _: said("doubt") == "")
            press(Keys.ENTER)
            wait(lambda _, out=out, n=n: sum(draft.done for draft in read(out).drafts.values()) == n + 1)
        server.kill()
    raters = read_raters([str(tmp_path / f"{name}.jsonl") for name in plans])
    found = agree(raters)
    (pair,) = found.truth.pairs
    clips = range(20)
    expected = cohen_kappa_score(*([plan(k) for k in clips] for plan in plans.values()))
    assert pair.n == 20
    assert pair.kappa is not None
    assert pair.kappa["value"] == pytest.approx(expected)
    (event,) = found.times["event_s"].pairs
    assert (event.n, event.median_s) == (8, 0.0)
    assert len(found.again) == 2
    assert all(each.truth.pairs[0].same == {**each.truth.pairs[0].same, "value": 1.0} for each in found.again)  # type: ignore[dict-item]

    settled = labelling("cleo", tmp_path / "cleo.jsonl", *(f"--settle={tmp_path / name}.jsonl" for name in plans))
    asked = [int(clip[-3:]) - 1 for clip, _ in read(tmp_path / "cleo.jsonl").items]
    assert sorted(asked) == [k for k in clips if len({plan(k) for plan in plans.values()}) > 1]
    others = settled.json("/api/label/0")["others"]
    assert {each["name"]: each["values"]["truth"] for each in others} == {
        name: plan(asked[0]) for name, plan in plans.items()
    }


def test_what_is_labelled_has_its_media_noted_and_no_other_is_labelled_on(
    labelling: Any, drawn: Path, tmp_path: Path
) -> None:
    import hashlib
    import shutil

    from drawn_data import moving_square, write_video

    folder = tmp_path / "recordings"
    shutil.copytree(drawn.parent / "clips", folder)
    out = tmp_path / "anna.jsonl"
    server = labelling("anna", out, dataset=folder)
    server.json("/api/label/0", {"set": "truth", "value": "normal"})
    server.json("/api/label/0", {"done": True})
    item = read(out).items[0]
    media = folder / f"{item[0]}.avi"
    assert read(out).drafts[item].media == hashlib.sha256(media.read_bytes()).hexdigest()
    server.kill()
    write_video(media, moving_square(3, frames=4, step=5), fps=10)
    server = labelling("anna", out, dataset=folder)
    status, told = server.ask("/api/label/0", {"set": "truth", "value": "ghost_probing"})
    assert (status, b"its file has changed since" in told) == (400, True)
    assert read(out).drafts[item].values == {"truth": "normal"}


def test_one_file_is_labelled_by_one_server_at_a_time(labelling: Any, drawn: Path, tmp_path: Path) -> None:
    from ghostbench.datasets.query import SplitQuery
    from ghostbench.errors import BadInput
    from ghostbench.viewer.labels import labelling_of

    out = tmp_path / "anna.jsonl"
    server = labelling("anna", out)
    with pytest.raises(BadInput, match="being labelled by another `bench label`"):
        labelling_of([SplitQuery(dataset=str(drawn))], "anna", out)
    server.kill()
    labelling_of([SplitQuery(dataset=str(drawn))], "anna", out)


def test_times_that_contradict_each_other_are_told_where_they_are_said(labelling: Any, tmp_path: Path) -> None:
    out = tmp_path / "anna.jsonl"
    server = labelling("anna", out)
    server.json("/api/label/3", {"set": "truth", "value": "ghost_probing"})
    server.json("/api/label/3", {"set": "first_visible_s", "frame": 7})
    server.json("/api/label/3", {"set": "contact_s", "frame": 2})
    status, told = server.ask("/api/label/3", {"done": True})
    assert (status, b"first_visible_s (0.7) is after contact_s (0.2)" in told) == (400, True)
    server.json("/api/label/3", {"set": "contact_s", "frame": 8})
    assert server.json("/api/label/3", {"done": True})["done"]
    # A clip of which nobody says any longer what it shows is not done.
    assert not server.json("/api/label/3", {"set": "truth", "value": None})["done"]


def test_a_clip_of_which_no_frame_can_be_shown_is_not_labelled_as_if_it_were_seen(
    labelling: Any, drawn: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "broken.avi").write_bytes(b"RIFF no video")
    shutil.copy(drawn.parent / "clips" / "images_7_001.avi", folder)
    out = tmp_path / "anna.jsonl"
    server = labelling("anna", out, dataset=folder)
    for n, (clip, _) in enumerate(read(out).items):
        while not server.json(f"/api/label/{n}")["clip"]["done"]:
            pass
        server.json(f"/api/label/{n}", {"set": "truth", "value": "normal"})
        status, told = server.ask(f"/api/label/{n}", {"done": True})
        assert (status, b"no frame of this clip can be shown" in told) == (
            (400, True) if clip == "broken" else (200, False)
        )
