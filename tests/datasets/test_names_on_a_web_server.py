"""Clips on a web server whose names are no part of a URL as they are: the server's page lists them as links."""

from __future__ import annotations

import functools
import html
import http.server
import io
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.credentials import NO_CREDENTIALS
from ghostbench.datasets.layouts import find_media
from ghostbench.datasets.location import Location
from ghostbench.datasets.storage import Media, open_media

pytest.importorskip("aiohttp", reason="ghostbench[http] is not installed")

NAMES = [
    "plain_1",
    "夜 1",
    "café",
    "50%",
    "a+b",
    "x#kind=frames",
    "q?z",
    "a&b",
    "a;b",
    "it's",
    "g%20h",
    "[k]",
    "~l",
    "=",
]


class Listing(http.server.SimpleHTTPRequestHandler):
    """Links as Python's own server writes them."""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


class Apache(Listing):
    """Links as Apache and IIS write them: with what HTML has for &, from the server's root, among others."""

    def list_directory(self, path: object) -> io.BytesIO:
        names = sorted(entry.name for entry in Path(str(path)).iterdir())
        links = [html.escape(self.path + urllib.parse.quote(name, safe="&;=+'~")) for name in names]
        page = '<a href="?C=N;O=D">Name</a><a href="/">Parent</a>' + "".join(f'<a href="{x}">…</a>' for x in links)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page.encode())))
        self.end_headers()
        return io.BytesIO(page.encode())


@contextmanager
def serving(folder: Path, kind: type[Listing]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/my%20clips"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("kind", [Listing, Apache])
def test_every_clip_is_found_and_read_by_its_name(tmp_path: Path, kind: type[Listing]) -> None:
    (tmp_path / "my clips").mkdir()
    for name in NAMES:
        (tmp_path / "my clips" / f"{name}.avi").write_text(name, encoding="utf-8")
    with serving(tmp_path, kind) as url:
        found = find_media(Location(url), NAMES, layout="files", fps=30.0)
        assert list(found) == NAMES
        for name, media in found.items():
            again = Media.parse(str(media))
            assert again == media
            with open_media(again.opened_with(NO_CREDENTIALS)) as file:
                assert file.read().decode() == name


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1))
def test_what_is_joined_to_a_web_address_is_one_step_of_its_path(name: str) -> None:
    if name in {".", ".."}:
        return
    parts = urllib.parse.urlsplit(str(Location("https://host/clips").join(name)))
    assert (parts.netloc, parts.query, parts.fragment) == ("host", "", "")
    assert urllib.parse.unquote(parts.path) == f"/clips/{name}"
    assert str(Location("s3://bucket/clips").join(name)) == f"s3://bucket/clips/{name}"
