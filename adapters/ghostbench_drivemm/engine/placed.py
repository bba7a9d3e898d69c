"""Where the new tokens of a decoding step stand: any number of rows, each with none, one or a few."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class NewTokens:
    """Places of the new tokens of a step, rows one after the other, the tokens of a row in order.

    row, position : [tokens] int64, in which row of the cache and where in it; -1 at a place that is not in use.
    first, count : [rows] int64, where each row's tokens begin among them, and how many they are.
    most : no row has more tokens than this.
    """

    row: Tensor
    position: Tensor
    first: Tensor
    count: Tensor
    most: int
