"""The Llama forward pass over joined weights: many prompts packed end to end, or a few new tokens a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.operations import Operations, attend_prompts, head_logits, operations_for
from ghostbench_drivemm.engine.placed import NewTokens
from ghostbench_drivemm.engine.weights import LanguageWeights, LayerWeights

_SHORT = 3
"""Attention of a whole prompt has kernels that are nearly twice as fast, and half of its scores are masked."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Prompts end to end.

    embeds : [sum of lengths - skips, hidden]. rows : the cache row of each prompt. lengths : positions of each prompt.
    skips : of each prompt, positions at its beginning whose keys and values are in its row already.
    reads : for each prompt, the positions (from its start) whose logits are wanted.
    """

    embeds: Tensor
    rows: tuple[int, ...]
    lengths: tuple[int, ...]
    reads: tuple[tuple[int, ...], ...]
    skips: tuple[int, ...]


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
        spans = [range(skip, length) for skip, length in zip(packed.skips, packed.lengths, strict=True)]
        starts = _starts([len(span) for span in spans])
        position = _to_device([at for span in spans for at in span], device)
        row = _to_device([r for r, span in zip(packed.rows, spans, strict=True) for _ in span], device)
        wanted_at = _to_device(
            [
                start + at - span.start
                for start, span, reads in zip(starts, spans, packed.reads, strict=True)
                for at in reads
            ],
            device,
        )
        asked = [len(span) if is_short(len(span), span.stop) else span.stop for span in spans]
        into = self._padded(packed, spans, asked) if asked != [len(span) for span in spans] else None
        residual = packed.embeds.clone()
        x: Tensor | None = None
        for index, layer in enumerate(weights.layers):
            keys, values = cache.layer(index)
            qkv = layer.qkv.of_normed(self._do, x, residual, layer.input_norm, weights.eps)
            queries = self._do.rope_store(qkv, cache.tables, position, row, (keys, values), into)
            del qkv
            whole = attend_prompts(queries, (keys, values), packed.rows, packed.lengths, self._scale, asked)
            if index == len(weights.layers) - 1:
                whole = whole[wanted_at if into is None else into[1][wanted_at]]
                residual = residual[wanted_at]
            elif into is not None:
                whole = whole[into[1]]
            x = self._rest(layer, whole, residual)
        normed = self._do.add_rmsnorm(x, residual, weights.norm, weights.eps)
        return head_logits(normed, weights.head)

    def _padded(self, packed: Packed, spans: Sequence[range], asked: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Room for the queries of prompts, and the places of those that are computed.

        asked : at the end of each prompt, positions that have queries. Where most of a prompt is computed, attention
        over the whole of it costs little beside the products that are saved, and has the fastest kernels.
        """
        weights = self.weights
        # What is never written is attended with and thrown away: it only has to be finite.
        queries = packed.embeds.new_zeros(sum(asked), weights.heads, weights.head_size)
        ends = [start + own for start, own in zip(_starts(asked), asked, strict=True)]
        places = [at for end, span in zip(ends, spans, strict=True) for at in range(end - len(span), end)]
        return queries, _to_device(places, packed.embeds.device)

    @torch.inference_mode()
    def step(self, tokens: Tensor, new: NewTokens, cache: KeyValueCache, reads: Tensor) -> Tensor:
        """Logits float32 [reads, vocabulary] after some new tokens of each row.

        tokens : [tokens] int64, as `new` places them. reads : int64, the tokens whose logits are wanted.
        """
        weights = self.weights
        residual = functional.embedding(tokens, weights.embedding)
        x: Tensor | None = None
        for index, layer in enumerate(weights.layers):
            keys, values = cache.layer(index, new.first.shape[0])
            qkv = layer.qkv.of_normed(self._do, x, residual, layer.input_norm, weights.eps)
            queries = self._do.rope_store(qkv, cache.tables, new.position, new.row, (keys, values))
            mixed = self._do.attend_new(queries, keys, values, new, self._scale).flatten(1)
            if index == len(weights.layers) - 1:
                mixed, residual = mixed[reads], residual[reads]
            x = self._rest(layer, mixed, residual)
        normed = self._do.add_rmsnorm(x, residual, weights.norm, weights.eps)
        return head_logits(normed, weights.head)

    def _rest(self, layer: LayerWeights, mixed: Tensor, residual: Tensor) -> Tensor:
        """What follows attention in a layer; the result is still to be added to `residual`."""
        attended = layer.out.of(self._do, mixed)
        gate_up = layer.gate_up.of_normed(self._do, attended, residual, layer.post_norm, self.weights.eps)
        return layer.down.of_active(self._do, gate_up)


def is_short(computed: int, length: int) -> bool:
    """Whether so few positions at the end of a prompt are computed that queries are made for these alone."""
    return _SHORT * computed < length


def padding(used: int, skip: int, align: int) -> int:
    """Positions behind a prompt of `used` ones, of which `skip` are not computed, to a length that has a plan.

    Where little of a prompt is computed, its attention has no plan that a length could be made for.
    """
    return 0 if is_short(used - skip, used) else -used % align


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
