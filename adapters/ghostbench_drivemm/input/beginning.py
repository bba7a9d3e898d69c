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

    kind : where it ends. text: before the first frames, or behind those of an example, where the prompts of a task
        begin alike whatever they are asked about. frames: behind one of a clip's frames, or behind the last and what
        closes them. prompt: one position before the prompt's end.
    """

    positions: int
    digest: bytes
    kind: Literal["text", "frames", "prompt"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What tells a visual item of a prompt from all others.

    digests : one for each frame, in order. frame : positions of a frame, >= 1. closing : positions behind the last one
        that belong to the item, >= 0.
    """

    digests: Sequence[bytes]
    frame: int
    closing: int


def beginnings(
    ids: npt.NDArray[np.int64], marks: Sequence[int], shown: Sequence[Shown] | None
) -> tuple[Beginning, ...]:
    """The beginnings of a prompt, shortest first.

    ids : its tokens. marks : where its visual items stand among them; of several the last is the clip, and the others
    are examples. shown : what each of them shows; None where that is not known.
    The last position always has to be computed, since what is written is read from it.
    """
    if not marks:
        return _whole(len(ids), _digest(b"", ids))
    mark = marks[0]
    seen = _digest(b"", ids[:mark])
    found = [Beginning(mark, seen, "text")] if mark else []
    if shown is None:
        return tuple(found)
    end = mark
    for example, following in zip(shown, marks[1:], strict=False):
        between = ids[mark + 1 : following]
        for own in example.digests:
            seen = hashlib.sha256(seen + own).digest()
        seen = hashlib.sha256(seen).digest()
        end += len(example.digests) * example.frame + example.closing
        found.append(Beginning(end, seen, "text"))
        # What is said before the next frames tells of their clip.
        seen, end, mark = _digest(seen, between), end + len(between), following
    clip = shown[-1]
    for own in clip.digests:
        seen, end = hashlib.sha256(seen + own).digest(), end + clip.frame
        found.append(Beginning(end, seen, "frames"))
    if clip.closing:
        seen, end = hashlib.sha256(seen).digest(), end + clip.closing
        found.append(Beginning(end, seen, "frames"))
    after = ids[mark + 1 :]
    if not len(after):
        return tuple(found[:-1])
    return (*found, *_whole(end + len(after), _digest(seen, after)))


def _whole(length: int, digest: bytes) -> tuple[Beginning, ...]:
    return (Beginning(length - 1, digest, "prompt"),) if length > 1 else ()


def _digest(before: bytes, ids: npt.NDArray[np.int64]) -> bytes:
    return hashlib.sha256(before + ids.tobytes()).digest()
