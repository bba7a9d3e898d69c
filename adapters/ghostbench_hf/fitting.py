"""How many requests are computed together on a GPU, reckoned from a network's shape; halving does the rest."""

from __future__ import annotations

from typing import Any

import torch

from ghostbench_local import memory

_MOST_ROWS = 32
_USUAL_POSITIONS = 4096
"""Reckoned with until a prompt has been seen: ten frames of some hundred tokens each, and a task's text."""
_WORKING_BYTES = 3 << 30
"""Kept free for the vision encoder, a step's scores and workspaces."""
_COPIES = 8
"""Activations of a layer's width, and of its feed-forward's, that are there at once while prompts are computed."""


def position_bytes(network: Any) -> int:
    """Bytes that one position of a prompt needs: its keys and values in every layer, and one layer's activations."""
    text, size = network.config.get_text_config(), network.dtype.itemsize
    heads = getattr(text, "num_attention_heads", 1)
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    cached = 2 * text.num_hidden_layers * (getattr(text, "num_key_value_heads", None) or heads) * width
    working = _COPIES * text.hidden_size + 3 * (getattr(text, "intermediate_size", None) or 4 * text.hidden_size)
    return int(size * (cached + working))


def rows_that_fit(device: torch.device, fraction: float, positions: int, bytes_each: int) -> int:
    """How many prompts and answers of so many positions fit beside the weights, >= 1.

    positions : of the longest so far; 0 where none has been seen.
    """
    row = (positions or _USUAL_POSITIONS) * bytes_each
    return min(_MOST_ROWS, memory.rows_that_fit(device, fraction, row, _WORKING_BYTES))
