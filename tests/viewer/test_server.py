"""The server of `bench view`: who may ask, what it reads, and what it says of runs of every state."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import httpx2 as httpx
import pytest
from viewing import Viewer, grow, run_on_media, serving, two_models, until

from ghostbench.datasets.definition import registered_definition
from ghostbench.datasets.layouts import find_media
from ghostbench.scoring.score import score_run
from ghostbench.viewer.frames import jpeg
from ghostbench.viewer.guard import Access


def digests(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def raw(viewer: Viewer, request: str) -> str:
    """What the server answers to a request as it is written here, which no library puts in order first."""
    with socket.create_connection(("127.0.0.1", viewer.port)) as connection:
        cookie = f"Cookie: ghostbench_{viewer.port}={viewer.token}\r\n"
        connection.sendall(request.replace("\n", "\r\n").replace("COOKIE", cookie.strip()).encode() + b"\r\n\r\n")
        connection.settimeout(10)
        return connection.recv(65536).decode("utf-8", "replace")


@pytest.mark.parametrize(
    "path", ["/", "/page/view.js", "/api/runs", "/api/runs/first", "/api/runs/first/frames/0?clip=c0"]
)
def test_nothing_is_told_without_the_token(viewer: Viewer, path: str) -> None:
    for cookie in ("", f"ghostbench_{viewer.port}=guessed", f"other={viewer.token}"):
        answer = viewer.get(path, cookie=cookie)
        assert answer.status_code == 403
        assert "first" not in answer.text
    wrong = httpx.get(f"{viewer.root}/?token=guessed")
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers


def test_the_link_that_is_printed_lets_in_and_does_not_stay_in_the_address(viewer: Viewer) -> None:
    answer = httpx.get(f"{viewer.root}/?token={viewer.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Lax"} <= set(answer.headers["set-cookie"].split("; "))
    assert "ghostbench" in viewer.get("/").text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}"]
)
def test_another_host_is_refused_also_with_the_token(viewer: Viewer, host: str) -> None:
    answer = viewer.get("/api/runs", host=host.format(port=viewer.port))
    assert answer.status_code == 421
    assert viewer.get("/api/runs", host=f"localhost:{viewer.port}").status_code == 200


@pytest.mark.parametrize(
    "others",
    [
        'settings={"theme":"dark","open":[1]}', "a[b]=1", "name=é", "flag", "path=/", "user@host=1", 'torn="half', "=",
        "",
        'username-127-0-0-1-8888="2|1:0|10:17"', "many words here=and here",
    ],
)  # fmt: skip
def test_cookies_of_other_servers_of_this_machine_lock_nobody_out(viewer: Viewer, others: str) -> None:
    own = f"ghostbench_{viewer.port}={viewer.token}"
    for cookies in (f"{others}; {own}", f"{own}; {others}"):
        request = f"GET /api/runs HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nCookie: {cookies}\nConnection: close"
        assert raw(viewer, request).split()[1] == "200"
    assert (
        raw(viewer, f"GET / HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nCookie: {others}\nConnection: close").split()[1]
        == "403"
    )


@pytest.mark.parametrize(
    ("listens", "named", "answered"),
    [
        (("127.0.0.1", 80), ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]"], True),
        (("127.0.0.1", 80), ["127.0.0.1:7576", "127.0.0.1:", "127.0.0.1:x", "evil.example", ""], False),
        (("127.0.0.1", 80), ["127.0.0.1:" + "8" * 9999], False),
        (("127.0.0.1", 7576), ["Localhost:7576", "[::1]:7576"], True),
        (("127.0.0.1", 7576), ["localhost", "[::1]", "192.168.1.5:7576", "127.0.0.1.evil.example:7576"], False),
        (("192.168.1.5", 7576), ["192.168.1.5:7576", "localhost:7576"], True),
        (("192.168.1.5", 7576), ["192.168.1.6:7576", f"{socket.gethostname()}.evil.example:7576"], False),
        (("0.0.0.0", 7576), ["192.168.1.5:7576", "[fe80::1]:7576", f"{socket.gethostname()}:7576"], True),
        (("::", 7576), ["192.168.1.5:7576", "[fe80::1]:7576", f"{socket.gethostname()}:7576"], True),
        (("0.0.0.0", 7576), ["evil.example:7576", "192.168.1.5:80", "192.168.1.5.evil.example:7576"], False),
    ],
)  # fmt: skip
def test_hosts_are_this_servers_own_as_browsers_write_them(
    listens: tuple[str, int], named: list[str], answered: bool
) -> None:
    access = Access(*listens, "token")
    assert {host: access.answers_to(host) for host in named} == dict.fromkeys(named, answered)
    assert access.answers_to(access.link.removeprefix("http://").partition("/")[0])


def test_a_machine_whose_name_leads_nowhere_is_reached_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "no-such-machine.invalid")
    assert Access("0.0.0.0", 7576, "t").link == "http://127.0.0.1:7576/?token=t"


def test_two_hosts_or_none_are_refused(viewer: Viewer) -> None:
    twice = f"GET /api/runs HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nHost: evil.example\nCOOKIE\nConnection: close"
    assert raw(viewer, twice).split()[1] in {"400", "421"}
    assert raw(viewer, "GET /api/runs HTTP/1.0\nCOOKIE").split()[1] in {"400", "421"}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_another_origin_is_refused_also_with_the_token(viewer: Viewer, origin: str) -> None:
    assert viewer.get("/api/runs", origin=origin.format(port=viewer.port)).status_code == 403
    assert viewer.get("/api/runs", origin=viewer.root).status_code == 200


@pytest.mark.parametrize("path", [f"/api/runs/first/frames/{'9' * 5000}?clip=c0", f"/?token={'a' * 5000}"])
def test_an_address_that_no_page_has_is_refused(viewer: Viewer, path: str) -> None:
    assert viewer.get(path).status_code == 414


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(viewer: Viewer, method: str) -> None:
    cookie = {"cookie": f"ghostbench_{viewer.port}={viewer.token}"}
    assert httpx.request(method, f"{viewer.root}/api/runs/first", headers=cookie).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/page/../guard.py", "/page/..%2fguard.py", "/page/%2e%2e/guard.py", "/page//etc/passwd",
        "/api/runs/..", "/api/runs/../..", "/api/runs/%2e%2e", "/api/runs/..%2f..%2fetc", "/api/runs/a%2f..%2ffirst",
        "/api/runs//etc", "/api/runs/.", "/api/runs/first%00", "/api/runs/outside",
        "/api/runs/first/clip?clip=../../manifest.json", "/api/runs/first/frames/0?clip=/etc/passwd",
        "/api/runs/%ff%fe", "/api/runs/first/clip?clip=%ff",
        "/api/runs/first/frames/-1?clip=c0", "/api/runs/first/frames/99999999?clip=c0",
    ],
)  # fmt: skip
def test_no_path_leads_out(viewer: Viewer, results: Path, path: str) -> None:
    if not (results / "outside").is_symlink():
        (results / "outside").symlink_to("/etc")
    answer = raw(viewer, f"GET {path} HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nCOOKIE\nConnection: close")
    assert answer.split()[1] in {"400", "404"}, answer[:200]
    assert "root:" not in answer


def test_every_answer_forbids_what_the_page_does_not_need(viewer: Viewer) -> None:
    for path in ("/", "/page/view.js", "/api/runs", "/nothing", "/api/runs/hostile"):
        headers = viewer.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


def test_runs_of_every_state_are_told_of_and_nothing_is_written(viewer: Viewer, results: Path) -> None:
    before = digests(results)
    found = {line["name"]: line for line in viewer.json("/api/runs")["runs"]}
    assert {name: line["state"] for name, line in found.items()} == {
        "first": "complete", "second": "complete", "growing": "stopped", "broken": "broken", "hostile": "complete",
        "warned": "complete",
    }  # fmt: skip
    assert "is not a run's manifest" in found["broken"]["reason"]
    assert str(results) not in json.dumps(found)
    rows = {row["name"]: row for row in found["first"]["rows"]}
    assert (rows["m"]["answered"], rows["m"]["of"], rows["always"]["baseline"]) == (5, 6, True)
    for name in found:
        for rest in ("", "/index"):
            viewer.get(f"/api/runs/{name}{rest}")
    assert digests(results) == before


def test_a_run_is_followed_as_its_ledger_grows(viewer: Viewer, results: Path) -> None:
    def progress() -> dict[str, object]:
        found: dict[str, object] = viewer.json("/api/runs/growing")["progress"]
        return found

    before = progress()
    assert before["rows"] == [{"name": "m", "of": 6, "asked": 2, "outcomes": {"answered": 2}}]
    grow(results / "growing", "c2", "ghost_probing")
    with (results / "growing" / "attempts.jsonl").open("a") as file:
        file.write('{"model": "m", "torn')
    after = progress()
    assert after["rows"] == [{"name": "m", "of": 6, "asked": 3, "outcomes": {"answered": 3}}]
    assert after["cost_usd"] == pytest.approx(0.75)
    assert [line["clip"] for line in after["newest"]] == ["c2", "c1", "c0"]  # type: ignore[attr-defined]
    index = viewer.json("/api/runs/growing/index")
    # Its task reads the answers when the run ends: till then they are answers, and of no grade.
    assert index["grades"] == ["------"]
    answered = index["outcomes_of"].index("answered")
    assert index["outcomes"] == [[answered] * 3 + [-1] * 3]


def test_a_clip_is_told_of_with_every_attempt(viewer: Viewer) -> None:
    found = viewer.json("/api/runs/first/clip?clip=c1")
    assert (found["clip"]["truth"], found["clip"]["truth_time_s"]) == ("ghost_probing", 2.0)
    assert [line["model"] for line in found["predictions"]] == ["m", "n", "always"]
    assert {line["outcome"] for line in found["attempts"]} == {"answered"}
    index = viewer.json("/api/runs/first/index")
    assert index["clips"] == [f"c{place}" for place in range(6)]
    assert dict(zip([m["name"] for m in index["models"]], index["grades"], strict=True))["m"] == "02021-"


def test_a_clips_window_is_the_one_that_scores_go_by(viewer: Viewer) -> None:
    def window(run: str, clip: str) -> Any:
        return viewer.json(f"/api/runs/{run}/clip?clip={clip}")["window"]

    assert window("warned", "dusk") == {"start_s": 1.5, "event_s": 3.0, "counts": True}
    assert window("warned", "night") == {"start_s": 2.5, "event_s": 4.0, "counts": True}
    assert window("warned", "day") is None
    assert window("first", "c1") is None


def test_text_that_acts_is_told_without_what_makes_it_act(viewer: Viewer) -> None:
    for path in ("/api/runs", "/api/runs/hostile", "/api/runs/hostile/index"):
        text = viewer.get(path).text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert viewer.get(path).headers["content-type"] == "application/json"


def media_of(kind: str, shared: Callable[[], Path]) -> tuple[str, str, str, Path | None]:
    """Dataset, clip, file and, where a user would have to name it, data root: a clip of ours, or a real one."""
    if kind == "ghost5":
        definition = registered_definition("ghost5")
        root = definition.place("root", definition.root or "", "")
        return "ghost5", "ghost5_02", str(find_media(root, ["ghost5_02"], layout="auto", fps=30)["ghost5_02"]), None
    clips = sorted((shared() / "dada2000" / "clips").glob("images_*.avi"), key=lambda path: path.stat().st_size)
    return "dada2000", clips[0].stem, str(clips[0]), clips[0].parent


@pytest.mark.parametrize("kind", ["ghost5", "real"])
def test_each_frame_that_is_served_is_the_decoders_of_that_number_bit_for_bit_before_jpeg(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    dataset, name, media, root = media_of(kind, lambda: Path(request.getfixturevalue("shared_data")))
    run_on_media(tmp_path / "r", dataset, name, media)
    with av.open(media) as container:  # by itself, and not by way of ours
        wanted = [jpeg(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    with serving(tmp_path, root) as viewer:
        where = f"/api/runs/r/frames?clip={name}"
        until(lambda: viewer.json(where)["done"], within_s=60)
        state = viewer.json(where)
        assert (state["error"], state["same"], state["count"]) == (None, True, len(wanted))
        served = [viewer.get(f"/api/runs/r/frames/{at}?clip={name}").content for at in range(len(wanted))]
    assert [at for at, (one, other) in enumerate(zip(served, wanted, strict=True)) if one != other] == []


def test_an_answer_of_a_repeat_that_was_not_asked_is_no_answer_to_the_next_clip(tmp_path: Path) -> None:
    folder = two_models(tmp_path / "r")
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    lines[0]["repeat"] = 1
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with serving(tmp_path) as viewer:
        answer = viewer.get("/api/runs/r/index")
    assert (answer.status_code, "a repeat that was not asked" in answer.text) == (404, True)


def test_a_run_that_is_scored_after_it_was_looked_at_shows_its_rates(tmp_path: Path) -> None:
    folder = two_models(tmp_path / "r")
    with serving(tmp_path) as viewer:
        assert viewer.json("/api/runs")["runs"][0]["rows"] == []
        score_run(folder)
        assert {row["name"] for row in viewer.json("/api/runs")["runs"][0]["rows"]} >= {"m", "n", "always"}


@pytest.mark.parametrize("odd", ["1" + "0" * 400, "NaN", "[]"])
def test_rates_that_are_no_numbers_hide_no_run(tmp_path: Path, odd: str) -> None:
    two_models(tmp_path / "sound")
    score_run(two_models(tmp_path / "odd"))
    path = tmp_path / "odd" / "metrics.json"
    stated = json.loads(path.read_text())
    stated["models"]["m"]["views"]["lenient"]["answered"]["f1"]["value"] = "HERE"
    path.write_text(json.dumps(stated).replace('"HERE"', odd))
    with serving(tmp_path) as viewer:
        assert {line["name"]: line.get("rows") for line in viewer.json("/api/runs")["runs"]} == {"sound": [], "odd": []}
