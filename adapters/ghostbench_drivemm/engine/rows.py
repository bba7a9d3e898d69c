"""The host's side of decoding: what each row may choose, what it chose, and when it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ghostbench_drivemm.engine.clock import Clock
from ghostbench_drivemm.engine.decode import CHOSEN, MOST_NEW, Decoder
from ghostbench_drivemm.engine.options import Finish, GenerateOptions


class _Row:
    """One answer. known : tokens that follow in any case, not yet given to the device. steps : of its decoding."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.known: list[int] = []
        self.finish: Finish = "length"
        self.ended = False
        self.waits = False
        self.forced = 0
        self.steps = 0


class Rules:
    """What each row may choose, what follows without a choice, and when it has ended.

    Where the grammar allows one token alone, that token is taken without its logits, and so on until there is a choice.
    """

    def __init__(self, options: GenerateOptions, decoder: Decoder, count: int, begun: Sequence[int]) -> None:
        self.rows = [_Row() for _ in range(count)]
        self._limit = options.max_new_tokens - len(begun)
        self._eos = frozenset() if options.ban_eos else frozenset(options.eos_ids)
        self._decoder = decoder
        self._fast = options.goes_ahead
        self._answers: Any = None
        self._pinned = torch.full_like(decoder.mask, -1, device="cpu")
        if decoder.mask.is_cuda:
            self._pinned = self._pinned.pin_memory()
        self._banned = options.eos_ids if options.ban_eos else ()
        self._masks = self._pinned.numpy()
        if options.grammar is not None:
            from ghostbench_local.answer.grammar import Answers

            self._answers = Answers(options.grammar, count, begun, options.max_new_tokens)
            self._look_ahead(range(count))
        elif options.ban_eos:
            self._ban()
            decoder.mask.copy_(self._pinned, non_blocking=True)

    def fill(self) -> None:
        """Send the masks of the next choice, if answers have a grammar."""
        if self._answers is not None:
            self._decoder.mask.copy_(self._pinned, non_blocking=True)

    def new(self) -> list[list[int]]:
        """What the device is to compute next of each row: known tokens, the one chosen now, or nothing any more."""
        room = self._decoder.room - sum(not row.ended for row in self.rows)
        found = []
        for row in self.rows:
            row.waits = not row.ended and not row.known
            own = [CHOSEN] if row.waits else []
            if not row.ended and row.known:
                count = min(len(row.known), MOST_NEW, 1 + room)
                own, row.known = row.known[:count], row.known[count:]
                room -= count - 1
            row.steps += bool(own)
            found.append(own)
        return found

    def add(self, tokens: Sequence[int]) -> bool:
        """Take the tokens chosen last, of rows that waited for one; whether all rows have ended."""
        waiting = [place for place, row in enumerate(self.rows) if row.waits]
        for place in waiting:
            self._take(place, tokens[place])
        self._look_ahead([place for place in waiting if not self.rows[place].ended])
        return all(row.ended for row in self.rows)

    @property
    def faults(self) -> list[str | None]:
        """Of each row, what was chosen against the grammar."""
        found: list[str | None] = [None] * len(self.rows) if self._answers is None else self._answers.faults
        return found

    def _take(self, place: int, token: int) -> None:
        row = self.rows[place]
        row.tokens.append(token)
        if self._answers is not None and self._answers.add(place, token):
            row.ended, row.finish = True, "closed"
        elif token in self._eos:
            row.ended, row.finish = True, "stop"
        elif len(row.tokens) >= self._limit:
            row.ended = True

    def _look_ahead(self, places: Iterable[int]) -> None:
        """Fill these rows' masks; take what has no alternative."""
        asked = list(places)
        while self._answers is not None and asked:
            alone = self._answers.fill(self._masks, asked)
            asked = []
            for place, token in alone.items() if self._fast else ():
                row = self.rows[place]
                self._take(place, token)
                row.known.append(token)
                row.forced += 1
                if not row.ended:
                    asked.append(place)
        self._ban()

    def _ban(self) -> None:
        for token in self._banned:
            self._masks[:, token // 32] &= np.int32(~np.uint32(1 << (token % 32)).astype(np.int32))


class Chosen:
    """The tokens of every step, copied to the host without holding up the device."""

    def __init__(self, steps: int, rows: int, clock: Clock, *, on_cuda: bool) -> None:
        self._clock = clock
        self.marks: list[Any] = []
        self._host = torch.zeros(steps, rows, dtype=torch.int64)
        if on_cuda:
            self._host = self._host.pin_memory()

    def keep(self, step: int, tokens: Tensor) -> None:
        """Copy the tokens [rows] of a step once the device has chosen them."""
        self._host[step].copy_(tokens, non_blocking=True)
        self.marks.append(self._clock.mark())

    def read(self, step: int) -> list[int]:
        """The tokens of a step; waits until they have been chosen."""
        self._clock.wait(self.marks[step])
        values: list[int] = self._host[step].tolist()
        return values


def uniform_draws(options: GenerateOptions, steps: int, device: torch.device, places: Sequence[int]) -> Tensor | None:
    """Uniform draws [rows, steps] in [0, 1): each row's from its own seed. places : of the rows, in the batch."""
    if options.sampling is None:
        return None
    seeds = [options.sampling.seeds[place] for place in places]
    return torch.from_numpy(np.stack([np.random.default_rng(seed).random(steps) for seed in seeds])).to(device)
