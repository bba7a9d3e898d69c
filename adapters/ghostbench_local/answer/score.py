"""Probabilities of the grades, read where an answer states its verdict.

After the fixed beginning of an answer (`{"grade":"`) a token counts for a grade if it spells the grade's next letters,
or the rest of the grade and what follows. A token that two grades begin with is followed one step further, so that each
probability is exactly the model's own probability of writing that grade, however its letters are cut into tokens: the
first token that tells the grades apart decides, since what follows under the answer's grammar can only be that grade.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ghostbench_local.answer.grammar import Vocabulary


@dataclass(frozen=True, slots=True)
class _Sorted:
    """What each token says after some letters: `owner` [vocabulary], a grade, -1 for none; tokens of several grades."""

    owner: Tensor
    shared: tuple[int, ...]


class GradeReader:
    """Reads the probabilities of `values`, the possible verdicts, of an answer's first field.

    begun : tokens of the fixed beginning. deepest : most tokens behind it whose logits are ever asked for.
    """

    def __init__(self, field: str, values: Sequence[str], vocabulary: Vocabulary) -> None:
        self.values = tuple(values)
        self.begun = tuple(vocabulary.encode(f'{{{json.dumps(field)}:"'))
        self._texts = tuple((json.dumps(value, ensure_ascii=False)[1:]).encode() for value in values)
        self.deepest = max(map(len, self._texts))
        self._vocabulary = vocabulary
        self._sorted: dict[bytes, _Sorted] = {}

    def masses(self, logits: Tensor, after: Callable[[Sequence[int]], Tensor]) -> Tensor:
        """Probability mass of each value, float64 [rows, values], on the logits' device.

        logits : float32 [rows, vocabulary] after the fixed beginning. after : gives the logits after further tokens;
        called only where values begin alike.
        """
        total = torch.zeros(logits.shape[0], len(self.values), dtype=torch.float64, device=logits.device)
        whole = torch.ones(logits.shape[0], dtype=torch.float64, device=logits.device)
        self._collect(b"", (), logits, whole, total, after)
        return total

    def _collect(
        self, written: bytes, path: tuple[int, ...], logits: Tensor, reach: Tensor, total: Tensor,
        after: Callable[[Sequence[int]], Tensor],
    ) -> None:  # fmt: skip
        sorting = self._sort(written)
        shares = torch.softmax(logits.double(), dim=-1) * reach[:, None]
        owner = sorting.owner.to(logits.device)
        known = owner >= 0
        total.index_add_(1, owner[known], shares[:, known])
        for token in sorting.shared:
            further = (*path, token)
            longer = written + self._vocabulary.spelled[token]
            self._collect(longer, further, after(further), shares[:, token], total, after)

    def _sort(self, written: bytes) -> _Sorted:
        if written not in self._sorted:
            rests = {place: text[len(written) :] for place, text in enumerate(self._texts) if text.startswith(written)}
            owner = torch.full((self._vocabulary.size,), -1, dtype=torch.int64)
            shared = []
            # A text ends with its quotation mark, so that some of it is always left.
            first = {rest[0] for rest in rests.values()}
            for token in sorted(token for byte in first for token in self._vocabulary.beginning_with(byte)):
                spelled = self._vocabulary.spelled[token]
                fits = [place for place, rest in rests.items() if rest.startswith(spelled) or spelled.startswith(rest)]
                if len(fits) == 1:
                    owner[token] = fits[0]
                elif fits:
                    shared.append(token)
            self._sorted[written] = _Sorted(owner, tuple(shared))
        return self._sorted[written]


def normalised(masses: Sequence[float]) -> tuple[float, ...] | None:
    """Masses as probabilities that sum to 1; None where they are all zero (or not numbers)."""
    whole = sum(masses)
    return tuple(mass / whole for mass in masses) if whole > 0 else None
