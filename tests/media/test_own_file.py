"""A clip's own media file, as it is sent to a model that sees the video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

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
