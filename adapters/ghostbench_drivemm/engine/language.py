"""The Llama forward pass over joined weights: many prompts packed end to end, or one new token a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.operations import Operations, attend_prompts, head_logits, operations_for
from ghostbench_drivemm.engine.weights import LanguageWeights, LayerWeights


@dataclass(frozen=True, slots=True)
class Packed:
    """Prompts end to end.

    embeds : [sum of lengths, hidden]. rows : the cache row of each prompt. lengths : positions of each prompt.
    reads : for each prompt, the positions (from its start) whose logits are wanted.
    """

    embeds: Tensor
    rows: tuple[int, ...]
    lengths: tuple[int, ...]
    reads: tuple[tuple[int, ...], ...]


class Language:
    """A Llama as the engine runs it. Not thread-safe: one per device and thread."""

    def __init__(self, weights: LanguageWeights) -> None:
        self.weights = weights
        self._do: Operations = operations_for(weights.device)
        self._scale = weights.head_size**-0.5

    @torch.inference_mode()
    def prefill(self, packed: Packed, cache: KeyValueCache) -> Tensor:
        """Fill the cache rows with the prompts' keys and values; logits float32 [number of reads, vocabulary].

        Attention runs prompt by prompt, so that nothing of one can reach another. In the last layer everything after
        keys and values is computed for the read positions alone.
        """
        weights, device = self.weights, packed.embeds.device
        starts = _starts(packed.lengths)
        position = _to_device([at for length in packed.lengths for at in range(length)], device)
        row = _to_device([r for r, n in zip(packed.rows, packed.lengths, strict=True) for _ in range(n)], device)
        wanted = [start + at for start, reads in zip(starts, packed.reads, strict=True) for at in reads]
        wanted_at = _to_device(wanted, device)
        residual = packed.embeds.clone()
        x: Tensor | None = None
        for index, layer in enumerate(weights.layers):
            keys, values = cache.layer(index)
            normed = self._do.add_rmsnorm(x, residual, layer.input_norm, weights.eps)
            qkv = functional.linear(normed, layer.qkv, layer.qkv_bias)
            queries = self._do.rope_store(qkv, cache.tables, position, row, keys, values)
            del normed, qkv
            whole = attend_prompts(queries, (keys, values), packed.rows, packed.lengths, self._scale)
            if index == len(weights.layers) - 1:
                whole, residual = whole[wanted_at], residual[wanted_at]
            x = self._rest(layer, whole, residual)
        normed = self._do.add_rmsnorm(x, residual, weights.norm, weights.eps)
        return head_logits(normed, weights.head)

    @torch.inference_mode()
    def step(self, tokens: Tensor, positions: Tensor, lengths: Tensor, cache: KeyValueCache, slots: Tensor) -> Tensor:
        """Logits float32 [rows, vocabulary] of one new token a row.

        tokens, positions : [rows] int64, the tokens and where they stand. lengths : [rows] int64, positions that each
        row attends to, its own included; 0 for a row that is not in use. slots : [rows] int64, 0 … rows - 1.
        """
        weights = self.weights
        rows = tokens.shape[0]
        residual = functional.embedding(tokens, weights.embedding)
        x: Tensor | None = None
        for index, layer in enumerate(weights.layers):
            keys, values = cache.layer(index, rows)
            normed = self._do.add_rmsnorm(x, residual, layer.input_norm, weights.eps)
            qkv = functional.linear(normed, layer.qkv, layer.qkv_bias)
            queries = self._do.rope_store(qkv, cache.tables, positions, slots, keys, values)
            mixed = self._do.attend_one(queries, keys, values, lengths, self._scale)
            x = self._rest(layer, mixed.view(rows, -1), residual)
        normed = self._do.add_rmsnorm(x, residual, weights.norm, weights.eps)
        return head_logits(normed, weights.head)

    def _rest(self, layer: LayerWeights, mixed: Tensor, residual: Tensor) -> Tensor:
        """What follows attention in a layer; the result is still to be added to `residual`."""
        attended = functional.linear(mixed, layer.out, layer.out_bias)
        normed = self._do.add_rmsnorm(attended, residual, layer.post_norm, self.weights.eps)
        active = self._do.silu_mul(functional.linear(normed, layer.gate_up, layer.gate_up_bias))
        return functional.linear(active, layer.down, layer.down_bias)


def embed_tokens(weights: LanguageWeights, tokens: Sequence[int]) -> Tensor:
    """Embeddings [tokens, hidden] of a few known token ids."""
    return functional.embedding(_to_device(list(tokens), weights.device), weights.embedding)


def _starts(lengths: Sequence[int]) -> list[int]:
    starts, total = [], 0
    for length in lengths:
        starts.append(total)
        total += length
    return starts


def _to_device(values: list[int], device: torch.device) -> Tensor:
    made = torch.tensor(values, dtype=torch.int64, pin_memory=device.type == "cuda")
    return made.to(device, non_blocking=True)
