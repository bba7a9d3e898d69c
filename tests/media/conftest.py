"""Small real videos and frame folders, made on the fly."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class VideoRecipe:
    """A clip whose frame i shows i: eight bits as black and white bars in the upper half, over noise."""

    frames: int = 60
    width: int = 64
    height: int = 48
    codec: str = "mpeg4"
    pix_fmt: str = "yuv420p"
    fps: int = 30
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    pts: Sequence[int] | None = None
    format: str | None = None
    title: str | None = None


def numbered_picture(index: int, width: int, height: int) -> np.ndarray:
    picture = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
    for bit in range(8):
        picture[: height // 2, bit * width // 8 : (bit + 1) * width // 8] = 255 * (index >> bit & 1)
    return picture


@contextmanager
def scheduled_as_before() -> Iterator[None]:
    """Undo that SVT-AV1, where it may, makes the thread that calls it a real-time one, which starves all others."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameter)


def write_video(path: Path, recipe: VideoRecipe) -> Path:
    with (
        scheduled_as_before(),
        av.open(str(path), "w", format=recipe.format, options=recipe.container_options) as container,
    ):
        if recipe.title is not None:
            container.metadata["title"] = recipe.title
        stream = container.add_stream(recipe.codec, rate=recipe.fps, options=recipe.options)
        stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, recipe.pix_fmt
        stream.codec_context.qmin, stream.codec_context.qmax = 2, 6
        if recipe.pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(recipe.frames):
            picture = numbered_picture(index, recipe.width, recipe.height)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index if recipe.pts is None else recipe.pts[index]
            frame.time_base = Fraction(1, recipe.fps) if recipe.pts is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


PLACEHOLDER = b"\0\0\1\xb6\x51\0\0"
"""A VOP that is not coded: the frame before it stays."""


def xvid_packets(frames: int, *, b_frames: bool) -> tuple[bytes, list[tuple[bytes, str]]]:
    """The stream's header, and each coded frame with its kind: "I", "P" or "B"."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30, 1)
    encoder.options = {"bf": "1" if b_frames else "0", "flags": "+global_header"}
    encoder.qmin, encoder.qmax = 2, 6
    coded: list[bytes] = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(numbered_picture(index, 64, 48), format="rgb24")
        frame.pts = index
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    coded += [bytes(packet) for packet in encoder.encode()]
    kinds = ["IPBS"[data[data.index(b"\0\0\1\xb6") + 4] >> 6] for data in coded]
    return bytes(encoder.extradata or b""), list(zip(coded, kinds, strict=True))


def pack(coded: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
    """As old encoders packed: a B-frame in one packet with the frame before it, then a placeholder."""
    packed = []
    for at, (data, kind) in enumerate(coded):
        follower = coded[at + 1][0] if kind != "B" and coded[at + 1 : at + 2] and coded[at + 1][1] == "B" else b""
        packed.append((PLACEHOLDER, kind) if kind == "B" else (data + follower, kind))
    return packed


def write_xvid_avi(path: Path, header: bytes, packets: list[tuple[bytes, str]]) -> Path:
    """An AVI as XVID wrote them, which no current writer does (format: AVI RIFF File Reference)."""

    def chunk(tag: bytes, data: bytes) -> bytes:
        return tag + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    count = len(packets)
    main = chunk(b"avih", struct.pack("<14I", 33_333, 0, 0, 0x10, count, 0, 1, 0, 64, 48, 0, 0, 0, 0))
    rate = struct.pack("<IHHIIIIIIII4h", 0, 0, 0, 0, 1, 30, 0, count, 0, 0xFFFFFFFF, 0, 0, 0, 64, 48)
    size = struct.pack("<IiiHH4sIiiII", 40 + len(header), 64, 48, 1, 24, b"XVID", 64 * 48 * 3, 0, 0, 0, 0)
    stream = chunk(b"LIST", b"strl" + chunk(b"strh", b"vidsXVID" + rate) + chunk(b"strf", size + header))
    movie, index = b"movi", b""
    for data, kind in packets:
        index += struct.pack("<4sIII", b"00dc", 0x10 if kind == "I" else 0, len(movie), len(data))
        movie += chunk(b"00dc", data)
    body = b"AVI " + chunk(b"LIST", b"hdrl" + main + stream) + chunk(b"LIST", movie) + chunk(b"idx1", index)
    path.write_bytes(chunk(b"RIFF", body))
    return path


@pytest.fixture
def make_xvid_avi(tmp_path: Path) -> Callable[..., Path]:
    """`make_xvid_avi(frames, packed=…, placeholder_after=…)` writes a clip as old XVID encoders did."""

    def make(frames: int, *, packed: bool = False, placeholder_after: int | None = None) -> Path:
        header, packets = xvid_packets(frames, b_frames=packed)
        if packed:
            header, packets = header + b"\0\0\1\xb2DivX503b1393p", pack(packets)
        if placeholder_after is not None:
            packets.insert(placeholder_after, (PLACEHOLDER, "P"))
        return write_xvid_avi(tmp_path / "xvid.avi", header, packets)

    return make


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """`make_video(name, **recipe)` writes a clip and returns its path."""

    def make(name: str = "clip.avi", **recipe: object) -> Path:
        return write_video(tmp_path / name, VideoRecipe(**recipe))  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_frames(tmp_path: Path) -> Callable[..., Path]:
    """`make_frames(folder, numbers, suffix)` writes numbered images; number n has grey level 3 n modulo 256."""

    def make(folder: str = "images", numbers: Sequence[int] = range(1, 31), suffix: str = "png") -> Path:
        target = tmp_path / folder
        target.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.new("RGB", (32, 24), (3 * number % 256,) * 3).save(target / f"{number:04d}.{suffix}")
        return target

    return make


@pytest.fixture
def shown_numbers() -> Callable[[np.ndarray], list[int]]:
    """The frame numbers, below 256, that a `make_video` clip's pixels show."""

    def read(pixels: np.ndarray) -> list[int]:
        height, width = pixels.shape[1:3]
        bars = [pixels[:, height // 4, (2 * bit + 1) * width // 16].mean(axis=1) > 127 for bit in range(8)]
        return [sum(int(bar[i]) << bit for bit, bar in enumerate(bars)) for i in range(len(pixels))]

    return read
