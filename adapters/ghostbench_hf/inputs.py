"""Requests as tensors: each made alone, ahead of time, and set together, padded left, when they are computed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_PADDED = {"attention_mask": 0, "token_type_ids": 0, "mm_token_type_ids": 0}
"""What has a column for each token beside `input_ids`, and what fills it where there is no token."""


@dataclass(frozen=True)
class Inputs:
    """What the processor made of one request. tensors : by their names in `forward`. seconds : what that took.

    pictures : the same for requests that show the same pictures in the same order; None where there are none, or they
    are one video.
    """

    tensors: Mapping[str, Tensor]
    seconds: float
    pictures: Hashable = None

    @property
    def length(self) -> int:
        """Tokens of the prompt, those of its pictures included."""
        return int(self.tensors["input_ids"].shape[1])

    @property
    def unknown(self) -> str | None:
        """A tensor with a column for each token that `together` would leave as it is, though tokens are padded."""
        known = ("input_ids", *_PADDED)
        others = ((name, tensor) for name, tensor in self.tensors.items() if name not in known)
        return next((name for name, tensor in others if self._has_columns(name, tensor)), None)

    def _has_columns(self, name: str, tensor: Tensor) -> bool:
        return not name.startswith("pixel_") and tensor.ndim >= 2 and tensor.shape[1] == self.length

    @property
    def shape(self) -> tuple[object, ...]:
        """Requests of one shape can be set together: the same tensors, of the same sizes but for the first."""
        others = {name: tensor for name, tensor in self.tensors.items() if name not in ("input_ids", *_PADDED)}
        sizes = sorted((name, str(tensor.dtype), tuple(tensor.shape[1:])) for name, tensor in others.items())
        return (*sizes, *sorted(set(self.tensors) & set(_PADDED)))


def together(inputs: Sequence[Inputs], pad_id: int, begun: Sequence[int]) -> dict[str, Tensor]:
    """Inputs of one shape as one batch: tokens padded left, all else one behind the other.

    begun : tokens that follow every prompt.
    """
    longest = max(one.length for one in inputs)
    batch = {}
    for name in inputs[0].tensors:
        rows = [one.tensors[name] for one in inputs]
        if name == "input_ids":
            rows = [_padded(row, longest, pad_id, begun) for row in rows]
        elif name in _PADDED:
            kind = 1 if name == "attention_mask" else 0
            rows = [_padded(row, longest, _PADDED[name], [kind] * len(begun)) for row in rows]
        batch[name] = torch.cat(rows)
    return batch


def _padded(row: Tensor, length: int, fill: int, behind: Sequence[int]) -> Tensor:
    before = row.new_full((1, length - row.shape[1]), fill)
    return torch.cat([before, row, row.new_tensor([list(behind)]).reshape(1, -1)], dim=1)
