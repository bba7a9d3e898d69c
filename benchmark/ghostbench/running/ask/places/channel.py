"""Messages between a run and its workers: pickled, with pixels handed over as the numbers of shared memory.

A message is its length (8 bytes), the count of numbers (4 bytes), and the pickle. Numbers travel with the bytes of the
head, as many as one call takes; a message with more brings the rest in further heads of length 0.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import socket
import threading
from typing import Any

from typing_extensions import override

from ghostbench.frames import Frames
from ghostbench.media.shared import Handle, handle_of, in_shared_memory, look_at
from ghostbench.running.ask.places.started import HEAD

_MOST_NUMBERS = 64
"""Numbers with one call; the kernel takes 253."""
_LONGEST, _LONGEST_LIST = 1 << 40, 1 << 20
"""No message is longer, in bytes and in numbers."""
_FRAMES = "frames"


class Closed(Exception):
    """The other side is gone."""


class Channel:
    """One end. Several threads may send; one receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message. Raises `Closed`, and whatever cannot be pickled raises."""
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump(message)
        numbers = pickler.numbers
        with file.getbuffer() as data, self._sending:
            try:
                rest = numbers[_MOST_NUMBERS:]
                self._put(HEAD.pack(len(data), len(numbers)), numbers[:_MOST_NUMBERS])
                while rest:
                    self._put(HEAD.pack(0, 0), rest[:_MOST_NUMBERS])
                    rest = rest[_MOST_NUMBERS:]
                self._end.sendall(data)
            except OSError as error:
                raise Closed(str(error)) from None

    def receive(self) -> Any:
        """The next message. Raises `Closed`, and whatever cannot be unpickled raises."""
        head, numbers = self._get(HEAD.size)
        length, count = HEAD.unpack(head)
        if length > _LONGEST or count > _LONGEST_LIST:
            raise pickle.UnpicklingError("what came is no message")
        while len(numbers) < count:
            _, more = self._get(HEAD.size)
            numbers += more
        data = memoryview(bytearray(length))
        read = 0
        while read < length:
            got = self._read_into(data[read:])
            if not got:
                raise Closed("the other side closed its end")
            read += got
        try:
            return _Unpickler(io.BytesIO(data), numbers).load()
        finally:
            for number in numbers:
                os.close(number)

    def close(self) -> None:
        """Close this end; whoever waits on either is let go."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _put(self, data: bytes, numbers: list[int]) -> None:
        if not numbers:
            self._end.sendall(data)
            return
        sent = socket.send_fds(self._end, [data], numbers)
        self._end.sendall(data[sent:])

    def _get(self, length: int) -> tuple[bytes, list[int]]:
        """So many bytes, and the numbers that came with them."""
        data, numbers = b"", list[int]()
        while len(data) < length:
            try:
                more, came, _, _ = socket.recv_fds(self._end, length - len(data), _MOST_NUMBERS)
            except OSError as error:
                raise Closed(str(error)) from None
            numbers += came
            if not more:
                raise Closed("the other side closed its end")
            data += more
        return data, numbers

    def _read_into(self, data: memoryview) -> int:
        try:
            return self._end.recv_into(data)
        except OSError as error:
            raise Closed(str(error)) from None


class _Pickler(pickle.Pickler):
    """Hands the pixels of frames over; all else is pickled."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.numbers: list[int] = []
        self._held: list[Any] = []
        self._places: dict[int, int] = {}

    @override
    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not Frames or not len(obj):
            return None
        whole = obj.original()
        try:
            pixels = in_shared_memory(whole.pixels)
        except OSError:
            return None
        # Copies live until the message is sent: the other side holds them then.
        self._held.append(pixels)
        number, handle = handle_of(pixels)
        place = self._places.setdefault(number, len(self.numbers))
        if place == len(self.numbers):
            self.numbers.append(number)
        facts = (whole.indices, whole.times_s, whole.duration_s, whole.decoder, whole.sha256)
        return _FRAMES, place, (handle.size, handle.offset, handle.shape), facts, obj is not whole


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, numbers: list[int]) -> None:
        super().__init__(file)
        self._numbers = numbers

    @override
    def persistent_load(self, pid: Any) -> Frames:
        kind, place, where, facts, private = pid
        if kind != _FRAMES:
            raise pickle.UnpicklingError(f"unknown handle {kind!r}")
        pixels = look_at(os.dup(self._numbers[place]), Handle(*where))
        indices, times_s, duration_s, decoder, sha256 = facts
        frames = Frames(pixels, indices=indices, times_s=times_s, duration_s=duration_s, decoder=decoder, sha256=sha256)
        return frames.private() if private else frames
