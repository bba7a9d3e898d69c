"""Clips stored as numbered images: folders, archives, and what is wrong with some of them."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from ghostbench.datasets.storage import Media
from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.media.decode import decode
from ghostbench.media.sampling import parse_sampling

TEN = parse_sampling("uniform:10")
MakeFrames = Callable[..., Path]


def folder_media(folder: Path | str, fps: float = 30.0) -> str:
    return str(Media(location=str(folder), kind="frames", fps=fps))


def test_the_frames_of_a_folder_are_taken_in_the_order_of_their_numbers(make_frames: MakeFrames) -> None:
    frames = decode(folder_media(make_frames(numbers=range(1, 41))), TEN)
    assert frames.indices == TEN.indices(40)
    assert frames.pixels.shape == (10, 24, 32, 3)
    assert [int(p[0, 0, 0]) for p in frames.pixels] == [3 * (i + 1) for i in frames.indices]
    assert frames.times_s == tuple(i / 30 for i in frames.indices)
    assert frames.duration_s == pytest.approx(40 / 30)
    assert frames.decoder.startswith("Pillow ")
    assert "png" in frames.decoder


def test_a_folder_s_rate_is_the_dataset_s(make_frames: MakeFrames) -> None:
    frames = decode(folder_media(make_frames(numbers=range(1, 41)), fps=10.0), parse_sampling("fps:1"))
    assert frames.duration_s == 4.0
    assert frames.times_s == (0.5, 1.5, 2.5, 3.5)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "JPG"])
def test_png_and_jpeg_frames_are_read(make_frames: MakeFrames, suffix: str) -> None:
    frames = decode(folder_media(make_frames(suffix=suffix)), TEN)
    assert len(frames) == 10


def test_frames_of_sixteen_bits_are_as_bright_as_those_of_eight(tmp_path: Path) -> None:
    """Cameras for the night and for warmth write grey so; cut off at 255 instead, all would be white."""
    ramp = np.tile(np.arange(256, dtype=np.uint16), (4, 1))
    for number, picture in enumerate((ramp << 8, (ramp << 8) + 255), start=1):
        Image.fromarray(picture).save(tmp_path / f"{number:04}.png")
    frames = decode(folder_media(tmp_path), TEN)
    assert frames.pixels.shape == (2, 4, 256, 3)
    assert (frames.pixels == ramp[None, :, :, None]).all()


def test_frames_numbered_from_0_or_named_before_the_number_are_read(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("L", (8, 6), number).save(tmp_path / f"7_frame_{number}.png")
    (tmp_path / "Thumbs.db").write_bytes(b"not a frame")
    frames = decode(folder_media(tmp_path), parse_sampling("uniform:12"))
    assert [int(p[0, 0, 0]) for p in frames.pixels] == list(range(12))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([1, 2, 4, 5], "frame 3 is missing"),
        ([2, 3, 4], "frame 1 is missing"),
        ([], "no PNG or JPEG files named by a number"),
    ],
)
def test_a_gap_in_the_numbers_is_a_failure_and_never_a_shorter_clip(
    make_frames: MakeFrames, numbers: list[int], message: str
) -> None:
    with pytest.raises(DecodeFailed, match=message):
        decode(folder_media(make_frames(numbers=numbers)), TEN)


def test_a_frame_in_two_formats_is_a_failure(make_frames: MakeFrames) -> None:
    folder = make_frames()
    Image.new("RGB", (32, 24)).save(folder / "0005.jpg")
    with pytest.raises(DecodeFailed, match="frame 5 is there twice"):
        decode(folder_media(folder), TEN)


def test_a_damaged_frame_is_named_with_the_decoder_s_words(make_frames: MakeFrames) -> None:
    folder = make_frames(numbers=range(1, 11))
    whole = (folder / "0004.png").read_bytes()
    (folder / "0004.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DecodeFailed, match="frame 3: "):
        decode(folder_media(folder), TEN)
    (folder / "0004.png").write_text("no image at all")
    with pytest.raises(DecodeFailed, match="frame 3: UnidentifiedImageError"):
        decode(folder_media(folder), TEN)


def test_frames_of_different_sizes_are_a_failure(make_frames: MakeFrames) -> None:
    folder = make_frames(numbers=range(1, 11))
    Image.new("RGB", (30, 24)).save(folder / "0007.png")
    with pytest.raises(DecodeFailed, match="another size"):
        decode(folder_media(folder), TEN)


def test_an_absurdly_large_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (8_500, 8_500)).save(tmp_path / "0001.png")
    with pytest.raises(DecodeFailed, match="8500x8500"):
        decode(folder_media(tmp_path), TEN)
    Image.new("1", (20_000, 20_000)).save(tmp_path / "0001.png")
    with pytest.raises(DecodeFailed, match="400000000 pixels"):
        decode(folder_media(tmp_path), TEN)


def test_a_folder_that_is_gone_is_missing_media(tmp_path: Path) -> None:
    with pytest.raises(MissingMedia):
        decode(folder_media(tmp_path / "gone"), TEN)


def zipped(folder: Path, target: Path, prefix: str = "") -> str:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
    return str(Media(location=str(target), kind="zip", fps=30.0))


@pytest.mark.parametrize("prefix", ["", "images/", "images\\", "DADA\\1\\001\\images\\"])
def test_an_archive_gives_the_same_frames_as_its_folder(make_frames: MakeFrames, tmp_path: Path, prefix: str) -> None:
    folder = make_frames()
    archived = decode(zipped(folder, tmp_path / "images.zip", prefix), TEN)
    plain = decode(folder_media(folder), TEN)
    assert archived.sha256 == plain.sha256
    assert archived.times_s == plain.times_s


def test_an_archive_that_holds_a_frame_twice_is_a_failure_also_under_one_path(tmp_path: Path) -> None:
    """As tools that add to an archive leave it; which of the two is meant, nobody knows."""
    for number in (1, 2):
        Image.new("L", (8, 6), number).save(tmp_path / f"{number}.png")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.write(tmp_path / "1.png", "0001.png")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.write(tmp_path / "2.png", "0001.png")
    media = str(Media(location=str(tmp_path / "images.zip"), kind="zip", fps=30.0))
    with pytest.raises(DecodeFailed, match=r"holds '0001\.png' twice"):
        decode(media, TEN)


def test_a_torn_archive_is_a_failure(make_frames: MakeFrames, tmp_path: Path) -> None:
    media = zipped(make_frames(), tmp_path / "images.zip")
    whole = (tmp_path / "images.zip").read_bytes()
    (tmp_path / "images.zip").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DecodeFailed, match="archive"):
        decode(media, TEN)


def test_a_remote_folder_gives_the_same_frames_as_the_local_one(make_frames: MakeFrames) -> None:
    folder = make_frames()
    remote = fsspec.filesystem("memory")
    for file in folder.iterdir():
        remote.pipe_file(f"/frames-of-a-clip/{file.name}", file.read_bytes())
    assert decode(folder_media("memory://frames-of-a-clip"), TEN).sha256 == decode(folder_media(folder), TEN).sha256
    with pytest.raises(MissingMedia):
        decode(folder_media("memory://no-such-folder"), TEN)


def test_what_macos_and_windows_put_beside_the_frames_is_no_frame(make_frames: MakeFrames, tmp_path: Path) -> None:
    expected = decode(folder_media(make_frames()), TEN)
    folder = make_frames("companions")
    for number in range(1, 31):
        (folder / f"._{number:04d}.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "desktop.ini").write_text("[ViewState]")
    assert decode(folder_media(folder), TEN).sha256 == expected.sha256
    with zipfile.ZipFile(tmp_path / "companions.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            if file.name.startswith("._"):
                archive.write(file, f"__MACOSX/images/{file.name}")
            else:
                archive.write(file, f"images/{file.name}")
        # A whole copy, as some tools put there.
        archive.write(folder / "0001.png", "__MACOSX/images/0001.png")
        archive.write(folder / "Thumbs.db", "Thumbs.db")
    media = str(Media(location=str(tmp_path / "companions.zip"), kind="zip", fps=30.0))
    assert decode(media, TEN).sha256 == expected.sha256


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_frames_may_be_named_in_either_form_of_unicode(tmp_path: Path, form: str) -> None:
    for number in range(3):
        name = unicodedata.normalize(form, f"vidéo_{number}.png")  # type: ignore[arg-type]
        Image.new("L", (8, 6), number).save(tmp_path / name)
    frames = decode(folder_media(tmp_path), parse_sampling("uniform:3"))
    assert [int(p[0, 0, 0]) for p in frames.pixels] == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"\0\5\x16\7", b"GIF89a"])
def test_a_frame_that_is_no_image_is_told_of_without_a_place_in_memory(make_frames: MakeFrames, content: bytes) -> None:
    folder = make_frames(numbers=range(1, 5))
    (folder / "0002.png").write_bytes(content)
    with pytest.raises(DecodeFailed, match="frame 1: ") as caught:
        decode(folder_media(folder), TEN)
    assert "0x" not in str(caught.value)
    assert "empty" in str(caught.value) or content


def test_a_photograph_is_shown_the_way_up_that_its_camera_noted(tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 24), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 16, 12))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    picture.save(tmp_path / "0001.jpg", exif=exif, quality=95)
    (shown,) = decode(folder_media(tmp_path), parse_sampling("uniform:1")).pixels
    assert shown.shape == (32, 24, 3)
    assert [int(shown[y, x, 0]) // 128 for y, x in ((4, 4), (4, 20), (28, 4), (28, 20))] == [0, 1, 0, 0]


def test_a_damaged_archive_never_gives_other_frames(make_frames: MakeFrames, tmp_path: Path) -> None:
    media = zipped(make_frames(), tmp_path / "images.zip")
    true = decode(media, TEN).sha256
    whole = (tmp_path / "images.zip").read_bytes()
    outcomes = set()
    end = whole.index(b"PK\x01\x02")  # the list of contents follows, which has no check sum of its own
    for at in range(0, end, end // 60):
        data = bytearray(whole)
        data[at] ^= 0xFF
        (tmp_path / "images.zip").write_bytes(data)
        try:
            outcomes.add(decode(media, TEN).sha256)
        except DecodeFailed:
            outcomes.add("failed")
    assert outcomes == {"failed", true}
