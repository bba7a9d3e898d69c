"""Locations: what may be held and shown of them, and what a media string says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from drawn_data import moving_square, write_video
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.datasets import schemes, storage
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.datasets.storage import Location, Media
from ghostbench.errors import BadInput, DecodeFailed, MediaUnreachable, MissingMedia

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1)


@pytest.fixture(autouse=True)
def stores(monkeypatch: pytest.MonkeyPatch, guarded: Any) -> None:
    """The storages of these tests are opened, too."""
    monkeypatch.setitem(schemes.STORES, "counting", schemes.Store(None))


@given(names, st.sampled_from(["file", "frames", "zip"]), st.none() | st.floats(0.1, 1000), st.booleans())
def test_a_media_string_says_what_was_written_into_it(name: str, kind: Any, fps: float | None, digest: bool) -> None:
    media = Media(location=f"/data/{name}", kind=kind, fps=fps, sha256="ab" * 32 if digest else None)
    if str(media) == media.location and Path(media.location).is_dir():
        return
    assert Media.parse(str(media)) == media


def test_a_plain_path_is_a_video_file_and_a_plain_folder_holds_frames(tmp_path: Path) -> None:
    assert Media.parse("/data/clip.avi") == Media(location="/data/clip.avi")
    assert Media.parse(str(tmp_path)).kind == "frames"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:secret@bucket/clips", "s3://bucket/clips"),
        ("https://anna:pa55@host:8080/a?sig=x%2By&se=2030", "https://host:8080/a"),
        ("az://container/clips", "az://container/clips"),
        ("/data/anna@home/what?.avi", "/data/anna@home/what?.avi"),
        ("GET https://u:p@h/a?t=1 failed, see https://h/b?t=2", "GET https://h/a failed, see https://h/b"),
        ("https://anna:p@ss@host/a", "https://host/a"),
        ("abfs://clips@dada.dfs.core.windows.net/v?sig=x", "abfs://clips@dada.dfs.core.windows.net/v"),
        ("abfss://anna:pa55@dada.dfs.core.windows.net/v", "abfss://dada.dfs.core.windows.net/v"),
    ],
)
def test_credentials_are_not_shown(text: str, shown: str) -> None:
    assert storage.without_credentials(text) == shown


def test_credentials_are_used_without_being_held_or_shown() -> None:
    fsspec.filesystem("guarded", login="anna:pa55word").pipe_file("/box/clips/a.avi", b"content")
    root = storage.accept("guarded://anna:pa55word@box/clips", "--data-root")
    assert str(root) == "guarded://box/clips"
    assert "pa55word" not in repr(root)
    assert storage.list_folder(root) == {"a.avi": "file"}
    with storage.open_media(root.join("a.avi")) as file:
        assert file.read() == b"content"


def test_a_split_of_a_guarded_root_holds_no_credentials() -> None:
    guarded = fsspec.filesystem("guarded", login="anna:pa55word")
    guarded.pipe_file("/vault/labels.csv", b"video_id,ground_truth_label\nimages_1_001,none\n")
    guarded.pipe_file("/vault/clips/images_1_001.avi", b"content")
    split = select(SplitQuery(dataset="dada2000", data_root="guarded://anna:pa55word@vault"))
    assert split.data_root == "guarded://vault"
    assert split.clips[0].media == "guarded://vault/clips/images_1_001.avi"
    assert "pa55word" not in repr(split)
    with storage.open_media(Media.parse(split.clips[0].media).opened_with(split.credentials)) as file:
        assert file.read() == b"content"


def test_a_refused_fetch_is_a_failure_in_the_storage_s_words_without_secrets() -> None:
    fsspec.filesystem("guarded", login="anna:pa55word").pipe_file("/safe/clips/a.avi", b"content")
    root = storage.accept("guarded://eve:gu3ss@safe/clips", "--data-root")
    with (
        pytest.raises(MediaUnreachable, match=r"PermissionError: .*refused") as caught,
        storage.open_media(root.join("a.avi")),
    ):
        pass
    for secret in ("eve", "gu3ss", "s3cr3t"):
        assert secret not in str(caught.value)
    with pytest.raises(BadInput) as bad:
        storage.read_whole(root.join("a.avi"), "label file")
    assert "gu3ss" not in str(bad.value)


def test_a_local_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(storage.accept("clips", "--data-root")) == str(tmp_path / "clips")
    assert str(storage.accept(f"file://{tmp_path}/clips/", "--data-root")) == str(tmp_path / "clips")


@pytest.mark.parametrize("location", ["nosuchprotocol://box/clips", "", "  ", "a\0b", "a\nb", "\x1b[31m", "a\u2028b"])
def test_a_location_that_cannot_be_is_bad_input(location: str) -> None:
    with pytest.raises(BadInput, match="--data-root") as caught:
        storage.accept(location, "--data-root")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("s3", "s3fs", "s3"), ("az", "adlfs", "azure"), ("https", "aiohttp", "http")]
)
def test_a_storage_whose_package_is_absent_is_bad_input_that_says_what_to_install(
    scheme: str, module: str, extra: str
) -> None:
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from ghostbench.datasets import storage\n"
        "from ghostbench.errors import BadInput\n"
        f"try: storage.accept('{scheme}://box/a', '--data-root')\n"
        "except BadInput as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"pip install 'ghostbench[{extra}]'" in done.stdout


def test_no_name_leads_out_of_a_folder() -> None:
    for name in ("..", ".", "", "a/b", "/etc", "a\0"):
        with pytest.raises(ValueError, match="plain name"):
            Location("/data").join(name)
    assert str(Location("/").join("a")) == "/a"


def test_a_remote_file_that_is_gone_is_missing_media() -> None:
    with pytest.raises(MissingMedia), storage.open_media(Location("memory://gone/a.avi")):
        pass


def test_a_remote_file_too_large_to_hold_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe_file("/large/a.avi", b"x" * 1000)
    monkeypatch.setattr(storage, "MAX_FETCH_BYTES", 999)
    with pytest.raises(DecodeFailed, match="1000 bytes"), storage.open_media(Location("memory://large/a.avi")):
        pass


def test_a_clip_is_fetched_once(tmp_path: Path) -> None:
    """One open of the remote file, whatever the decoder then does with it."""
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    path = tmp_path / "clip.mkv"
    write_video(path, moving_square(30, frames=40), fps=30)
    opened: list[str] = []

    class Counting(MemoryFileSystem):  # type: ignore[misc]
        protocol = "counting"
        store: ClassVar[dict[str, Any]] = {}

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.removeprefix("counting://").strip("/")

        def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
            if mode == "rb":
                opened.append(path)
            return super()._open(path, mode, **options)

    fsspec.register_implementation("counting", Counting, clobber=True)
    fsspec.filesystem("counting").pipe_file("/box/clip.mkv", path.read_bytes())
    decode("counting://box/clip.mkv", parse_sampling("fps:3"))
    assert len(opened) == 1
