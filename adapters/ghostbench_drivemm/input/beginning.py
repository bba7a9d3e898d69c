"""Beginnings of prompts that other prompts may share: the task's text, each further frame, all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first `positions` of a prompt, >= 1; prompts of one checkpoint with equal digests begin alike.

    kind : where it ends. text: before the frames, where the prompts of a task begin alike. frames: behind one of a
        clip's frames, or behind the last and what closes them. prompt: one position before the prompt's end.
    """

    positions: int
    digest: bytes
    kind: Literal["text", "frames", "prompt"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What tells a prompt's only visual item from all others.

    digests : one for each frame, in order. frame : positions of a frame, >= 1. closing : positions behind the last one
        that belong to the item, >= 0.
    """

    digests: Sequence[bytes]
    frame: int
    closing: int


def beginnings(ids: npt.NDArray[np.int64], mark: int | None, shown: Shown | None) -> tuple[Beginning, ...]:
    """The beginnings of a prompt, shortest first.

    ids : its tokens. mark : where its first visual item stands among them. shown : what that shows; None where that is
    not known, or where there are more items.
    The last position always has to be computed, since what is written is read from it.
    """
    if mark is None:
        return _whole(len(ids), _digest(b"", ids))
    seen = _digest(b"", ids[:mark])
    found = [Beginning(mark, seen, "text")] if mark else []
    if shown is None:
        return tuple(found)
    end = mark
    for own in shown.digests:
        seen, end = hashlib.sha256(seen + own).digest(), end + shown.frame
        found.append(Beginning(end, seen, "frames"))
    if shown.closing:
        seen, end = hashlib.sha256(seen).digest(), end + shown.closing
        found.append(Beginning(end, seen, "frames"))
    after = ids[mark + 1 :]
    if not len(after):
        return tuple(found[:-1])
    return (*found, *_whole(end + len(after), _digest(seen, after)))


def _whole(length: int, digest: bytes) -> tuple[Beginning, ...]:
    return (Beginning(length - 1, digest, "prompt"),) if length > 1 else ()


def _digest(before: bytes, ids: npt.NDArray[np.int64]) -> bytes:
    return hashlib.sha256(before + ids.tobytes()).digest()
