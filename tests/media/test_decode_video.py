"""Video files: the right frames at the right times, the same whatever the threads, and no torn file unnoticed."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import fsspec
import numpy as np
import psutil
import pytest

from ghostbench.datasets.storage import Media
from ghostbench.errors import DecodeFailed, MissingMedia
from ghostbench.media import limits
from ghostbench.media.decode import decode
from ghostbench.media.groups import decode_groups
from ghostbench.media.sampling import parse_sampling
from ghostbench.media.video import decode_video

TEN = parse_sampling("uniform:10")
MakeVideo = Callable[..., Path]
ShownNumbers = Callable[[np.ndarray], list[int]]

VARIANTS = {
    "MPEG-4 in AVI": ("clip.avi", {}),
    "MPEG-4 with B-frames in AVI": ("clip.avi", {"options": {"bf": "2"}}),
    "MPEG-4 with B-frames in MP4": ("clip.mp4", {"options": {"bf": "2"}}),
    "MPEG-4 in Matroska, which declares no count": ("clip.mkv", {}),
    "H.264 with B-frames in MP4": ("clip.mp4", {"codec": "libx264", "options": {"bf": "3", "qp": "1"}}),
    "H.264 in Matroska": ("clip.mkv", {"codec": "libx264", "options": {"qp": "1"}}),
    "H.264 in MPEG-TS, which begins late": ("clip.ts", {"codec": "libx264", "options": {"qp": "1"}}),
    "motion JPEG": ("clip.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    "FFV1 grey": ("clip.mkv", {"codec": "ffv1", "pix_fmt": "gray"}),
    "FFV1 10 bit": ("clip.mkv", {"codec": "ffv1", "pix_fmt": "yuv420p10le"}),
    "odd sizes": ("clip.avi", {"width": 67, "height": 45}),
    "one frame": ("clip.avi", {"frames": 1}),
    "seven frames": ("clip.avi", {"frames": 7}),
    "25 frames per second": ("clip.avi", {"fps": 25}),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("sampling", ["uniform:10", "uniform:1", "fps:5"])
def test_every_sampled_frame_is_the_one_that_its_index_says(
    make_video: MakeVideo, shown_numbers: ShownNumbers, variant: str, sampling: str
) -> None:
    name, recipe = VARIANTS[variant]
    path = make_video(name, **recipe)
    count, fps = recipe.get("frames", 60), recipe.get("fps", 30)
    frames = decode(str(path), parse_sampling(sampling))
    assert shown_numbers(frames.pixels) == list(frames.indices)
    assert frames.times_s == pytest.approx([i / fps for i in frames.indices], abs=0.001)
    assert frames.duration_s == pytest.approx(count / fps, abs=0.002)
    if sampling.startswith("uniform"):
        assert frames.indices == parse_sampling(sampling).indices(count)
    assert frames.pixels.shape[1:] == (recipe.get("height", 48), recipe.get("width", 64), 3)
    assert frames.decoder.startswith(f"PyAV {av.__version__} (")


def test_times_are_the_time_stamps_of_a_variable_rate(make_video: MakeVideo, shown_numbers: ShownNumbers) -> None:
    stamps = [0, 33, 67, 400, 433, 467, 1500, 1533, 1567, 1600, 2900, 3000]
    path = make_video("clip.mkv", frames=len(stamps), pts=stamps)
    frames = decode(str(path), parse_sampling("uniform:12"))
    assert frames.times_s == pytest.approx([s / 1000 for s in stamps], abs=0.0005)
    by_time = decode(str(path), parse_sampling("fps:1"))
    assert by_time.indices == (5, 6, 10)
    assert shown_numbers(by_time.pixels) == [5, 6, 10]


def test_a_clip_with_fewer_frames_than_asked_for_gives_each_once(make_video: MakeVideo) -> None:
    assert decode(str(make_video(frames=4)), TEN).indices == (0, 1, 2, 3)


@pytest.mark.parametrize("variant", ["MPEG-4 in AVI", "MPEG-4 with B-frames in AVI", "H.264 with B-frames in MP4"])
def test_pixels_do_not_depend_on_the_way_taken_or_on_clips_decoded_meanwhile(
    make_video: MakeVideo, variant: str
) -> None:
    name, recipe = VARIANTS[variant]
    path = str(make_video(name, **recipe))
    expected = decode_video(path, TEN, every_frame=True)
    for found in [decode_video(path, TEN), decode(path, TEN)]:
        assert found.sha256 == expected.sha256
        assert found.times_s == expected.times_s
    with ThreadPoolExecutor(8) as pool:
        assert {f.sha256 for f in pool.map(lambda _: decode(path, TEN), range(32))} == {expected.sha256}


def test_the_short_way_is_taken_without_b_frames_and_left_with_them(make_video: MakeVideo) -> None:
    assert decode_groups(str(make_video("plain.avi")), TEN) is not None
    assert decode_groups(str(make_video("b.avi", options={"bf": "2"})), TEN) is None
    assert decode_groups(str(make_video("x.mp4", codec="libx264")), TEN) is None


def test_packed_b_frames_are_shown_in_their_order(
    make_xvid_avi: Callable[..., Path], shown_numbers: ShownNumbers
) -> None:
    path = make_xvid_avi(60, packed=True)
    assert decode_groups(str(path), TEN) is None
    for sampling in (TEN, parse_sampling("uniform:60"), parse_sampling("fps:5")):
        frames = decode(str(path), sampling)
        assert shown_numbers(frames.pixels) == list(frames.indices)
        assert frames.times_s == pytest.approx([i / 30 for i in frames.indices], abs=0.001)
    assert decode(str(path), TEN).indices == TEN.indices(60)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(DecodeFailed):
        decode(str(path), TEN)


def test_placeholders_for_frames_that_are_not_coded_are_not_counted(
    make_xvid_avi: Callable[..., Path], shown_numbers: ShownNumbers
) -> None:
    path = make_xvid_avi(110, placeholder_after=30)
    frames = decode(str(path), parse_sampling("uniform:110"))
    assert shown_numbers(frames.pixels) == list(range(110))
    assert decode(str(path), TEN).sha256 == decode_video(str(path), TEN, every_frame=True).sha256


def test_wrong_key_frame_marks_do_not_change_the_pixels(make_video: MakeVideo) -> None:
    path = make_video("clip.avi", frames=60, options={"g": "12"})
    expected = decode_video(str(path), TEN, every_frame=True)
    data = bytearray(path.read_bytes())
    index = data.rindex(b"idx1")
    for entry in range(index + 8, len(data) - 15, 16):
        struct.pack_into("<I", data, entry + 4, 0x10)
    path.write_bytes(data)
    assert decode(str(path), TEN).sha256 == expected.sha256


@pytest.mark.parametrize("name", ["clip.avi", "clip.mkv", "clip.mp4"])
def test_a_title_in_another_encoding_than_utf_8_is_no_fault_of_the_clip(
    make_video: MakeVideo, shown_numbers: ShownNumbers, name: str
) -> None:
    path = make_video(name, title="鬼" * 8)
    data = path.read_bytes()
    title = ("鬼" * 8).encode()
    assert data.count(title) == 1
    path.write_bytes(data.replace(title, ("鬼探" * 6).encode("gbk")))
    frames = decode(str(path), TEN)
    assert shown_numbers(frames.pixels) == list(frames.indices)


def test_a_suffix_means_nothing(make_video: MakeVideo, shown_numbers: ShownNumbers) -> None:
    path = make_video("really.mp4", codec="libx264", options={"qp": "1"})
    disguised = path.rename(path.with_suffix(".avi"))
    frames = decode(str(disguised), TEN)
    assert shown_numbers(frames.pixels) == list(frames.indices)


@pytest.mark.parametrize(
    "content",
    [b"", b"this is no video", b"RIFF", bytes(100_000), b"RIFF\xff\xff\xff\xffAVI LIST", b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "text", "four bytes", "zeros", "a header's beginning", "a picture's beginning"],
)
def test_what_is_no_video_fails_with_the_decoder_s_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    with pytest.raises(DecodeFailed) as caught:
        decode(str(path), TEN)
    assert str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_playlist_cannot_make_the_decoder_open_other_files(make_video: MakeVideo, tmp_path: Path) -> None:
    secret = make_video("secret.ts", codec="libx264", format="mpegts")
    playlists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret.name}\n",
    ]
    for text in playlists:
        path = tmp_path / "clip.avi"
        path.write_text(text)
        with pytest.raises(DecodeFailed):
            decode(str(path), TEN)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8, 0.9])
@pytest.mark.parametrize(
    "variant",
    ["MPEG-4 in AVI", "MPEG-4 with B-frames in AVI", "H.264 with B-frames in MP4", "H.264 in Matroska", "motion JPEG"],
)
def test_a_torn_file_is_a_failure_and_never_a_shorter_clip(make_video: MakeVideo, variant: str, share: float) -> None:
    name, recipe = VARIANTS[variant]
    path = make_video(name, **recipe, frames=100)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DecodeFailed):
        decode(str(path), TEN)


def test_a_frame_cut_off_by_the_file_s_end_is_left_out_and_not_made_up(make_video: MakeVideo) -> None:
    path = make_video(frames=100)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"00dc", 0, whole.rindex(b"idx1")) + 200])
    for every_frame in (False, True):
        frames = decode_video(str(path), parse_sampling("uniform:100"), every_frame=every_frame)
        assert frames.indices == tuple(range(99))


def test_a_torn_mp4_with_its_index_in_front_is_a_failure(make_video: MakeVideo) -> None:
    path = make_video("clip.mp4", codec="libx264", frames=100, container_options={"movflags": "faststart"})
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(DecodeFailed, match=r"declares 100 frames|Invalid data"):
        decode(str(path), TEN)


def declare(path: Path, frames: int) -> None:
    """Make an AVI's header state another number of frames, in both places that do."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, frames)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, frames)
    path.write_bytes(data)


@pytest.mark.parametrize("declared", [100, 101, 99, 90, 50, 1, 0])
def test_a_header_that_is_off_a_little_or_states_too_few_is_not_believed(
    make_video: MakeVideo, shown_numbers: ShownNumbers, declared: int
) -> None:
    path = make_video(frames=100)
    declare(path, declared)
    for every_frame in (False, True):
        frames = decode_video(str(path), TEN, every_frame=every_frame)
        assert frames.indices == TEN.indices(100)
        assert shown_numbers(frames.pixels) == list(frames.indices)


@pytest.mark.parametrize("declared", [102, 110, 1000])
def test_two_frames_and_one_percent_fewer_than_declared_is_torn(make_video: MakeVideo, declared: int) -> None:
    path = make_video(frames=100)
    declare(path, declared)
    for every_frame in (False, True):
        with pytest.raises(DecodeFailed, match=f"declares {declared} frames and 100"):
            decode_video(str(path), TEN, every_frame=every_frame)


def test_one_frame_fewer_than_declared_is_not_torn_however_short_the_clip(make_video: MakeVideo) -> None:
    path = make_video(frames=5)
    declare(path, 6)
    assert decode(str(path), TEN).indices == (0, 1, 2, 3, 4)


def test_a_damaged_frame_is_never_shown(make_video: MakeVideo) -> None:
    """Whatever bytes are damaged, a clip either gives the true pixels or fails."""
    path = make_video(frames=40, width=160, height=128)
    whole = path.read_bytes()
    true = decode(str(path), TEN).sha256
    begin, end = whole.index(b"movi"), whole.rindex(b"idx1")
    outcomes = set()
    for at in range(begin + 40, end - 40, (end - begin) // 40):
        data = bytearray(whole)
        data[at : at + 24] = bytes(b ^ 0xFF for b in data[at : at + 24])
        path.write_bytes(data)
        try:
            outcomes.add(decode(str(path), TEN).sha256)
        except DecodeFailed:
            outcomes.add("failed")
    assert "failed" in outcomes
    assert outcomes <= {"failed", true}


def test_a_frame_of_absurd_size_is_refused(make_video: MakeVideo) -> None:
    path = make_video(codec="rawvideo", frames=3)
    data = bytearray(path.read_bytes())
    header = data.index(b"strf") + 8
    assert struct.unpack_from("<ii", data, header + 4) == (64, 48)
    struct.pack_into("<ii", data, header + 4, 100_000, 100_000)
    path.write_bytes(data)
    with pytest.raises(DecodeFailed):
        decode(str(path), TEN)


def test_a_sampler_that_would_take_too_much_memory_is_refused(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(make_video())
    monkeypatch.setattr(limits, "MAX_SAMPLE_BYTES", 10 * 64 * 48 * 3)
    assert len(decode(path, TEN)) == 10
    for name in ("uniform:11", "fps:30"):
        with pytest.raises(DecodeFailed, match="sample fewer frames"):
            decode(path, parse_sampling(name))


def turned(path: Path, degrees: int) -> Path:
    """Write a rotation into an MP4's track header."""
    matrices = {
        90: (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000),
        180: (-0x10000, 0, 0, 0, -0x10000, 0, 0, 0, 0x40000000),
        270: (0, -0x10000, 0, 0x10000, 0, 0, 0, 0, 0x40000000),
    }
    data = bytearray(path.read_bytes())
    struct.pack_into(">9i", data, data.index(b"tkhd") + 4 + 40, *matrices[degrees])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_clip_is_turned_as_other_players_turn_it(tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "clip.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :16] = (255, 0, 0)
    picture[32:, :16] = (0, 255, 0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames = decode(str(turned(path, degrees)), TEN)
    capture = cv2.VideoCapture(str(path))
    peer = capture.read()[1][..., ::-1]
    assert frames.pixels[0].shape == peer.shape
    assert np.abs(frames.pixels[0].astype(int) - peer).max() <= 2


def test_a_file_that_is_gone_is_missing_media(tmp_path: Path) -> None:
    with pytest.raises(MissingMedia):
        decode(str(tmp_path / "gone.avi"), TEN)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_a_failure(make_video: MakeVideo) -> None:
    path = make_video()
    path.chmod(0)
    with pytest.raises(DecodeFailed, match="ermission"):
        decode(str(path), TEN)


def test_a_file_that_the_split_list_does_not_mean_is_a_failure(make_video: MakeVideo) -> None:
    path = make_video()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert decode(str(Media(location=str(path), sha256=digest)), TEN).indices == TEN.indices(60)
    with pytest.raises(DecodeFailed, match="not the file that the split names"):
        decode(str(Media(location=str(path), sha256="0" * 64)), TEN)


def test_a_remote_file_gives_the_same_frames_as_the_local_one(make_video: MakeVideo) -> None:
    for name, recipe in (VARIANTS["MPEG-4 in AVI"], VARIANTS["H.264 in Matroska"]):
        path = make_video(name, **recipe)
        fsspec.filesystem("memory").pipe_file(f"/media-test/{name}", path.read_bytes())
        expected = decode(str(path), TEN).sha256
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        for sha256 in (None, digest):
            media = Media(location=f"memory://media-test/{name}", sha256=sha256)
            assert decode(str(media), TEN).sha256 == expected
    with pytest.raises(MissingMedia):
        decode("memory://media-test/gone.avi", TEN)


def test_memory_does_not_grow_with_the_number_of_clips(make_video: MakeVideo) -> None:
    path = str(make_video(width=320, height=240, frames=40))
    process = psutil.Process()
    for _ in range(5):
        decode(path, TEN)
    grown: list[tuple[int, int]] = []
    # What else lives in this process may grow once; what each clip leaves behind grows every time.
    while not grown or (len(grown) < 4 and (grown[-1][0] >= 32 << 20 or grown[-1][1] > 0)):
        before, threads = process.memory_info().rss, threading.active_count()
        for _ in range(40):
            decode(path, TEN)
        grown.append((process.memory_info().rss - before, threading.active_count() - threads))
    assert grown[-1][0] < 32 << 20, grown
    assert grown[-1][1] <= 0, grown


def opencv_frames(path: Path, wanted: tuple[int, ...]) -> tuple[int, dict[int, np.ndarray]]:
    """How many frames OpenCV decodes, and the wanted ones as RGB."""
    capture = cv2.VideoCapture(str(path))
    frames: dict[int, np.ndarray] = {}
    count = 0
    while capture.grab():
        if count in wanted:
            frames[count] = capture.retrieve()[1][..., ::-1]
        count += 1
    return count, frames


@pytest.mark.slow
def test_real_clips_are_counted_and_shown_as_opencv_does(shared_data: Path) -> None:
    clips = sorted((shared_data / "dada2000" / "clips").glob("*.avi"))
    assert len(clips) == 32
    for path in clips:
        frames = decode(str(path), TEN)
        count, peer = opencv_frames(path, frames.indices)
        assert frames.indices == TEN.indices(count), path.name
        assert frames.duration_s == pytest.approx(count / 30)
        for position, index in enumerate(frames.indices):
            assert np.array_equal(frames.pixels[position], peer[index]), (path.name, index)


@pytest.mark.slow
def test_real_clips_are_the_same_by_the_short_way_and_the_long(shared_data: Path) -> None:
    for path in sorted((shared_data / "dada2000" / "clips").glob("*.avi"))[::8]:
        for sampling in (TEN, parse_sampling("fps:2")):
            short, long = decode(str(path), sampling), decode_video(str(path), sampling, every_frame=True)
            assert decode_groups(str(path), sampling) is not None
            assert (short.sha256, short.indices, short.times_s) == (long.sha256, long.indices, long.times_s)
            assert short.duration_s == long.duration_s


@pytest.mark.slow
def test_a_real_clip_torn_anywhere_is_a_failure_and_never_a_shorter_clip(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "dada2000" / "clips" / "images_6_043.avi"
    whole = source.read_bytes()
    true = decode(str(source), TEN)
    path = tmp_path / "torn.avi"
    body_end = whole.rindex(b"idx1")
    for step in range(1, 60):
        path.write_bytes(whole[: body_end * step // 60])
        for every_frame in (False, True):
            with pytest.raises(DecodeFailed):
                decode_video(str(path), TEN, every_frame=every_frame)
    for length in (body_end, body_end + 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert decode(str(path), TEN).sha256 == true.sha256
