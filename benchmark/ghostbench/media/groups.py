"""A shorter way to a clip's sampled frames: decode only the groups of pictures that hold them.

In MPEG-4 part 2 without B-frames (XVID as DADA-2000 uses it) a P-frame depends on the frame before it and on nothing
before the last I-frame. So the frames from the last I-frame to a sampled one give the same pixels as decoding from the
clip's start, and with I-frames every twelve frames that is a fraction of the work.

The clip's length is still counted, not believed: every packet of the file is read and looked into, each is one frame,
and a file that ends early has fewer of them. Damage is found in the frames that are decoded; frames that no model sees
are not looked at. Wherever a clip does not keep to what is assumed here, `decode_groups` gives None and the whole clip
is decoded.
"""

from __future__ import annotations

import itertools
from typing import IO, TYPE_CHECKING, Final

import av.error
from av.video.frame import PictureType

from ghostbench.errors import DecodeFailed
from ghostbench.media.complaints import complaints
from ghostbench.media.sampling import Sampling
from ghostbench.media.stream import check_complete, open_video
from ghostbench.media.taker import Taker
from ghostbench.media.timeline import Timeline

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_CODEC: Final = "mpeg4"
_MIN_PACKET_BYTES: Final = 16
"""Smaller packets are placeholders for frames that are not coded, or packed with another."""
_PICTURE: Final = b"\0\0\1\xb6"
"""What a picture begins with; the next two bits are its kind."""
_I_OR_P: Final = (0, 1)
_MAX_HELD_BYTES: Final = 64 << 20
"""Packets are held in memory until the sampled frames are known; larger files are decoded whole."""


def decode_groups(file: str | IO[bytes], sampling: Sampling) -> tuple[str, Timeline, Taker, tuple[int, ...]] | None:
    """Codec, every frame's time, the sampled frames' pixels and their numbers; None if the clip needs the long way.

    Raises `DecodeFailed` if the file is torn, and PyAV's errors if it cannot be opened or read.
    """
    with open_video(file) as (container, stream):
        if stream.codec_context.name != _CODEC:
            return None
        packets: list[Packet[VideoStream]] = []
        held = 0
        for packet in container.demux(stream):
            held += packet.size
            if packet.size:
                packets.append(packet)
            if held > _MAX_HELD_BYTES:
                return None
        if not _one_frame_each(packets):
            return None
        timeline = Timeline.of(container, stream)
        timeline.opening = packets[0].dts
        for packet in packets:
            timeline.add(packet.pts, packet.dts, packet.duration or 0)
        if None in timeline.stamps or any(
            a >= b for a, b in itertools.pairwise(s for s in timeline.stamps if s is not None)
        ):
            return None
        last = packets[-1]
        check_complete(container, stream, timeline, None if last.dts is None else last.dts + (last.duration or 0))
        indices = timeline.wanted(sampling)
        taker = Taker(len(indices))
        try:
            complete = _take(stream, packets, indices, taker)
        except (av.error.FFmpegError, DecodeFailed):
            return None
        return (stream.codec_context.name, timeline, taker, indices) if complete else None


def _one_frame_each(packets: list[Packet[VideoStream]]) -> bool:
    """Whether the packets look like one frame each, all of them shown, beginning with an I-frame."""
    if not packets or not packets[0].is_keyframe:
        return False
    return all(
        packet.size >= _MIN_PACKET_BYTES and not packet.is_corrupt and not packet.is_discard and _is_one_frame(packet)
        for packet in packets
    )


def _is_one_frame(packet: Packet[VideoStream]) -> bool:
    """Whether a packet holds exactly one coded picture, an I- or P-frame (ISO/IEC 14496-2, 6.2.5)."""
    data = memoryview(packet).tobytes()
    at = data.find(_PICTURE)
    if at < 0 or at + len(_PICTURE) >= len(data) or data.find(_PICTURE, at + 1) >= 0:
        return False
    return data[at + len(_PICTURE)] >> 6 in _I_OR_P


def _take(stream: VideoStream, packets: list[Packet[VideoStream]], indices: tuple[int, ...], taker: Taker) -> bool:
    """Decode what the sampled frames need. False as soon as the decoder contradicts what the packets seemed to be."""
    context = stream.codec_context
    at = -1
    for wanted in indices:
        key = next(i for i in range(wanted, -1, -1) if packets[i].is_keyframe)
        if at < 0 or key > at + 1:
            context.flush_buffers()
            at = key - 1
        frame: VideoFrame | None = None
        while at < wanted:
            at += 1
            with complaints() as heard:
                frames = context.decode(packets[at])
            if heard or len(frames) != 1 or (frames[0].pts, frames[0].dts) != (packets[at].pts, packets[at].dts):
                return False
            frame = frames[0]
            kinds = (PictureType.I,) if packets[at].is_keyframe else (PictureType.I, PictureType.P)
            if frame.pict_type not in kinds or frame.is_corrupt:
                return False
            taker.check(frame)
        if frame is None:
            return False
        taker.take(frame)
    return True
