"""Keys and values of a batch, kept in one allocation that is reused from batch to batch."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostbench_drivemm.engine.weights import LanguageWeights

_ROUND = 128
"""Capacities are multiples of this, so that batches of nearly equal lengths share an allocation and its graphs."""


class KeyValueCache:
    """Room for `rows` answers of up to `capacity` positions each.

    Every row starts at position 0 and is as long as its own text: there is no padding anywhere, so none can be seen.
    Key and value heads are stored once, [rows, kv_heads, capacity, head] a layer, never repeated for the query heads.
    """

    def __init__(self, weights: LanguageWeights, rows: int, capacity: int) -> None:
        self.rows = rows
        self.capacity = round_up(capacity)
        shape = (len(weights.layers), 2, rows, weights.kv_heads, self.capacity, weights.head_size)
        self._store = torch.empty(shape, dtype=weights.dtype, device=weights.device)
        self.tables = weights.rope_tables(self.capacity)

    def layer(self, index: int, rows: int | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, of the first `rows` rows (default all)."""
        keys, values = self._store[index, 0], self._store[index, 1]
        return (keys, values) if rows is None else (keys[:rows], values[:rows])

    def beginning(self, row: int, positions: int) -> Tensor:
        """Keys and values of a row's first positions, all layers: [layers, 2, kv_heads, positions, head]."""
        return self._store[:, :, row, :, :positions]

    def fits(self, rows: int, capacity: int) -> bool:
        """Whether a batch of this size has room in it. Room left over costs little: rows are read up to their ends."""
        return rows <= self.rows and capacity <= self.capacity


def round_up(capacity: int) -> int:
    """The capacity that is allocated for rows of this length."""
    return -(-capacity // _ROUND) * _ROUND
