"""A second decoding of a clip, for codings in which FFmpeg notices no damage: where the two differ, pixels are made up.

Nothing in VP8, VP9, HEVC, HuffYUV and the first versions of FFV1 says that a picture is whole; after a damaged byte the
decoder reads on, and shows what comes of it. But then it reads in the wrong places. So the clip is decoded once more in
a way that makes no difference to sound pictures: by another decoder (libvpx refuses VP9 data that do not end where they
should), with bytes after the packet's end that a sound picture never comes to, and with HEVC's rows of blocks each read
from where the picture's header says that it begins. That finds most damage, not all of it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, cast

import av
import av.codec.codec
import av.error
import numpy as np
import numpy.typing as npt

from ghostbench.media.complaints import complaints
from ghostbench.media.limits import MAX_FRAME_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane
    from av.video.stream import VideoStream

_OTHER_DECODER: Final = {"vp9": "libvpx-vp9"}
_RUNS_ON: Final = frozenset({"vp8", "huffyuv", "ffvhuff", "ffv1", "hevc"})
"""Codings whose decoders use what comes after a damaged picture's end."""
_MORE: Final = b"\xa5\x5a\xc3\x3c" * 16
"""Bytes to find after the end; no start code of any coding is among them."""
_LAST_SLICE_TYPE: Final = 31
"""HEVC's units of higher types hold no picture (ITU-T H.265, table 7-1)."""


class Witness:
    """The second decoder of a stream, fed with the same packets as the first from a key frame on."""

    def __init__(self, context: VideoCodecContext) -> None:
        self._name = context.name
        self._refuses = context.name in _OTHER_DECODER
        self._extradata = bytes(context.extradata or b"")
        self._own: deque[VideoFrame] = deque()
        self._hidden: set[int | None] = set()
        made = av.CodecContext.create(_OTHER_DECODER.get(context.name, context.name), "r")
        self._context = cast("VideoCodecContext", made)
        self._context.extradata = context.extradata
        self._context.width, self._context.height = context.width, context.height
        self._context.pix_fmt = context.pix_fmt
        self._context.codec_tag = context.codec_tag
        self._context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        # With two threads, and only then, HEVC's rows are read from where they are said to begin.
        self._context.thread_count = 2 if context.name == "hevc" else 1
        self._context.thread_type = "SLICE"

    @classmethod
    def of(cls, context: VideoCodecContext) -> Witness | None:
        """A witness for what this decoder shows; None where its coding needs none, or there is none."""
        if context.name in _OTHER_DECODER and (context.format is None or _sample_bytes(context.format) > 1):
            return None  # libvpx is mostly built without them
        # From version 2 on FFV1 has a header of its own, and sums to check each part of a picture.
        if context.name not in {*_OTHER_DECODER, *_RUNS_ON} or (context.name == "ffv1" and context.extradata):
            return None
        try:
            return cls(context)
        except av.codec.codec.UnknownCodecError:
            return None

    def agrees(self, packet: Packet[VideoStream] | None, frames: list[VideoFrame]) -> bool:
        """Whether it shows the same, as far as both have come. packet : None at the stream's end."""
        self._own.extend(frames)
        if packet is not None and packet.is_discard:
            # Its frame is not shown, which a packet made here cannot say.
            self._hidden.add(packet.pts)
        given = None if packet is None else self._longer(packet)
        with complaints():
            try:
                shown = self._context.decode(given)
            except av.error.FFmpegError:
                if self._refuses:
                    return False
                shown = []
        shown = [frame for frame in shown if frame.pts not in self._hidden]
        return all(self._own and same_pixels(self._own.popleft(), frame) for frame in shown)

    def _longer(self, packet: Packet[VideoStream]) -> Packet[VideoStream]:
        """The packet, with bytes after its picture's end."""
        data = bytes(packet)
        if self._name == "hevc" and self._extradata[:1] == b"\1":
            data = _longer_unit(data, (self._extradata[21] & 3) + 1)
        elif self._name in _RUNS_ON:
            data += _MORE
        longer = cast("Packet[VideoStream]", av.Packet(data))
        longer.pts, longer.dts, longer.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
        return longer


def _longer_unit(data: bytes, size_bytes: int) -> bytes:
    """HEVC as MP4 and Matroska hold it (ISO/IEC 14496-15): units, each after its size; the last one made longer."""
    at = last = 0
    while at + size_bytes < len(data):
        last = at
        at += size_bytes + int.from_bytes(data[at : at + size_bytes], "big")
    begin = last + size_bytes
    if at != len(data) or data[begin] >> 1 & 0x3F > _LAST_SLICE_TYPE:
        return data
    size = len(data) - begin + len(_MORE)
    return data[:last] + size.to_bytes(size_bytes, "big") + data[begin:] + _MORE


def same_pixels(a: VideoFrame, b: VideoFrame) -> bool:
    """Whether two frames hold the same picture. What lies between its rows in memory does not count."""
    if (a.width, a.height, a.format.name) != (b.width, b.height, b.format.name):
        return False
    packed_bits = a.format.padded_bits_per_pixel if len(a.planes) == 1 else None
    sample_bytes = _sample_bytes(a.format)
    for one, other in zip(a.planes, b.planes, strict=True):
        row_bytes = one.width * sample_bytes if packed_bits is None else one.width * packed_bits // 8
        if not np.array_equal(_rows(one, row_bytes), _rows(other, row_bytes)):
            return False
    return True


def _sample_bytes(pixels: VideoFormat) -> int:
    return -(-max(component.bits for component in pixels.components) // 8)


def _rows(plane: VideoPlane, row_bytes: int) -> npt.NDArray[np.uint8]:
    stored = np.frombuffer(memoryview(plane), np.uint8)
    return stored[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)[:, :row_bytes]
