"""Pixels in memory that other processes can look at: handed over by a number, and copied nowhere.

The memory is that of a file without a name, which goes when nobody holds it any more, however its holders end. What
cannot be had there (too many open files, no such memory) is ordinary memory, and costs a copy when it is handed over.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import queue
import tempfile
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
_MOST_WAITING = 128
"""Clips whose memory waits to be given back, each with two open files, of which a process may have a thousand."""
_WANTED: ContextVar[bool] = ContextVar("pixels are for other processes too", default=False)


class _Memory(mmap.mmap):
    """Memory with a number by which it can be handed over."""

    number: int

    def __del__(self) -> None:
        number = self.__dict__.pop("number", None)
        if number is not None:
            _LETTING_GO.take(self, number)


class _LettingGo:
    """A thread that gives back memory that nobody holds any more: that takes milliseconds for each clip, and who drops
    the last pixels of a batch is the run's event loop."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Have no thread: in a process that was just forked, where what is yet to be given back is the first one's."""
        self._dropped = queue.SimpleQueue[tuple[_Memory, int]]()
        self._lock = threading.Lock()
        self._has_thread = False

    def begin(self) -> None:
        """Have the thread."""
        if self._has_thread:
            return
        # An interpreter that is ending begins no thread.
        with self._lock, contextlib.suppress(RuntimeError):
            if not self._has_thread:
                threading.Thread(target=_give_back, args=(self._dropped,), name="frames let go", daemon=True).start()
                self._has_thread = True

    def take(self, memory: _Memory, number: int) -> None:
        """Take memory that is held no more, and its file, where not too much waits already; else the file is closed at
        once. Waits for nothing: it may be called anywhere."""
        if self._has_thread and self._dropped.qsize() < _MOST_WAITING:
            self._dropped.put((memory, number))
        else:
            _close(number)


def _give_back(dropped: queue.SimpleQueue[tuple[_Memory, int]]) -> None:
    while True:
        memory, number = dropped.get()
        # What is closed is gone, though this thread holds on to the object until the next one comes.
        with contextlib.suppress(BufferError):
            memory.close()
        _close(number)


_LETTING_GO = _LettingGo()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LETTING_GO.forget)


@dataclass(frozen=True, slots=True)
class Handle:
    """Where pixels of a shape [n, height, width, 3] lie: in `size` bytes of shared memory, from `offset` on."""

    size: int
    offset: int
    shape: tuple[int, ...]


@contextlib.contextmanager
def for_other_processes() -> Iterator[None]:
    """For the length of a `with` in this thread, pixels come to lie where other processes can look at them."""
    token = _WANTED.set(True)
    try:
        yield
    finally:
        _WANTED.reset(token)


def new_pixels(shape: tuple[int, ...]) -> Pixels:
    """An array of this shape with no particular content."""
    if not _WANTED.get():
        return np.empty(shape, np.uint8)
    try:
        return shared(shape)
    except OSError:
        return np.empty(shape, np.uint8)


def shared(shape: tuple[int, ...]) -> Pixels:
    """An array of zeros of this shape in shared memory. Raises `OSError` where there is none to be had."""
    size = math.prod(shape)
    _LETTING_GO.begin()
    number = _unnamed_file()
    try:
        os.ftruncate(number, size)
        memory = _Memory(number, max(1, size)) if size else _Memory(-1, 1)
    except BaseException:
        os.close(number)
        raise
    memory.number = number
    return np.frombuffer(memory, np.uint8, count=size).reshape(shape)


def handle_of(pixels: Pixels) -> tuple[int, Handle]:
    """The number and place of pixels that are to be handed over; those in ordinary memory are copied.

    The number is good as long as the pixels, or the copy, which the returned handle does not hold, are.

    Raises `OSError`.
    """
    memory = memory_of(pixels)
    assert memory is not None
    start = np.frombuffer(memory, np.uint8, count=1).ctypes.data
    return memory.number, Handle(len(memory), pixels.ctypes.data - start, pixels.shape)


def memory_of(pixels: Pixels) -> _Memory | None:
    """The shared memory in which an array lies as one piece; None for every other array."""
    base: object = pixels
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, _Memory) and pixels.flags.c_contiguous and pixels.size else None


def in_shared_memory(pixels: Pixels) -> Pixels:
    """The pixels themselves where they lie in shared memory, else a copy there. Raises `OSError`."""
    if memory_of(pixels) is not None or not pixels.size:
        return pixels
    copy = shared(pixels.shape)
    np.copyto(copy, pixels)
    return copy


def look_at(number: int, handle: Handle) -> Pixels:
    """The pixels that another process handed over, read-only; the number is closed."""
    try:
        memory = mmap.mmap(number, handle.size, access=mmap.ACCESS_READ)
    finally:
        os.close(number)
    count = math.prod(handle.shape)
    return np.frombuffer(memory, np.uint8, count=count, offset=handle.offset).reshape(handle.shape)


def _close(number: int) -> None:
    with contextlib.suppress(OSError):
        os.close(number)


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ghostbench-frames", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
