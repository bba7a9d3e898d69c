"""Which prompts of a batch are computed together, and whose keys and values they begin with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from ghostbench_drivemm.input.beginning import Beginning

_WORTH = 64
"""A beginning shorter than this is computed again rather than waited for or copied, positions."""
_MOST_BYTES = 256 << 20
"""Of keys and values of texts that are kept from batch to batch: a task's are 57 MB in 16 bits."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt to be answered: its positions, and what others may begin with too, shortest first."""

    length: int
    beginnings: tuple[Beginning, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Prompts that are prefilled together, by their places in the batch.

    shared : of each, the beginning whose keys and values are there before; None where all of it is computed.
    """

    places: tuple[int, ...]
    shared: tuple[Beginning | None, ...]

    @property
    def skips(self) -> tuple[int, ...]:
        """Positions of each prompt that are not computed."""
        return tuple(0 if own is None else own.positions for own in self.shared)


class TextStore:
    """Keys and values of texts that prompts begin with, kept from batch to batch; the one used longest ago goes."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._kept

    def get(self, digest: bytes) -> Tensor:
        """Keys and values [layers, 2, kv_heads, positions, head]."""
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def put(self, digest: bytes, kept: Tensor) -> None:
        """Keep them."""
        self._kept[digest] = kept
        while sum(own.numel() * own.element_size() for own in self._kept.values()) > self._most:
            self._kept.popitem(last=False)


def chunks(prompts: Sequence[Prompt], budget: int, is_kept: Callable[[bytes], bool]) -> list[Chunk]:
    """The prompts in the order in which they are computed, together up to about `budget` positions that are computed.

    A prompt that shares a beginning with one before it waits for that one to be done, and begins with its keys and
    values. is_kept : whether those of a beginning are there already.
    """
    found: list[Chunk] = []
    done: set[bytes] = set()
    waiting = list(range(len(prompts)))
    while waiting:
        places: list[int] = []
        shared: list[Beginning | None] = []
        making: set[bytes] = set()
        later: list[int] = []
        total = 0
        for number, place in enumerate(waiting):
            prompt = prompts[place]
            usable = [own for own in prompt.beginnings if own.positions >= _WORTH]
            there = [own for own in usable if own.digest in done or is_kept(own.digest)]
            start = there[-1].positions if there else 0
            if any(own.digest in making and own.positions - start >= _WORTH for own in usable):
                later.append(place)
                continue
            if places and total + prompt.length - start > budget:
                later += waiting[number:]
                break
            places.append(place)
            shared.append(there[-1] if there else None)
            total += prompt.length - start
            making |= {own.digest for own in usable}
        done |= making
        waiting = later
        found.append(Chunk(tuple(places), tuple(shared)))
    return found
