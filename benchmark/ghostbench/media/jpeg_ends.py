"""Whether the data of a motion JPEG's picture end where its blocks do, which they do not after most damage.

After damage a decoder loses its place, reads the picture's blocks from the wrong bits, and has mostly too many of them
or too few when all are read; of too many it says nothing. So the picture is decoded once more, a row of blocks taller
and with nothing but ones after its data, of which no Huffman code is made: the decoder stops at the first of them and
says at which block. That is the first of the row that was added, unless something was amiss. What lies between two
restart markers is looked at as a picture of its own.
Format: ITU-T T.81, B.1.1, B.2, C and F.1.2.3.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import av
import av.error

from ghostbench.media.complaints import complaints
from ghostbench.media.limits import MAX_FRAME_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_BEGIN, _SCAN, _END, _INTERVAL = 0xD8, 0xDA, 0xD9, 0xDD
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL: Final = (0xC0, 0xC1)
_MARKER: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""What ends the data of a scan: no restart, and no byte 255 of the data, which a 0 follows."""
_RESTART: Final = re.compile(rb"\xff+[\xd0-\xd7]")
_ONES: Final = b"\xff\0" * 24
_TRIED: Final = 3
"""How many of the last bytes may be data or no data, each of them tried, beside all of them."""
_TABLES: Final = b"\xff\xc4"
_MOST: Final = 0xFFFF
"""The largest height and width."""
_BLOCK: Final = 8
_USUAL: Final = ((), (0x11, 0x11))
"""How the colours beside the brightness are sampled: there are none, or their blocks cover what all of its do."""
_STOPPED_AT: Final = re.compile(r"error y=(\d+) x=(\d+)")
_BY_WHAT: Final = re.compile(r"bad vlc: (\d+)|(error count)")
"""The table of a block's first number, or the middle of a block."""


@dataclass(frozen=True, slots=True)
class JpegPicture:
    """A picture of one scan.

    size_at, interval_at : places in `data`: of height and width, and of the blocks between restarts, 0 for none.
    begin, end : of the scan's data. width, height : of a block of all colours, pixels. blocks : in a row. rows : of
    blocks. table : the Huffman table of the first one.
    """

    data: bytes
    size_at: int = 0
    interval_at: int = 0
    begin: int = 0
    end: int = 0
    width: int = 0
    height: int = 0
    blocks: int = 0
    rows: int = 0
    table: int = 0

    def parts(self) -> Iterator[JpegPart]:
        """What has no restart within; nothing where there are too many restarts or too few."""
        total, every = self.blocks * self.rows, self.blocks * self.rows
        if self.interval_at:
            every = int.from_bytes(self.data[self.interval_at : self.interval_at + 2], "big") or total
        found = _RESTART.finditer(self.data, self.begin, self.end)
        bounds = [(each.start(), each.end()) for each in found]
        begins = [self.begin, *(end for _, end in bounds)]
        ends = [*(begin for begin, _ in bounds), self.end]
        if len(begins) != -(-total // every):
            return
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            count = min(every, total - number * every)
            across = self.blocks if count % self.blocks == 0 else count
            size = ((count // across + 1) * self.height, across * self.width)
            if max(size) <= _MOST:
                yield JpegPart(self, begin, end, size)


@dataclass(frozen=True, slots=True)
class JpegPart:
    """Data of a picture, [begin, end), without a restart within. size : height and width of a picture that would hold
    its blocks and one row more."""

    picture: JpegPicture
    begin: int
    end: int
    size: tuple[int, int]

    @property
    def rows(self) -> int:
        """Of its own blocks."""
        return self.size[0] // self.picture.height - 1

    def taller(self) -> Iterator[bytes]:
        """A picture of it with a row of blocks more and ones for its data, for each place where its own may end:
        writers fill up with zeros or ones, and data may end with such bytes too."""
        whole = self.picture
        head = bytearray(whole.data[: whole.begin])
        head[whole.size_at : whole.size_at + 4] = b"".join(each.to_bytes(2, "big") for each in self.size)
        if whole.interval_at:
            head[whole.interval_at : whole.interval_at + 2] = bytes(2)
        bare = self.end - self.filling
        for end in sorted({self.end, *(min(bare + more, self.end) for more in range(_TRIED))}, reverse=True):
            yield bytes(head) + whole.data[self.begin : end] + _ONES + bytes((0xFF, _END))

    @property
    def filling(self) -> int:
        """How many bytes at the end may be no data."""
        data = self.picture.data[self.begin : self.end]
        return len(data) - len(data.rstrip(b"\0\xff"))

    def ends_well(self) -> bool:
        """Whether its data end with its last block; True too where the decoder does not tell."""
        stops, after_last = [], (self.rows, 0)
        for data in self.taller():
            stop = self._stop(data)
            if stop is None or stop == (after_last, str(self.picture.table)):
                return True
            stops.append(stop[0])
        # Zeros are blocks too where a plain picture's own tables say so: its data then end among more than were tried.
        return self.filling > _TRIED and stops[1] < after_last <= stops[0]

    def _stop(self, data: bytes) -> tuple[tuple[int, int], str | None] | None:
        """At which block the decoder stops, by row and place in it, and by the table of its first number; None where it
        does not tell."""
        context = av.CodecContext.create("mjpeg", "r")
        context.options = {"max_pixels": str(2 * MAX_FRAME_PIXELS)}
        context.thread_count = 1
        with complaints() as heard, contextlib.suppress(av.error.FFmpegError):
            context.decode(cast("Packet[VideoStream]", av.Packet(data)))
        words = "\n".join(heard)
        at, what = _STOPPED_AT.search(words), _BY_WHAT.search(words)
        return None if at is None or what is None else ((int(at[1]), int(at[2])), what[1])


class JpegWitness:
    """Holds each packet of a motion JPEG against where it ends."""

    def __init__(self) -> None:
        self._told_tables = False

    def agrees(self, packet: Packet[VideoStream] | None, frames: list[VideoFrame]) -> bool:
        """Whether a packet of which one frame came ends where it should; True too where that cannot be told, as of one
        without tables after one with tables, which hold for it too."""
        data = bytes(packet) if packet is not None else b""
        lacks_tables = self._told_tables and _TABLES not in data
        self._told_tables = self._told_tables or _TABLES in data
        picture = jpeg_picture(data) if len(frames) == 1 and not lacks_tables else None
        return picture is None or all(part.ends_well() for part in picture.parts())


def jpeg_picture(data: bytes) -> JpegPicture | None:
    """The only picture of a packet; None where there are several, and for one of several scans, of another coding than
    sequential Huffman, or of unusual sampling."""
    at = data.find(bytes((0xFF, _BEGIN)))
    picture, at = JpegPicture(data), at + 2
    while at >= 2 and at + 4 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == 0xFF:
            at += 1
            continue
        if kind in _FRAMES:
            if kind not in _SEQUENTIAL or (framed := _framed(picture, at + 4, length - 2)) is None:
                return None
            picture = framed
        elif kind == _INTERVAL:
            picture = replace(picture, interval_at=at + 4)
        elif kind == _SCAN:
            begin = at + 2 + length
            ends = _MARKER.search(data, begin)
            if not picture.rows or ends is None or data[ends.end() - 1] != _END:
                return None
            if data.find(bytes((0xFF, _BEGIN)), ends.end()) >= 0:
                return None
            return replace(picture, begin=begin, end=ends.start(), table=data[at + 6] >> 4)
        at += 2 + length
    return None


def _framed(picture: JpegPicture, at: int, length: int) -> JpegPicture | None:
    """With what the frame's header says: bits, height, width, and of each part its number, sampling and table."""
    data = picture.data[at : at + length]
    if len(data) < 9 or len(data) != 6 + 3 * data[5] or data[0] != 8:
        return None
    first, *others = data[7::3]
    across, down = first >> 4, first & 15
    if tuple(others) not in _USUAL or across not in (1, 2) or down not in (1, 2):
        return None
    if not others:  # a part alone is not interleaved: its blocks come one by one (A.2.2)
        across = down = 1
    width, height = _BLOCK * across, _BLOCK * down
    rows, blocks = -(-int.from_bytes(data[1:3], "big") // height), -(-int.from_bytes(data[3:5], "big") // width)
    return replace(picture, size_at=at + 1, width=width, height=height, rows=rows, blocks=blocks)
