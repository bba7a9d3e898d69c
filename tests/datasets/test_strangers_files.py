"""Others' files are data: nothing that a dataset file or a run folder names is opened or connected to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from warm_process import run_bench

from ghostbench.cli.main import bench
from ghostbench.datasets import storage
from ghostbench.datasets.inside import named_inside
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.schemes import STORES
from ghostbench.datasets.select import select
from ghostbench.errors import BadInput, MissingMedia

CHAIN = 'reference://::data:,{"version":1,"templates":{"u":"{{cycler.__init__.__globals__.os.system(\'id\')}}"}}'


@pytest.mark.parametrize(
    "location",
    [
        CHAIN,
        "reference://labels.json",
        "simplecache::s3://box/clips",
        "filecache::http://host/clips",
        "zip://clips.zip::memory://box",
        "zip://clips.zip",
        "tar://a::file:///tmp/a.tar",
        "memory://box::data:,x",
        "http://host/a::file:///etc/passwd",
        "file:///etc::data:,x",
        "dir::memory://box",
        "git://repo",
        "github://org:repo@main/x",
        "ftp://host/clips",
        "sftp://host/clips",
        "smb://host/share",
        "hdfs://host/x",
        "webhdfs://host/x",
        "jupyter://host/x",
        "generic://x",
        "libarchive://x",
        "blockcache::memory://x",
        "dask://x",
        "data://x",
        "REFERENCE://x",
        "S3::reference://x",
    ],
)
@pytest.mark.parametrize("option", ["data_root", "labels", "clips"])
def test_only_stores_that_hold_media_are_opened_and_never_a_chain(location: str, option: str) -> None:
    given = {"dataset": "dada2000", option: f"@{location}" if option == "clips" else location}
    if option == "clips":
        given["labels"] = "labels.csv"
    with pytest.raises(BadInput) as caught:
        select(SplitQuery(**given))  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    if option != "clips":
        assert "not opened" in str(caught.value) or "no storage that is opened" in str(caught.value)


@given(st.sampled_from([*STORES, "file", "reference"]), st.text(max_size=20), st.text(max_size=20))
def test_no_text_with_two_colons_is_taken_for_a_url(scheme: str, before: str, after: str) -> None:
    with pytest.raises(BadInput):
        storage.accept(f"{scheme}://{before}::{after}", "--data-root")


def test_an_address_of_ipv6_is_no_chain() -> None:
    pytest.importorskip("aiohttp")
    assert str(storage.accept("http://[::1]:8000/clips", "--data-root")) == "http://[::1]:8000/clips"


def outside(kind: str, tmp_path: Path, listener: Any, canary: Path) -> str:
    """A name that leads out of tmp_path/theirs in one way."""
    theirs = tmp_path / "theirs"
    if kind == "link":
        (theirs / "inner").symlink_to(canary)
        return "inner"
    if kind == "link to a folder":
        (theirs / "inner").symlink_to(canary.parent)
        return "inner/labels.csv"
    if kind == "pipe":
        os.mkfifo(theirs / "inner")
        return "inner"
    return {
        "url": f"{listener.url}/labels.csv",
        "chain": CHAIN,
        "file url": f"file://{canary}",
        "absolute": str(canary),
        "dots": "../private/labels.csv",
        "deep dots": "a/b/../../../private/labels.csv",
        "home": "~/labels.csv",
        "home of another": "~root/labels.csv",
        "unc": "\\\\127.0.0.1\\share\\labels.csv",
        "unc with slashes": "//127.0.0.1/share/labels.csv",
        "drive": "C:labels.csv",
        "device": "/dev/zero",
    }[kind]


KINDS = [
    "url", "chain", "file url", "absolute", "dots", "deep dots", "home", "home of another", "unc", "unc with slashes",
    "drive", "device", "link", "link to a folder", "pipe",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["root", "labels", "splits.some"])
def test_a_dataset_file_leads_nowhere_outside_its_folder(
    tmp_path: Path, key: str, kind: str, listener: Any, canary: Path, opened: set[str]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "ids.txt").write_text("a\n")
    (theirs / "good.csv").write_text("video_id,ground_truth_label\na,none\n")
    named = {"root": ".", "labels": "good.csv", "some": "ids.txt"}
    named[key.removeprefix("splits.")] = outside(kind, tmp_path, listener, canary)
    text = {"name": "theirs", "root": named["root"], "labels": named["labels"], "splits": {"some": named["some"]}}
    (theirs / "dataset.yaml").write_text(json.dumps(text))
    opened.clear()
    with pytest.raises(BadInput) as caught:
        select(SplitQuery(dataset=str(theirs / "dataset.yaml"), split="some"))
    message = str(caught.value)
    assert f"dataset.yaml: {key}: " in message
    assert {"root": "--data-root", "labels": "--labels", "splits.some": "--clips @FILE"}[key] in message
    assert message.isprintable()
    assert listener.connections == 0
    assert not [path for path in opened if path.startswith(str(canary.parent)) or path == "/dev/zero"]


def test_what_the_user_names_need_not_lie_beside_the_dataset_file(tmp_path: Path, canary: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "sub").mkdir(parents=True)
    (tmp_path / "private" / "a.mp4").write_bytes(b"x")
    (theirs / "dataset.yaml").write_text("name: theirs\nroot: /nowhere\nlabels: ../private/labels.csv\n")
    query = SplitQuery(dataset=str(theirs / "dataset.yaml"), data_root=str(tmp_path / "private"))
    assert select(query).clips[0].media == str(tmp_path / "private" / "a.mp4")
    (theirs / "dataset.yaml").write_text("name: theirs\nroot: sub/..\nlabels: sub/../good.csv\n")
    (theirs / "good.csv").write_text("video_id,ground_truth_label\na,none\n")
    assert select(SplitQuery(dataset=str(theirs / "dataset.yaml"))).data_root == str(theirs)


@pytest.mark.parametrize("place", ["a.mp4", "1/001/images", "1/001/images.zip", "1/001/images/0001.png", "1"])
def test_a_link_among_a_stranger_s_media_is_not_followed_out_of_the_folder(tmp_path: Path, place: str) -> None:
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    theirs, private = tmp_path / "theirs", tmp_path / "private"
    (theirs / place).parent.mkdir(parents=True)
    (private / "001" / "images").mkdir(parents=True)
    (private / "0001.png").write_bytes(b"of the user's")
    (private / "001" / "images" / "0001.png").write_bytes(b"of the user's")
    target = private if place in {"1", "1/001/images"} else private / "0001.png"
    (theirs / place).symlink_to(target)
    name = "a" if place == "a.mp4" else "images_1_001"
    (theirs / "labels.csv").write_text(f"video_id,ground_truth_label\n{name},none\n")
    (theirs / "dataset.yaml").write_text("name: theirs\nroot: .\nlabels: labels.csv\n")
    query = SplitQuery(dataset=str(theirs / "dataset.yaml"))
    try:
        media = select(query).clips[0].media
    except BadInput as error:
        assert "leads out of" in str(error) and "--data-root" in str(error)  # noqa: PT017, PT018 - either way is right
    else:
        if media is not None:
            with pytest.raises(MissingMedia, match="leads out of"):
                decode(media, parse_sampling("uniform:2"))
    by_the_user = SplitQuery(dataset=str(theirs / "dataset.yaml"), data_root=str(theirs))
    assert select(by_the_user).clips[0].media is not None


@pytest.mark.parametrize("names", [["loop.mp4"], ["1"], ["1/001"], ["1/001/images"], ["labels.tsv"], ["clips"]])
def test_a_loop_of_links_is_no_media_and_no_end_of_the_run(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / name)
    rows = "a,none\nloop,none\nimages_1_001,none\n"
    (tmp_path / "labels.csv").write_text(f"video_id,ground_truth_label\n{rows}")
    split = select(SplitQuery(dataset="dada2000", data_root=str(tmp_path)))
    assert [clip.media is not None for clip in split.clips] == [True, False, False]


@given(st.text(max_size=40))
def test_a_path_from_a_file_is_inside_or_nothing(text: str) -> None:
    path = named_inside(text, "/nonexistent/theirs", [])
    assert path is None or path == "/nonexistent/theirs" or path.startswith("/nonexistent/theirs/")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the embedded clips, of models that need no frames."""
    out = tmp_path_factory.mktemp("runs")
    words = ["run", "--models", "always,never", "--out", str(out), "--run-id", "r", "--quiet"]
    assert run_bench(words, cwd=out, env=os.environ).returncode == 0
    return out / "r"


@pytest.mark.parametrize("kind", ["url", "chain", "file url", "absolute", "unc with slashes", "device"])
@pytest.mark.parametrize("key", ["data_root", "labels", "name"])
@pytest.mark.parametrize("command", ["verify", "report"])
def test_nothing_that_a_run_folder_names_is_opened(
    tmp_path: Path, finished: Path, command: str, key: str, kind: str, listener: Any, canary: Path, opened: set[str]
) -> None:
    from ghostbench.folder.seal import write_sealed

    (tmp_path / "theirs").mkdir()
    folder = tmp_path / "theirs" / "run"
    shutil.copytree(finished, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("seal", None)
    manifest["dataset"] |= {"name": "theirs", key: outside(kind, tmp_path, listener, canary)}
    (folder / "clips.jsonl").write_text(
        (folder / "clips.jsonl").read_text().replace('"frames_sha256":null', f'"frames_sha256":"{"a" * 64}"')
    )
    write_sealed(folder / "manifest.json", manifest)
    opened.clear()
    options = ["--embed-frames"] if command == "report" else []
    done = CliRunner().invoke(bench, [command, str(folder), *options], standalone_mode=False)
    if command == "report":
        assert isinstance(done.exception, BadInput)
        assert "--data-root" in str(done.exception)
    else:
        assert done.exception is None, done.exception
        assert "--labels" in done.output
    assert listener.connections == 0
    assert not [path for path in opened if path.startswith(str(canary.parent)) or path == "/dev/zero"]
