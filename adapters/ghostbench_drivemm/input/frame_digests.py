"""Digests of frames, by which they are known again; those of a clip's frames are made once for all of its moments."""

from __future__ import annotations

import hashlib
import threading
import weakref
from concurrent.futures import Executor, Future

import numpy as np
import numpy.typing as npt

_Frames = npt.NDArray[np.uint8]


class FrameDigests:
    """SHA-256 of shape and pixels of each frame, uint8 [F, height, width, 3].

    Frames in the same memory as others that were asked about, which nobody can write to, have theirs already.

    threads : makes them there, without being waited for before they are asked for; None makes them here and now.
    """

    def __init__(self, frames: _Frames, threads: Executor | None = None) -> None:
        known = _known(frames)
        self._made = [_made(known, frame, threads) for frame in frames]

    def all(self) -> tuple[bytes, ...]:
        """All of them; waits until they are made."""
        return tuple(one.result() for one in self._made)


_Place = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Where a frame lies: address, shape, strides."""
_Known = dict[_Place, Future[bytes]]
_LOCK = threading.Lock()
_OWNERS: dict[int, tuple[weakref.ref[_Frames], _Known]] = {}
"""What is known of each array that owns memory, by its `id`, as long as it lives."""


def _known(frames: _Frames) -> _Known:
    """What is known of the memory that these frames lie in; of memory that may change, nothing."""
    owner = frames if frames.base is None else frames.base
    if not isinstance(owner, np.ndarray) or owner.flags.writeable or frames.flags.writeable:
        return {}
    key = id(owner)
    with _LOCK:
        if key not in _OWNERS:
            # Called before the memory can be given to another array.
            _OWNERS[key] = (weakref.ref(owner, lambda _: _OWNERS.pop(key, None)), {})
        return _OWNERS[key][1]


def _made(known: _Known, frame: _Frames, threads: Executor | None) -> Future[bytes]:
    place = (frame.ctypes.data, frame.shape, frame.strides)
    with _LOCK:
        # Cancelled ones were asked of threads that have ended.
        if place in known and not known[place].cancelled():
            return known[place]
        if threads is not None:
            known[place] = threads.submit(_digest, frame)
            return known[place]
    done: Future[bytes] = Future()
    done.set_result(_digest(frame))
    known[place] = done
    return done


def _digest(frame: _Frames) -> bytes:
    digest = hashlib.sha256(repr(frame.shape).encode())
    digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()
