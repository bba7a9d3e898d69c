"""What is looked at and decided at every step of a batch while transformers generates it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, StoppingCriteria

from ghostbench_local.answer.grammar import Answers, Grammar


class Watch:
    """Holds answers to their grammar, notes logits that are no numbers, and when each answer was over.

    first : the logits behind the prompt, float32 [rows, width]. nonfinite : of each row, after how many new tokens its
    logits were first not numbers; None where they always were. written : new tokens of each row.
    first_token_s : seconds from `started` until the first token could be chosen.

    begun : tokens of the answer that stand at the prompt's end. limit : most tokens of an answer, those included.
    """

    def __init__(
        self, rows: int, eos_ids: Sequence[int], grammar: Grammar | None, begun: Sequence[int], limit: int
    ) -> None:
        self.answers = None if grammar is None else Answers(grammar, rows, begun, limit)
        self.first: Tensor | None = None
        self.nonfinite: list[int | None] = [None] * rows
        self.written: list[list[int]] = [[] for _ in range(rows)]
        self.over = [False] * rows
        self.first_token_s: float | None = None
        self.started = time.perf_counter()
        self._eos = set(eos_ids)
        self._masks: np.ndarray[Any, np.dtype[np.int32]] | None = None

    def process(self, scores: Tensor) -> Tensor:
        """The scores of the next tokens with those that the grammar forbids taken out."""
        if self.first is None:
            self.first = scores.clone()
        # NaN and infinity; a network may rule out a token by minus infinity, but not all of them.
        sound = ~(torch.isnan(scores) | torch.isposinf(scores)).any(-1) & torch.isfinite(scores).any(-1)
        for place, fine in enumerate(sound.tolist()):
            if not fine and not self.over[place]:
                self.nonfinite[place] = len(self.written[place])
                self.over[place] = True
        if self.first_token_s is None:
            self.first_token_s = time.perf_counter() - self.started
        if self.answers is None:
            return scores
        if self._masks is None:
            self._masks = np.full((scores.shape[0], -(-scores.shape[1] // 32)), -1, dtype=np.int32)
        going = [place for place, over in enumerate(self.over) if not over]
        self.answers.fill(self._masks, going)
        allowed = _bits(torch.from_numpy(self._masks[going]).to(scores.device), scores.shape[1])
        scores = scores.clone()
        scores[going] = scores[going].masked_fill(~allowed, float("-inf"))
        return scores

    def take(self, tokens: Sequence[int]) -> list[bool]:
        """Take each row's chosen token; which rows are over."""
        for place, token in enumerate(tokens):
            if self.over[place]:
                continue
            self.written[place].append(token)
            closed = self.answers is not None and self.answers.add(place, token)
            self.over[place] = closed or token in self._eos
        return list(self.over)

    @property
    def hooks(self) -> dict[str, Any]:
        """The arguments of `generate` that have it watched."""
        return {"logits_processor": [_Process(self)], "stopping_criteria": [_Stop(self)]}


class _Process(LogitsProcessor):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return self._watch.process(scores)


class _Stop(StoppingCriteria):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return torch.tensor(self._watch.take(input_ids[:, -1].tolist()), device=input_ids.device)


def _bits(masks: Tensor, width: int) -> Tensor:
    """Packed bits [rows, words], lowest first, as bool [rows, width]."""
    places = torch.arange(32, device=masks.device, dtype=torch.int32)
    return ((masks[:, :, None] >> places) & 1).bool().flatten(1)[:, :width]
