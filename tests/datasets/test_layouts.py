"""Where the media of a clip is found, in every layout that DADA-2000 is passed on in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fsspec
import pytest

from ghostbench.datasets.layouts import BASES, find_media
from ghostbench.datasets.location import Location
from ghostbench.errors import BadInput

CLIPS = ["images_1_001", "images_1_002", "images_12_034"]


def lay_out(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def found(root: Path, layout: str = "auto", clips: Sequence[str] = CLIPS) -> dict[str, tuple[str, str]]:
    media = find_media(Location(str(root)), clips, layout=layout, fps=30.0)  # type: ignore[arg-type]
    return {clip: (m.kind, m.location.removeprefix(str(root) + "/")) for clip, m in media.items()}


@pytest.mark.parametrize("base", ["/".join(base) for base in BASES])
@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("file", "images_1_001.avi", "images_12_034.avi"),
        ("frames", "1/001/images/0001.png", "12/034/images/0001.jpg"),
        ("zip", "1/001/images.zip", "12/034/images.zip"),
        ("frames", "1/001/0001.png", "12/034/0001.jpg"),
        ("frames", "1/000001/images/000001.jpg", "12/000034/images/000001.jpg"),
    ],
    ids=["files", "frame folders", "simple-tad", "bare frames", "six digits"],
)
def test_every_layout_is_found_in_every_published_place(
    tmp_path: Path, base: str, kind: str, first: str, second: str
) -> None:
    lay_out(tmp_path / base, [first, second, "1/002/labels/0001.txt", "readme.txt"])
    media = found(tmp_path)
    assert list(media) == ["images_1_001", "images_12_034"]
    assert {k for k, _ in media.values()} == {kind}
    for clip, name in (("images_1_001", first), ("images_12_034", second)):
        expected = name if kind != "frames" else name.rpartition("/")[0]
        assert media[clip][1] == (f"{base}/{expected}" if base else expected)


def test_a_folder_without_any_of_the_clips_gives_none(tmp_path: Path) -> None:
    lay_out(tmp_path, ["images_9_999.avi", "1/007/images/0001.png", "notes/images_1_001.avi"])
    assert found(tmp_path) == {}


def test_suffixes_count_in_any_case_and_other_files_do_not(tmp_path: Path) -> None:
    lay_out(tmp_path, ["images_1_001.AVI", "images_1_002.txt", "images_12_034.mp4", "images_1_002"])
    assert found(tmp_path) == {
        "images_1_001": ("file", "images_1_001.AVI"),
        "images_12_034": ("file", "images_12_034.mp4"),
    }


def test_a_forced_layout_leaves_the_other_alone(tmp_path: Path) -> None:
    lay_out(tmp_path, ["images_1_001.avi", "1/002/images/0001.png"])
    assert list(found(tmp_path)) == ["images_1_001"]
    assert list(found(tmp_path, "files")) == ["images_1_001"]
    assert list(found(tmp_path, "frames")) == ["images_1_002"]


@pytest.mark.parametrize(
    "names",
    [
        ["images_1_001.avi", "images_1_001.mp4"],
        ["1/1/images/0001.png", "1/01/images/0001.png"],
        ["1/001/images/0001.png", "01/002/images/0001.png"],
    ],
)
def test_media_that_is_there_twice_is_bad_input(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(BadInput, match="remove one of them"):
        found(lay_out(tmp_path, names))


@pytest.mark.parametrize("root", ["nowhere", "a file"])
def test_a_root_that_is_no_folder_is_bad_input(tmp_path: Path, root: str) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(BadInput, match="no such folder"):
        found(tmp_path / root)


def test_a_root_without_the_right_to_list_it_is_bad_input(tmp_path: Path) -> None:
    import os

    if os.geteuid() == 0:
        pytest.skip("the superuser may list everything")
    tmp_path.chmod(0)
    try:
        with pytest.raises(BadInput, match="ermission"):
            found(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_link_out_of_the_root_is_the_user_s_own_choice(tmp_path: Path) -> None:
    elsewhere = lay_out(tmp_path / "elsewhere", ["clip.avi"])
    root = tmp_path / "root"
    root.mkdir()
    (root / "images_1_001.avi").symlink_to(elsewhere / "clip.avi")
    assert found(root) == {"images_1_001": ("file", "images_1_001.avi")}


def test_a_broken_link_is_missing_media_when_it_is_read(tmp_path: Path) -> None:
    from ghostbench.errors import MissingMedia
    from ghostbench.media.decode import decode
    from ghostbench.media.sampling import parse_sampling

    (tmp_path / "images_1_001.avi").symlink_to(tmp_path / "nothing")
    media = find_media(Location(str(tmp_path)), CLIPS, layout="auto", fps=30.0)
    for one in media.values():
        with pytest.raises(MissingMedia):
            decode(str(one), parse_sampling("uniform:2"))


@pytest.mark.parametrize(
    "names",
    [
        ["images_1_001.avi"],
        ["clips/images_1_001.avi"],
        ["frames/1/001/images.zip"],
        ["DADA-DATA/1/001/images/0001.png"],
    ],
)
def test_remote_roots_are_listed_as_local_ones(names: list[str]) -> None:
    remote = fsspec.filesystem("memory")
    remote.store.clear()
    remote.pseudo_dirs[:] = [""]
    for name in names:
        remote.pipe_file(f"/dada/{name}", b"x")
    media = find_media(Location("memory://dada"), CLIPS, layout="auto", fps=30.0)
    expected = names[0] if not names[0].endswith(".png") else names[0].rpartition("/")[0]
    assert {c: m.location for c, m in media.items()} == {"images_1_001": f"memory://dada/{expected}"}
    with pytest.raises(BadInput, match="no such folder"):
        find_media(Location("memory://nothing-here"), CLIPS, layout="auto", fps=30.0)


def test_a_long_listing_tells_how_far_it_has_come_and_keeps_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ghostbench.datasets import listing

    monkeypatch.setattr(listing, "_TELL_EVERY_S", 0.0)
    names = [f"1/{number:03d}/images/0001.png" for number in range(1, 31)]
    lay_out(tmp_path, names)
    told: list[tuple[int, int]] = []
    clips = [f"images_1_{number:03d}" for number in range(30, 0, -1)]
    media = find_media(
        Location(str(tmp_path)), clips, layout="auto", fps=30.0, told=lambda done, of: told.append((done, of))
    )
    assert list(media) == clips
    assert told == [(done, 30) for done in range(1, 31)]
