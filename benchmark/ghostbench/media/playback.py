"""Plays a video stream: which of its frames are shown, in order, and whether anything in them is made up.

What FFmpeg shows is taken, with three differences. Where it conceals damage and goes on, a clip fails: by what it says
in its log, by its marks on packets and frames, or by an error. Where a clip begins in the middle of a group of
pictures, frames that lack what they were predicted from are left out and not shown in grey. And a packet that the
file's end cuts off is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import av.error

from ghostbench.errors import DecodeFailed
from ghostbench.media.complaints import complaints
from ghostbench.media.jpeg_ends import JpegWitness
from ghostbench.media.stream import stated_duration_s
from ghostbench.media.witness import Witness

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_WITHHOLDS: Final = frozenset({"h264"})
"""Decoders that show nothing before a picture has all that it was predicted from."""


class Playback:
    """One pass over a stream.

    late : whether frames at the clip's beginning had to be left out.
    opening, decoded_to : the first packet's decoding stamp and the last one's end, in the stream's time base; None
        where unknown.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.late = False
        self.opening: int | None = None
        self.decoded_to: int | None = None
        self._container = container
        self._stream = stream
        self._context = stream.codec_context
        self._taken = 0
        self._shown = 0
        self._begun = False
        self._begins_at: int | None = None
        self._lost: set[int] = set()
        self._witness: Witness | JpegWitness | None = None

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame that is to be shown, in order.

        Raises `DecodeFailed` at the first damage, and PyAV's errors if the file cannot be read or decoded.
        """
        cut = False
        for packet in self._packets():
            if cut and self._begun:
                raise DecodeFailed(f"the file is damaged after frame {self._shown}: parts of it are missing")
            cut = packet.is_corrupt
            if cut:
                continue
            if self._taken == 0:
                self.opening = packet.dts
            if packet.dts is not None:
                self.decoded_to = packet.dts + (packet.duration or 0)
            if packet.is_keyframe and not self._begun:
                self._begin(packet)
            self._taken += 1
            yield from self._chosen(packet)
        yield from self._chosen(None)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets, without empty ones, which stand for frames that were dropped while recording.

        What the container's reader complains of is damage if more packets follow, and the file's end if none does: how
        much is missing there is another question (`check_complete`), unless the file does not say how long it is.
        """
        packets = self._container.demux(self._stream)
        words: list[str] = []
        while True:
            with complaints() as heard:
                packet = next(packets, None)
            follows = packet is not None and packet.size > 0
            if words and self._begun and (follows or not stated_duration_s(self._container, self._stream)):
                raise DecodeFailed(f"the file is damaged after frame {self._shown}: {words[0]}")
            words += [word for word in heard if word.startswith(f"{self._container.format.name}: ")]
            if packet is None:
                return
            if follows:
                yield packet

    def _begin(self, packet: Packet[VideoStream]) -> None:
        """From this key frame on, all is decodable but what is shown before it."""
        if self._context.name not in _WITHHOLDS:
            self._context.flush_buffers()
        self._begun = True
        self._begins_at = packet.pts
        self._witness = JpegWitness() if self._context.name == "mjpeg" else Witness.of(self._context)
        self.late = self._taken > 0 and self._shown == 0

    def _chosen(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        """The frames to be shown of those that a packet, or the stream's end, brings out."""
        for frame in self._decoded(packet):
            # Not every file marks its key frames.
            self._begun = self._begun or frame.key_frame or self._context.name in _WITHHOLDS
            if not self._begun or (frame.pts is not None and frame.pts in self._lost):
                self.late = True
                continue
            if frame.is_corrupt:
                raise DecodeFailed(f"the decoder found frame {self._shown} damaged and had to make up parts of it")
            self._shown += 1
            yield frame

    def _decoded(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        failure = ""
        with complaints() as heard:
            try:
                frames = self._context.decode(packet)
            except av.error.InvalidDataError as error:
                failure = error.strerror or type(error).__name__
        if not heard and not failure:
            if self._witness is not None and not self._witness.agrees(packet, frames):
                raise DecodeFailed(
                    f"the decoder made up what it showed after frame {self._shown}: decoded another way it is different"
                )
            return frames
        if self._begun and not (packet is not None and self._leads(packet)):
            raise DecodeFailed(f"the decoder found damage after frame {self._shown}: {[*heard, failure][0]}")
        self.late = True
        return frames

    def _leads(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet is shown before the first key frame, and may lack what it was predicted from; noted so."""
        leads = packet.pts is not None and self._begins_at is not None and packet.pts < self._begins_at
        if leads and packet.pts is not None:
            self._lost.add(packet.pts)
        return leads
