"""A clip's own media file, as it is sent to a model that sees the video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from ghostbench.datasets.storage import Media
from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.media import own_file
from ghostbench.media.own_file import has_video, read_video, video_sha256

MakeVideo = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("clip.avi", "mpeg4", "video/avi"),
        ("clip.mp4", "mpeg4", "video/mp4"),
        ("clip.mov", "mpeg4", "video/quicktime"),
        ("clip.3gp", "mpeg4", "video/3gpp"),
        ("clip.mkv", "mpeg4", "video/webm"),
        ("clip.mpg", "mpeg2video", "video/mpeg"),
        ("clip.flv", "flv", "video/x-flv"),
    ],
)
def test_the_file_is_read_whole_and_named_by_what_is_in_it(
    make_video: MakeVideo, tmp_path: Path, name: str, codec: str, kind: str
) -> None:
    made = make_video(name, codec=codec, frames=30)
    path = made.rename(tmp_path / "without-an-ending")
    video = read_video(str(path), "images_1_001")
    assert video.data == path.read_bytes()
    assert video.sha256 == video_sha256(str(path)) == hashlib.sha256(video.data).hexdigest()
    assert video.mime_type == kind
    assert video.duration_s == pytest.approx(1.0, abs=0.1)
    assert "without-an-ending" not in repr(video)


def test_a_file_that_names_its_clip_is_not_handed_on(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", title="DADA, Images_1_001", frames=5)
    with pytest.raises(DecodeFailed, match="the file's own tags name the clip"):
        read_video(str(path), "images_1_001")
    assert read_video(str(path), "images_1_002").mime_type == "video/mp4"


@pytest.mark.parametrize(
    ("clip", "title", "names"),
    [
        ("images_1_001", "Images 1/001.avi", True),
        ("images_1_001", "images1_001", True),
        ("nexar-00822", "from NEXAR 00822", True),
        ("00822", "nexar00822.mp4", True),
        ("positive/00822", "positive_00822", True),
        ("images_1_001", "images_1_0011", False),
        ("images_1_001", "images 1001", False),
        ("00822", "1008220", False),
        ("video", "handled by VideoHandler", False),
        ("0000", "00000000", False),
    ],
)
def test_a_clip_is_named_however_it_is_written_and_by_no_piece_of_a_longer_word(
    make_video: MakeVideo, clip: str, title: str, names: bool
) -> None:
    path = make_video("a.mp4", title=title, frames=2)
    if names:
        with pytest.raises(DecodeFailed, match="the file's own tags name the clip"):
            read_video(str(path), clip)
    else:
        assert read_video(str(path), clip).mime_type == "video/mp4"


def test_the_date_and_the_form_of_a_file_name_no_clip_and_its_chapters_may(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["creation_time"] = "2024-01-02T03:04:05.000000Z"
        chapter = {"id": 1, "start": 0, "end": 1000, "time_base": Fraction(1, 1000)}
        container.set_chapters([{**chapter, "metadata": {"title": "images_1_001"}}])  # type: ignore[typeddict-item]
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode())
    for clip in ("2024", "000000", "isom"):
        assert read_video(str(path), clip).mime_type == "video/mp4"
    with pytest.raises(DecodeFailed, match="the file's own tags name the clip"):
        read_video(str(path), "images_1_001")


def test_what_cannot_be_sent_is_the_medias_failure(
    make_video: MakeVideo, make_frames: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("a.avi", frames=5)
    folder = str(Media(location=str(make_frames()), kind="frames", fps=30.0))
    assert has_video(str(path))
    assert not has_video(folder)
    with pytest.raises(MissingMedia, match="there is no video of it: its media is frames"):
        read_video(folder, "a")
    with pytest.raises(MissingMedia):
        read_video(str(tmp_path / "gone.avi"), "a")
    with pytest.raises(DecodeFailed, match="not the file that the split names"):
        read_video(str(Media(location=str(path), sha256="0" * 64)), "a")
    (tmp_path / "torn.avi").write_bytes(b"RIFF and no more")
    with pytest.raises(DecodeFailed):
        read_video(str(tmp_path / "torn.avi"), "a")
    monkeypatch.setattr(own_file, "MOST_BYTES", 100)
    with pytest.raises(DecodeFailed, match="more than the 100 bytes"):
        read_video(str(path), "a")
