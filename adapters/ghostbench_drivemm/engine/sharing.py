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


class BeginningStore:
    """Keys and values of beginnings, kept from batch to batch; what was used longest ago goes.

    most_bytes : that they take together at most.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self._within: dict[bytes, tuple[bytes, int]] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes that they take now."""
        return sum(map(_size, self._kept.values()))

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._within

    def get(self, digest: bytes) -> Tensor:
        """Keys and values [layers, 2, kv_heads, positions, head]."""
        longest, positions = self._within[digest]
        self._kept.move_to_end(longest)
        return self._kept[longest][..., :positions, :]

    def put(self, beginnings: Sequence[Beginning], computed: Tensor) -> None:
        """Keep a copy up to the longest of a prompt's beginnings that there is room for.

        beginnings : of one prompt, shortest first. computed : keys and values [layers, 2, kv_heads, positions, head] up
        to the last of them or further. What is a part of it is not held twice.
        """
        fitting = [own for own in beginnings if _size(computed[..., : own.positions, :]) <= self.most_bytes]
        if not fitting:
            return
        last = fitting[-1]
        if last.digest in self._within:
            self._kept.move_to_end(self._within[last.digest][0])
            return
        for own in fitting:
            if own.digest in self._kept:
                self._drop(own.digest)
        kept = computed[..., : last.positions, :]
        while self.held_bytes + _size(kept) > self.most_bytes:
            self._drop(next(iter(self._kept)))
        self._kept[last.digest] = kept.clone()
        self._within |= {own.digest: (last.digest, own.positions) for own in fitting}

    def clear(self) -> None:
        """Give all of it back."""
        self._kept.clear()
        self._within.clear()

    def _drop(self, longest: bytes) -> None:
        del self._kept[longest]
        self._within = {digest: at for digest, at in self._within.items() if at[0] != longest}


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def chunks(prompts: Sequence[Prompt], budget: int, is_kept: Callable[[bytes], bool]) -> list[Chunk]:
    """The prompts in the order in which they are computed, together up to about `budget` positions that are computed.

    A prompt that shares a beginning with one before it waits for that one to be done, and begins with its keys and
    values. Of those that begin with the same frame the one with the most frames comes first: the others, which are
    asked about less of the same clip, then need the words behind their frames alone, and are computed together.
    is_kept : whether the keys and values of a beginning are there already.
    """
    found: list[Chunk] = []
    done: set[bytes] = set()
    waiting = _longest_first(prompts)
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


def _longest_first(prompts: Sequence[Prompt]) -> list[int]:
    """Places in the order of their clips; of one clip those with more frames first."""
    clips: dict[bytes, list[int]] = {}
    for place, prompt in enumerate(prompts):
        shown = [own for own in prompt.beginnings if own.kind == "frames"]
        clips.setdefault(shown[0].digest if shown else b"%d" % place, []).append(place)
    return [place for clip in clips.values() for place in sorted(clip, key=lambda own: -_shown(prompts[own]))]


def _shown(prompt: Prompt) -> int:
    """Positions up to the end of the prompt's frames."""
    return max((own.positions for own in prompt.beginnings if own.kind == "frames"), default=0)
