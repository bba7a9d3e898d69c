"""The host's side of decoding: what each row may choose, what it chose, and when it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ghostbench_drivemm.engine.clock import Clock
from ghostbench_drivemm.engine.decode import Decoder
from ghostbench_drivemm.engine.options import GenerateOptions


class _Row:
    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.finish: Any = "length"
        self.ended = False


class Rules:
    """What each row may choose, and when it has ended."""

    def __init__(self, options: GenerateOptions, decoder: Decoder, count: int, begun: Sequence[int]) -> None:
        self.rows = [_Row() for _ in range(count)]
        self._eos = frozenset(options.eos_ids)
        self._decoder = decoder
        self._answers: Any = None
        if options.grammar is not None:
            from ghostbench_drivemm.answer.grammar import Answers

            self._answers = Answers(options.grammar, count, begun, options.max_new_tokens)
        self._pinned = torch.full_like(decoder.mask, -1, device="cpu")
        self._active = torch.tensor([1] * count + [0] * (decoder.rows - count), dtype=torch.int64)
        if decoder.mask.is_cuda:
            self._pinned, self._active = self._pinned.pin_memory(), self._active.pin_memory()
        self._banned = options.eos_ids if options.ban_eos else ()
        self._masks = self._pinned.numpy()
        if options.ban_eos and self._answers is None:
            self._ban()
            decoder.mask.copy_(self._pinned, non_blocking=True)

    def fill(self) -> None:
        """Send the masks of the next choice, if answers have a grammar."""
        if self._answers is not None:
            self._answers.fill(self._masks)
            self._ban()
            self._decoder.mask.copy_(self._pinned, non_blocking=True)

    def add(self, tokens: Sequence[int]) -> list[bool]:
        """Take the tokens chosen last; which rows have ended."""
        closed = self._answers.add(tokens) if self._answers is not None else [False] * len(self.rows)
        changed = False
        for place, (row, token) in enumerate(zip(self.rows, tokens, strict=True)):
            if row.ended:
                continue
            row.tokens.append(token)
            if closed[place] or (token in self._eos and not self._banned):
                row.ended = changed = True
                row.finish = "closed" if closed[place] else "stop"
                self._active[place] = 0
        if changed:
            self._decoder.active.copy_(self._active, non_blocking=True)
        return [row.ended for row in self.rows]

    @property
    def faults(self) -> list[str | None]:
        """Of each row, what was chosen against the grammar."""
        found: list[str | None] = [None] * len(self.rows) if self._answers is None else self._answers.faults
        return found

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


def uniform_draws(options: GenerateOptions, steps: int, device: torch.device, rows: int) -> Tensor | None:
    """Uniform draws [rows, steps] in [0, 1): each row's from its own seed."""
    if options.sampling is None:
        return None
    drawn = np.zeros((rows, steps))
    for row, seed in enumerate(options.sampling.seeds):
        drawn[row] = np.random.default_rng(seed).random(steps)
    return torch.from_numpy(drawn).to(device)
