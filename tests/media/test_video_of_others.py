"""Video as cameras, phones and cutting tools leave it: the frames and times that ffmpeg gives, and none made up."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from PIL import Image

from ghostbench.errors import DecodeFailed
from ghostbench.frames import Frames
from ghostbench.media.complaints import listen
from ghostbench.media.decode import decode
from ghostbench.media.groups import decode_groups
from ghostbench.media.jpeg_ends import JpegWitness, jpeg_picture
from ghostbench.media.sampling import parse_sampling
from ghostbench.media.video import decode_video

ALL = parse_sampling("uniform:256")
TEN = parse_sampling("uniform:10")
FAULTS = Path(__file__).parent / "faults"
MakeVideo = Callable[..., Path]
ShownNumbers = Callable[[np.ndarray], list[int]]


def bars(frames: Frames) -> list[int]:
    """The numbers that the frames of the clips in `faults` show."""
    return [sum(int(p[24, 32 + 32 * bit].mean() > 127) << bit for bit in range(8)) for p in frames.pixels]


def both_ways(path: Path) -> Frames:
    """Every frame of a clip, having seen that both ways of decoding agree."""
    short, long = decode_video(str(path), ALL), decode_video(str(path), ALL, every_frame=True)
    assert (short.sha256, short.indices, short.times_s) == (long.sha256, long.indices, long.times_s)
    assert short.duration_s == long.duration_s
    return long


def test_frames_that_an_edit_list_hides_are_not_shown() -> None:
    frames = both_ways(FAULTS / "editlist_trim.mp4")
    assert bars(frames) == list(range(45, 120))
    assert frames.times_s == pytest.approx([i / 30 for i in range(75)])
    assert frames.duration_s == pytest.approx(2.5)


def test_frames_dropped_while_recording_leave_gaps_and_no_torn_file() -> None:
    frames = both_ways(FAULTS / "drop_libxvid.avi")
    assert len(frames) == 108
    assert frames.times_s == pytest.approx([number / 30 for number in bars(frames)])
    assert frames.duration_s == pytest.approx(4.0)


def test_an_avi_with_b_frames_and_dropped_frames_is_whole() -> None:
    frames = both_ways(FAULTS / "xvid_bf.avi")
    assert len(frames) == 118
    assert frames.times_s[0] == 0.0
    # The container says when frames are decoded: their places are right to one frame.
    assert np.abs(np.array(frames.times_s) * 30 - bars(frames)).max() < 1.5


def test_a_clip_that_begins_within_a_group_keeps_its_clock() -> None:
    """The clip begins 1.4 s before its first key frame, which is frame 60."""
    frames = both_ways(FAULTS / "nonkey_start.mkv")
    assert bars(frames) == list(range(60, 120))
    assert frames.times_s == pytest.approx([1.4 + i / 30 for i in range(60)], abs=0.001)
    assert frames.duration_s == pytest.approx(3.4, abs=0.001)
    assert decode_video(str(FAULTS / "nonkey_start.mkv"), parse_sampling("fps:2")).times_s[0] == pytest.approx(1.4)


def test_a_mirrored_clip_is_shown_as_the_file_says() -> None:
    frames = both_ways(FAULTS / "hflip.mp4")
    mirrored = Frames(
        np.ascontiguousarray(frames.pixels[:, :, ::-1]),
        indices=frames.indices,
        times_s=frames.times_s,
        duration_s=frames.duration_s,
        decoder=frames.decoder,
    )
    assert bars(mirrored) == list(range(120))


def test_frames_hidden_at_the_beginning_of_mpeg_4_are_not_counted(shared_data: Path) -> None:
    path = shared_data / "faults" / "mpeg4-trim" / "cv2style_trim.mp4"
    assert decode_groups(str(path), TEN) is None
    for every_frame in (False, True):
        frames = decode_video(str(path), TEN, every_frame=every_frame)
        assert frames.indices == TEN.indices(367)
        assert frames.times_s == pytest.approx([i / 30 for i in frames.indices])
        assert frames.duration_s == pytest.approx(367 / 30)


def test_a_damaged_motion_jpeg_fails_with_the_decoder_s_words(shared_data: Path) -> None:
    with pytest.raises(DecodeFailed, match="frame 53: mjpeg: "):
        decode_video(str(shared_data / "faults" / "damaged" / "mjpeg_flip.avi"), TEN)


ONE = 0x10000
ORIENTATIONS = {
    "as stored": (ONE, 0, 0, ONE),
    "mirrored": (-ONE, 0, 0, ONE),
    "upside down": (ONE, 0, 0, -ONE),
    "half a turn": (-ONE, 0, 0, -ONE),
    "a quarter to the right": (0, ONE, -ONE, 0),
    "a quarter to the left": (0, -ONE, ONE, 0),
    "transposed": (0, ONE, ONE, 0),
    "transposed the other way": (0, -ONE, -ONE, 0),
}
CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def corner_clip(path: Path) -> Path:
    """Red, green, blue and white in the corners: top left, top right, bottom left, bottom right."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :16], picture[:16, 48:], picture[32:, :16], picture[32:, 48:] = CORNERS.values()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"qp": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def corners_of(picture: np.ndarray) -> list[str]:
    spots = picture[8, 8], picture[8, -8], picture[-8, 8], picture[-8, -8]
    return [min(CORNERS, key=lambda name: int(np.abs(spot.astype(int) - CORNERS[name]).sum())) for spot in spots]


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_each_of_the_eight_ways_up_is_shown_so(tmp_path: Path, name: str, suffix: str) -> None:
    path = corner_clip(tmp_path / "clip.mp4")
    a, b, c, d = ORIENTATIONS[name]
    data = bytearray(path.read_bytes())
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    if suffix == "mkv":
        path = remuxed(path, tmp_path / "clip.mkv")
        if first_frame(path).side_data.get(Type.DISPLAYMATRIX) is None and name != "as stored":
            pytest.skip("this FFmpeg cannot say so in Matroska")
    picture = decode_video(str(path), parse_sampling("uniform:1")).pixels[0]
    # A stored pixel at (x, y), from the middle, is shown at (a x + c y, b x + d y).
    places = [(-1, -1), (1, -1), (-1, 1), (1, 1)]
    shown = {((a * x + c * y) // ONE, (b * x + d * y) // ONE): k for (x, y), k in zip(places, CORNERS, strict=True)}
    assert corners_of(picture) == [shown[place] for place in places]


def remuxed(source: Path, target: Path) -> Path:
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                made.mux(packet)
    return target


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def ffmpeg(*arguments: object) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg")
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True)


def ffprobe_times(path: Path) -> list[float]:
    """When ffprobe says that each frame is shown, seconds from the file's start."""
    command = "ffprobe -v error -select_streams v:0 -show_entries frame=best_effort_timestamp_time:format=start_time"
    told = json.loads(
        subprocess.run([*command.split(), "-of", "json", path], check=True, capture_output=True, text=True).stdout
    )
    start = float(told["format"]["start_time"])
    return [float(frame["best_effort_timestamp_time"]) - start for frame in told["frames"]]


SOURCES = {
    "H.264": ("clip.mp4", {"codec": "libx264", "options": {"bf": "3", "qp": "1", "g": "20"}}),
    "H.264 in Matroska": ("clip.mkv", {"codec": "libx264", "options": {"bf": "3", "qp": "1", "g": "20"}}),
    "H.264 in MPEG-TS": ("clip.ts", {"codec": "libx264", "options": {"bf": "3", "qp": "1", "g": "20"}}),
    "HEVC": ("clip.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:qp=4:keyint=20"}}),
    "MPEG-4": ("clip.mp4", {"options": {"g": "12"}}),
    "MPEG-4 with B-frames": ("clip.mp4", {"options": {"g": "12", "bf": "2"}}),
    "MPEG-4 in AVI": ("clip.avi", {"options": {"g": "12"}}),
    "MPEG-2 in MPEG-TS": ("clip.ts", {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}}),
    "motion JPEG": ("clip.mov", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
}
CUTS = {
    "a beginning cut off": ["-ss", "0.83"],
    "both ends cut off": ["-ss", "0.83", "-t", "0.6"],
    "a delay": ["-itsoffset", "0.5"],
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("source", SOURCES)
def test_cut_without_encoding_again_the_frames_and_times_are_ffmpeg_s(
    make_video: MakeVideo, shown_numbers: ShownNumbers, tmp_path: Path, source: str, cut: str
) -> None:
    name, recipe = SOURCES[source]
    path = make_video(name, **recipe)
    made = tmp_path / f"cut{path.suffix}"
    ffmpeg(*CUTS[cut], "-i", path, "-map", "0", "-c", "copy", made)
    frames = both_ways(made)
    numbers = shown_numbers(frames.pixels)
    if source != "motion JPEG":  # of which ffmpeg before version 6 shows the hidden frames
        assert frames.times_s == pytest.approx(ffprobe_times(made), abs=0.002)
    if source != "MPEG-4 in AVI" or cut != "a delay":  # which AVI writes after the first frame
        assert [round((t - frames.times_s[0]) * 30) for t in frames.times_s] == [n - numbers[0] for n in numbers]


@pytest.mark.parametrize("source", SOURCES)
def test_what_cannot_be_decoded_at_the_beginning_is_left_out(
    make_video: MakeVideo, shown_numbers: ShownNumbers, tmp_path: Path, source: str
) -> None:
    """Seven packets are gone, and with them the key frame."""
    name, recipe = SOURCES[source]
    path = make_video(name, **recipe)
    made = tmp_path / f"cut{path.suffix}"
    ffmpeg("-i", path, "-c", "copy", "-copyinkf", "-bsf:v", "noise=drop=lt(n\\,7)", made)
    frames = both_ways(made)
    numbers = shown_numbers(frames.pixels)
    assert numbers == list(range(numbers[0], 60))
    first = {"motion JPEG": 7, "HEVC": 20}
    # Frame 19 of H.264 is a B-frame that needs nothing but the key frame after it.
    assert numbers[0] == first.get(source, 19 if "H.264" in source else 12)
    whole = decode_video(str(path), ALL)
    assert np.array_equal(frames.pixels, whole.pixels[numbers[0] :])
    assert [round((t - frames.times_s[0]) * 30) for t in frames.times_s] == [n - numbers[0] for n in numbers]
    # Some containers count on from where the file was cut, some begin with what is left of the seven frames' group.
    assert round(frames.times_s[0] * 30) in range(numbers[0] - 10, numbers[0] + 1)


def test_sound_that_comes_first_does_not_shift_the_picture(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("clip.mp4", codec="libx264")
    made = tmp_path / "delayed.mp4"
    sound = ["-f", "lavfi", "-t", "2", "-i", "sine"]
    ffmpeg("-itsoffset", "0.5", "-i", path, *sound, "-map", "0:v", "-map", "1:a", "-c:v", "copy", made)
    frames = both_ways(made)
    assert frames.times_s == pytest.approx([0.5 + i / 30 for i in range(60)], abs=0.002)
    assert frames.times_s == pytest.approx(ffprobe_times(made), abs=0.002)


def test_a_cover_picture_is_no_video(make_video: MakeVideo, tmp_path: Path) -> None:
    """Sound with a picture of its album, and a clip with one of its own."""
    cover = ["-f", "lavfi", "-i", "color=red:s=320x240:d=0.04"]
    attached = ["-frames:v:1", "1", "-c:v:1", "mjpeg", "-disposition:v:1", "attached_pic"]
    sound, clip = tmp_path / "sound.mp4", tmp_path / "covered.mp4"
    alone = [each.replace(":1", ":0") for each in attached]
    ffmpeg("-f", "lavfi", "-t", "0.5", "-i", "sine", *cover, "-map", "0:a", "-map", "1:v", *alone, sound)
    with pytest.raises(DecodeFailed, match="holds no video, only a picture that goes with its sound"):
        decode_video(str(sound), TEN)
    ffmpeg("-i", make_video("clip.mp4"), *cover, "-map", "0:v", "-map", "1:v", "-c:v:0", "copy", *attached, clip)
    assert both_ways(clip).pixels.shape == (60, 48, 64, 3)


DAMAGEABLE = {
    # Name, recipe, and of twelve damaged files how many must be noticed at least.
    "motion JPEG": ("clip.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, 6),
    "H.264": ("clip.mp4", {"codec": "libx264"}, 7),
    "H.264 in MPEG-TS": ("clip.ts", {"codec": "libx264"}, 7),
    "MPEG-2 in MPEG-TS": ("clip.ts", {"codec": "mpeg2video"}, 7),
    "HEVC": ("clip.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}, 3),
    "HEVC with check sums": ("clip.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:hash=1"}}, 12),
    "HEVC in Matroska": ("clip.mkv", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}, 12),
    "VP9": ("clip.mp4", {"codec": "libvpx-vp9", "options": {"crf": "5", "b": "8M"}}, 12),
    "VP8": ("clip.webm", {"codec": "libvpx", "options": {"crf": "5", "b": "8M"}}, 3),
    "HuffYUV": ("clip.avi", {"codec": "huffyuv", "pix_fmt": "yuv422p"}, 5),
    "FFV1 in Matroska": ("clip.mkv", {"codec": "ffv1", "options": {"level": "1"}}, 12),
    "FFV1": ("clip.avi", {"codec": "ffv1", "options": {"level": "1"}}, 10),
    "FFV1 with check sums": ("clip.avi", {"codec": "ffv1", "options": {"level": "3", "slicecrc": "1"}}, 12),
}


@pytest.mark.parametrize("coding", DAMAGEABLE)
def test_pixels_made_up_for_damaged_ones_are_noticed(make_video: MakeVideo, coding: str) -> None:
    """Three bytes in the middle of a packet: no coding notices all of it, and each must notice its share."""
    name, recipe, least = DAMAGEABLE[coding]
    path = make_video(name, **recipe, frames=24, width=192, height=128)
    true = decode_video(str(path), TEN, every_frame=True).sha256
    whole = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None and p.size > 60]
    noticed = 0
    for number in range(12):
        at, size = packets[number * len(packets) // 12]
        middle = at + max(40, size // 3 + number)
        data = bytearray(whole)
        data[middle : middle + 3] = bytes(byte ^ 0x5A for byte in data[middle : middle + 3])
        path.write_bytes(data)
        try:
            noticed += decode(str(path), TEN).sha256 == true
        except DecodeFailed:
            noticed += 1
    assert noticed >= least


def test_damaged_hevc_of_which_ffmpeg_says_nothing_is_noticed() -> None:
    with pytest.raises(DecodeFailed, match="after frame 52: decoded another way it is different"):
        decode_video(str(FAULTS / "hevc_flip.mp4"), TEN)


SOUND = {
    "HuffYUV in BGRA": ("clip.avi", {"codec": "huffyuv", "pix_fmt": "bgra", "width": 67, "height": 45}),
    "HuffYUV 4:2:2": ("clip.avi", {"codec": "huffyuv", "pix_fmt": "yuv422p", "width": 66, "height": 45}),
    "FFV1 4:4:4": ("clip.avi", {"codec": "ffv1", "pix_fmt": "yuv444p", "width": 67, "height": 45}),
    "FFV1 10 bit": ("clip.mkv", {"codec": "ffv1", "pix_fmt": "yuv420p10le"}),
    "VP9": ("clip.webm", {"codec": "libvpx-vp9", "options": {"crf": "4", "b": "8M"}}),
    "VP9 10 bit": ("clip.webm", {"codec": "libvpx-vp9", "pix_fmt": "yuv420p10le", "options": {"crf": "4", "b": "8M"}}),
    "VP8": ("clip.webm", {"codec": "libvpx", "options": {"b": "8M"}, "width": 67, "height": 45}),
    "HEVC without rows": ("clip.mkv", {"codec": "libx265", "options": {"x265-params": "log-level=none:wpp=0:qp=4"}}),
    "HEVC in MPEG-TS": ("clip.ts", {"codec": "libx265", "options": {"x265-params": "log-level=none:qp=4"}}),
    "AV1": ("clip.mkv", {"codec": "libsvtav1", "options": {"crf": "5", "preset": "10"}}),
    "MPEG-1": ("clip.mpg", {"codec": "mpeg1video", "options": {"bf": "2"}}),
    "MPEG-2 with two fields": ("clip.ts", {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme", "bf": "2"}}),
    "H.264 with open groups": ("clip.mp4", {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=9"}}),
    "H.264 without key frames": ("clip.mp4", {"codec": "libx264", "options": {"x264-params": "intra-refresh=1"}}),
    "fragmented MP4": ("clip.mp4", {"codec": "libx264", "container_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "FLV": ("clip.flv", {"codec": "libx264"}),
    "motion JPEG 4:2:2": ("clip.avi", {"codec": "mjpeg", "pix_fmt": "yuvj422p", "width": 66, "height": 45}),
    "motion JPEG 4:4:4": ("clip.mov", {"codec": "mjpeg", "pix_fmt": "yuvj444p", "options": {"huffman": "optimal"}}),
    "WMV": ("clip.wmv", {"codec": "wmv2"}),
}


@pytest.mark.parametrize("coding", SOUND)
def test_a_sound_file_is_never_called_damaged(make_video: MakeVideo, tmp_path: Path, coding: str) -> None:
    name, recipe = SOUND[coding]
    try:
        path = make_video(name, **recipe)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg cannot make it: {error}")
    frames = both_ways(path)
    assert len(frames) == 60
    assert frames.times_s == pytest.approx([i / 30 for i in range(60)], abs=0.002)
    assert frames.duration_s == pytest.approx(2.0, abs=0.05)


PICTURES: dict[str, dict[str, Any]] = {
    "usual": {},
    "without loss in colour": {"quality": 95, "subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "every detail": {"quality": 100},
    "none": {"quality": 1},
    "with its own tables": {"optimize": True},
    "with restarts": {"restart_marker_blocks": 5},
    "in several scans": {"progressive": True},
    "grey": {"mode": "L"},
}
FILLED = (b"", b"\0", b"\0" * 7, b"\xff\xff")


@pytest.mark.parametrize("name", PICTURES)
def test_a_sound_jpeg_ends_where_it_should_however_it_was_written(name: str) -> None:
    """Noise; a ramp, of which most lies beyond the last blocks' visible part; and black."""
    written = dict(PICTURES[name])
    mode = written.pop("mode", "RGB")
    ramp = np.add.outer(np.arange(121), np.arange(201)).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (43, 67, 3), np.uint8)
    listen()
    for picture in (noise, np.stack([ramp] * 3, axis=2), np.zeros((131, 187, 3), np.uint8)):
        file = io.BytesIO()
        Image.fromarray(picture).convert(mode).save(file, "JPEG", **written)
        for filling in FILLED:
            packet = av.Packet(file.getvalue()[:-2] + filling + b"\xff\xd9")
            frames = av.CodecContext.create("mjpeg", "r").decode(packet)
            assert JpegWitness().agrees(packet, frames)
    known = jpeg_picture(file.getvalue())
    assert (known is None) == (name == "in several scans")
    if known is not None:
        blocks = known.rows * known.blocks
        assert len(list(known.parts())) == (-(-blocks // 5) if name == "with restarts" else 1)


@pytest.mark.parametrize("filling", [b"\0", b"\0" * 3, b"\0" * 40])
def test_a_plain_jpeg_whose_blocks_are_zeros_is_sound_however_many_zeros_follow(filling: bytes) -> None:
    """A grey ramp over black, and white alone, with tables of their own: a block as the one before it is two zeros."""
    ramp = np.zeros((96, 160), np.uint8)
    ramp[:40] = np.arange(160)
    listen()
    for picture in (ramp, np.full((23, 482, 3), 255, np.uint8)):
        file = io.BytesIO()
        Image.fromarray(picture).convert("RGB").save(file, "JPEG", optimize=True)
        packet = av.Packet(file.getvalue()[:-2] + filling + b"\xff\xd9")
        frames = av.CodecContext.create("mjpeg", "r").decode(packet)
        assert len(frames) == 1
        assert JpegWitness().agrees(packet, frames)


def test_a_picture_coded_by_the_tables_of_the_one_before_it_is_sound() -> None:
    """A motion JPEG may name its tables once: the decoder keeps them."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32] = np.random.default_rng(1).integers(0, 256, (32, 96, 3))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", optimize=True)
    whole = bare = file.getvalue()
    while (at := bare.find(b"\xff\xc4")) >= 0:
        bare = bare[:at] + bare[at + 2 + int.from_bytes(bare[at + 2 : at + 4], "big") :]
    listen()
    decoder, witness = av.CodecContext.create("mjpeg", "r"), JpegWitness()
    shown = []
    for data in (whole, bare, bare):
        frames = decoder.decode(packet := av.Packet(data))
        shown += [frame.to_ndarray(format="rgb24").tobytes() for frame in frames]
        assert witness.agrees(packet, frames)
    assert len(shown) == 3
    assert len(set(shown)) == 1


def test_a_jpeg_with_a_block_too_many_or_too_few_is_told_apart() -> None:
    """A black picture of 12 times 9 blocks of six: of each of them two bytes or so."""
    file = io.BytesIO()
    Image.new("RGB", (187, 131)).save(file, "JPEG")
    data = file.getvalue()
    begin = data.index(b"\xff\xda") + 14
    listen()
    for changed in (data[:begin] + data[begin + 8 :], data[:-12] + data[-16:-12] * 2 + data[-12:]):
        packet = av.Packet(changed)
        frames = av.CodecContext.create("mjpeg", "r").decode(packet)
        assert not JpegWitness().agrees(packet, frames)


OTHER_FILES = {
    "nothing": (b"", "the file is empty"),
    "zeros": (bytes(5000), "zeros alone"),
    "a page": (b"\n<!DOCTYPE html><title>Sign in</title>", "it is an HTML or XML file"),
    "an error": (b'{"error": {"code": 404}}', "it is a JSON file"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n", "only Git LFS's pointer"),
    "git-annex's pointer": (b"/annex/objects/SHA256E-s9--4d.avi\n", "only git-annex's pointer"),
    "an archive": (b"PK\x03\x04" + bytes(60), "ZIP archive"),
    "compressed": (b"\x1f\x8b\x08" + bytes(60), "compressed with gzip"),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_what_is_no_video_is_named_for_what_it_is(tmp_path: Path, kind: str) -> None:
    """What a download or a checkout leaves under a clip's name."""
    content, words = OTHER_FILES[kind]
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    for file in (str(path), io.BytesIO(content)):
        with pytest.raises(DecodeFailed, match=f"^this is no video: .*{words}"):
            decode_video(file, TEN)
