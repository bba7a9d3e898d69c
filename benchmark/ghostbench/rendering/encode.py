"""Clips of twins as files that tell nothing of which is which: equal in size, frame by frame, and in everything else.

Each twin is encoded by itself at a steady quality, so that no picture takes quality from another. Then every frame is
filled up, with what H.264 has for this (filler data, which decoders skip), to the size of the largest among the twins.
At last all files of a grid are filled up to the largest (a box named `free`, which players skip).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import av
import av.video.stream

from ghostbench.rendering.drawing.light import Pixels

_Packet: TypeAlias = "av.Packet[Any]"

_START: Final = b"\0\0\0\1"
_LEAST_FILLER: Final = len(_START) + 3
_OPTIONS: Final = {
    "small": {"qp": "33", "preset": "medium", "x264-params": "threads=1:scenecut=0:bframes=0:aq-mode=0:mbtree=0"},
    "lossless": {"qp": "0", "preset": "fast", "x264-params": "threads=1:scenecut=0:bframes=0"},
}
_FREE: Final = b"free"
_TIME: Final = 946_684_800
"""When every file says it was changed, seconds since 1970: in the order of rendering, twins would stand together."""


class TwinWriter:
    """Encodes the twins of a scene side by side and writes them together.

    paths : a file for each twin. fps : frames per second. size : width and height, pixels.
    """

    def __init__(
        self, paths: Sequence[Path], fps: int, size: tuple[int, int], encoding: Literal["small", "lossless"]
    ) -> None:
        self._paths = paths
        self._begun = [path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in paths]
        self._files = [
            av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) for path in self._begun
        ]
        self._streams: list[av.video.stream.VideoStream] = []
        for file in self._files:
            stream = file.add_stream("libx264", rate=Fraction(fps))
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.gop_size = fps
            stream.codec_context.thread_count = 1
            stream.options = {**_OPTIONS[encoding]}
            self._streams.append(stream)
        self._packets: list[list[_Packet]] = [[] for _ in paths]

    def add(self, frames: Iterable[Pixels]) -> None:
        """The next frame of each twin, (height, width, 3) RGB, in the order of the paths."""
        for stream, packets, pixels in zip(self._streams, self._packets, frames, strict=True):
            packets.extend(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))

    def close(self) -> None:
        """Fill the frames up and put the files in their places, each whole."""
        for stream, packets in zip(self._streams, self._packets, strict=True):
            packets.extend(stream.encode(None))
        for together in zip(*self._packets, strict=True):
            size = max(packet.size for packet in together)
            size = size if all(packet.size == size for packet in together) else size + _LEAST_FILLER
            for file, stream, packet in zip(self._files, self._streams, together, strict=True):
                file.mux(_filled(packet, size, stream))
        for file, begun, path in zip(self._files, self._begun, self._paths, strict=True):
            file.close()
            os.utime(begun, (_TIME, _TIME))
            begun.replace(path)

    def give_up(self) -> None:
        """Remove what was begun."""
        for file, begun in zip(self._files, self._begun, strict=True):
            file.close()
            begun.unlink(missing_ok=True)


def _filled(packet: _Packet, size: int, stream: av.video.stream.VideoStream) -> _Packet:
    """The same picture in `size` bytes, its own or at least `_LEAST_FILLER` more."""
    more = size - packet.size
    filler = _START + b"\x0c" + b"\xff" * (more - _LEAST_FILLER + 1) + b"\x80" if more else b""
    filled = av.Packet(bytes(packet) + filler)
    filled.stream = stream
    filled.pts, filled.dts, filled.time_base = packet.pts, packet.dts, packet.time_base
    filled.duration, filled.is_keyframe = packet.duration, packet.is_keyframe
    return filled


def fill_up(paths: Sequence[Path]) -> int:
    """Make all files as large as the largest; the size in bytes. Doing it again changes nothing."""
    sizes = {path: path.stat().st_size for path in paths}
    size = max(sizes.values())
    size = size if all(each == size for each in sizes.values()) else size + len(_FREE) + 4
    for path, own in sizes.items():
        if own < size:
            begun = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            begun.write_bytes(path.read_bytes() + struct.pack(">I", size - own) + _FREE + bytes(size - own - 8))
            os.utime(begun, (_TIME, _TIME))
            begun.replace(path)
    return size
