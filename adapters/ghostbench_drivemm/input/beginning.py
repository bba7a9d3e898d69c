"""Beginnings of prompts that other prompts may share: the task's text, its frames too, all of it."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first `positions` of a prompt, >= 1; prompts of one checkpoint with equal digests begin alike.

    lasting : text that the prompts of a task have in common, rather than one clip's frames.
    """

    positions: int
    digest: bytes
    lasting: bool = False


class FrameDigests:
    """SHA-256 of shape and pixels of each frame, uint8 [F, height, width, 3].

    threads : makes them there, without being waited for before they are asked for; None makes them here and now.
    """

    def __init__(self, frames: npt.NDArray[np.uint8], threads: Executor | None = None) -> None:
        self._made: list[Future[bytes]] | None = None
        if threads is not None:
            self._made = [threads.submit(_frame_digest, frame) for frame in frames]
        else:
            self._there = tuple(map(_frame_digest, frames))

    def all(self) -> tuple[bytes, ...]:
        """All of them; waits until they are made."""
        if self._made is not None:
            self._there = tuple(one.result() for one in self._made)
            self._made = None
        return self._there


def _frame_digest(frame: npt.NDArray[np.uint8]) -> bytes:
    digest = hashlib.sha256(repr(frame.shape).encode())
    digest.update(np.ascontiguousarray(frame).data)
    return digest.digest()


def beginnings(ids: npt.NDArray[np.int64], mark: int | None, visual: int, shown: bytes | None) -> tuple[Beginning, ...]:
    """The beginnings of a prompt, shortest first.

    ids : its tokens. mark : where its first visual item stands among them. visual : positions of that item.
    shown : tells what the item shows from all else; None where that is not known, or where there are more items.
    The last position always has to be computed, since what is written is read from it.
    """
    if mark is None:
        return _whole(len(ids), _digest(b"", ids))
    text = _digest(b"", ids[:mark])
    found = [Beginning(mark, text, lasting=True)] if mark else []
    if shown is None:
        return tuple(found)
    seen = hashlib.sha256(text + shown).digest()
    after = ids[mark + 1 :]
    if len(after):
        found.append(Beginning(mark + visual, seen))
    return (*found, *_whole(mark + visual + len(after), _digest(seen, after)))


def _whole(length: int, digest: bytes) -> tuple[Beginning, ...]:
    return (Beginning(length - 1, digest),) if length > 1 else ()


def _digest(before: bytes, ids: npt.NDArray[np.int64]) -> bytes:
    return hashlib.sha256(before + ids.tobytes()).digest()
