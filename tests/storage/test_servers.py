"""Stores as they are: what each kind of failure is for a clip, on S3, Azure and HTTP servers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ghostbench.datasets import storage
from ghostbench.datasets.layouts import find_media
from ghostbench.datasets.location import Location
from ghostbench.errors import BadInput, DecodeFailed, MediaUnreachable, MissingMedia

AT_ONCE_S = 10.0
"""No storage package may wait and ask again by itself: with its pauses, a failed reading took half a minute."""


def read(location: str | Location) -> bytes:
    with storage.open_media(Location(location) if isinstance(location, str) else location) as file:
        return file.read()


def xml(status: str, code: str, more: str = "") -> bytes:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code} it is</Message></Error>'
    return f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{more}\r\n\r\n{body}".replace(
        "\r\n\r\n\r\n", "\r\n\r\n"
    ).encode()


def test_a_clip_is_read_whole_and_found(store: Any) -> None:
    root = storage.accept(store.root, "--data-root")
    assert find_media(root, ["images_1_001", "images_1_002"], layout="auto", fps=30.0).keys() == {"images_1_001"}
    assert read(root.join("clips", "images_1_001.avi")) == store.clip


def test_what_is_not_there_is_missing_on_every_store(store: Any) -> None:
    with pytest.raises(MissingMedia):
        read(f"{store.root}/clips/images_1_002.avi")
    assert storage.list_folder(Location(f"{store.root}/nowhere")) in ({}, None)
    with pytest.raises(MissingMedia):
        read(f"{store.root.replace('dada', 'elsewhere')}/nowhere/images_1_001.avi")


FAULTS = {
    "refused": "refuse",
    "reset": "reset",
    "cut": "cut",
    "500": xml("500 Internal Server Error", "InternalError"),
    "502 of a proxy": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>bad gateway</html>",
    "503": xml("503 Service Unavailable", "ServerBusy", "x-ms-error-code: ServerBusy\r\n"),
    "503 slow down": xml("503 Slow Down", "SlowDown"),
    "429": xml("429 Too Many Requests", "TooManyRequests"),
    "401": xml("401 Unauthorized", "Unauthorized"),
    "403": xml("403 Forbidden", "AuthenticationFailed", "x-ms-error-code: AuthenticationFailed\r\n"),
    "token expired": xml("400 Bad Request", "ExpiredToken"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_that_may_pass_is_media_unreachable_at_once_and_the_next_reading_goes_well(
    store: Any, fault: str
) -> None:
    url = f"{store.root}/clips/images_1_001.avi"
    started = time.monotonic()
    with store.proxy.broken(FAULTS[fault]), pytest.raises(MediaUnreachable) as caught:
        read(url)
    assert time.monotonic() - started < AT_ONCE_S
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 700
    assert "testing-secret" not in message
    if fault[:3].isdigit():
        assert fault[:3] in message or "SlowDown" in message
    assert read(url) == store.clip


@pytest.mark.parametrize("fault", ["refused", "500", "503", "403"])
def test_a_listing_that_fails_is_no_empty_folder(store: Any, fault: str) -> None:
    with store.proxy.broken(FAULTS[fault]), pytest.raises(BadInput, match="data root") as caught:
        find_media(Location(store.root), ["images_1_001"], layout="auto", fps=30.0)
    assert "no such folder" not in str(caught.value)


def test_the_pause_that_a_server_asks_for_is_handed_on(store: Any) -> None:
    answer = xml("503 Service Unavailable", "ServerBusy", "Retry-After: 7\r\n")
    with store.proxy.broken(answer), pytest.raises(MediaUnreachable) as caught:
        read(f"{store.root}/clips/images_1_001.avi")
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize("store", ["s3", "http"], indirect=True)
def test_a_server_that_says_nothing_is_away(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghostbench.datasets import schemes

    monkeypatch.setattr(schemes, "SILENCE_S", 1)
    monkeypatch.setattr(store.proxy, "delay_s", 4.0)
    started = time.monotonic()
    with pytest.raises(MediaUnreachable):
        read(f"{store.root}/clips/images_1_001.avi")
    assert time.monotonic() - started < AT_ONCE_S


def test_content_that_is_no_video_is_decode_failed(store: Any) -> None:
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    with pytest.raises(DecodeFailed):
        decode(f"{store.root}/clips/images_1_001.avi", parse_sampling("uniform:2"))


def test_a_password_in_a_url_is_used_and_not_shown(http_store: Any) -> None:
    http_store.put("locked/images_1_001.avi", http_store.clip)
    with pytest.raises(MediaUnreachable, match="401"):
        read(f"{http_store.root}/locked/images_1_001.avi")
    root = storage.accept(f"{http_store.root}/locked".replace("//", "//anna:pa55word@"), "--data-root")
    assert "pa55word" not in str(root)
    assert read(root.join("images_1_001.avi")) == http_store.clip


def frames(store: Any, clips: int) -> None:
    import io

    from PIL import Image

    for number in range(1, 13):
        file = io.BytesIO()
        Image.new("RGB", (32, 16), (20 * number, 40, 90)).save(file, "PNG")
        store.put(f"frames/1/001/images/{number:04d}.png", file.getvalue())
    for clip in range(2, clips + 1):
        store.put(f"frames/1/{clip:03d}/images/0001.png", b"x")


def test_frame_folders_are_listed_and_fetched_together_and_only_those_asked_for(
    store: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostbench.datasets.query import SplitQuery
    from ghostbench.datasets.select import select
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    frames(store, clips=24)
    rows = "".join(f"images_1_{clip:03d},none\n" for clip in range(1, 25))
    (tmp_path / "labels.csv").write_text("video_id,ground_truth_label\n" + rows)
    query = {"dataset": "dada2000", "data_root": f"{store.root}/frames", "labels": str(tmp_path / "labels.csv")}

    select(SplitQuery(**query), media=False)
    assert len(store.proxy.requests) <= 2, "the root itself, to say if it is not there"
    store.proxy.count_anew()
    few = select(SplitQuery(**query, limit=2))
    assert all(clip.media is not None for clip in few.clips)
    for_two = len(store.proxy.requests)
    store.proxy.count_anew()
    monkeypatch.setattr(store.proxy, "delay_s", 0.1)
    every = select(SplitQuery(**query, only_available=True, limit=2))
    assert every.filters == ("only-available: 24 of 24", "limit=2")
    assert len(store.proxy.requests) - for_two >= 22
    assert store.proxy.most_at_once >= 4
    store.proxy.count_anew()
    assert few.clips[0].media is not None
    found = decode(few.clips[0].media, parse_sampling("uniform:10"))
    assert found.pixels[:, 0, 0, 0].tolist() == [20 * (index + 1) for index in found.indices]
    assert 4 <= store.proxy.most_at_once <= 8
