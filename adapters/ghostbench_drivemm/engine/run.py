"""A language model ready to answer, and the ways to ask it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ghostbench_drivemm.engine.batch import Batch
from ghostbench_drivemm.engine.cache import KeyValueCache, round_up
from ghostbench_drivemm.engine.decode import Decoder, bucket
from ghostbench_drivemm.engine.device import on_device
from ghostbench_drivemm.engine.language import Language
from ghostbench_drivemm.engine.options import GenerateOptions, Generation
from ghostbench_drivemm.engine.weights import join

_ALIGN = 64
"""On CUDA prompts take a multiple of this many positions in a prefill: cuDNN makes a plan for every new length."""


class Engine:
    """A language model ready to answer batches. One per model; not for several threads at once."""

    def __init__(self, language_model: Any) -> None:
        self.weights = join(language_model)
        self.language = Language(self.weights)
        self.align = _ALIGN if self.weights.device.type == "cuda" else 1
        self._cache: KeyValueCache | None = None
        self._decoders: dict[int, Decoder] = {}

    def cache_bytes(self, rows: int, positions: int) -> int:
        """Bytes of a cache for so many rows of so many positions, as it would be allocated."""
        return bucket(rows) * round_up(positions) * self.weights.cache_bytes_per_token

    def held_bytes(self) -> int:
        """Bytes of the cache that is allocated now."""
        return 0 if self._cache is None else self.cache_bytes(self._cache.rows, self._cache.capacity)

    def release(self) -> None:
        """Give back the cache and the graphs."""
        self._decoders.clear()
        self._cache = None
        if self.weights.device.type == "cuda":
            torch.cuda.empty_cache()

    def reserve(self, rows: int, positions: int) -> tuple[KeyValueCache, Decoder]:
        """A cache and a decoder for a batch; those of the last batch where they fit."""
        rows = bucket(rows)
        if self._cache is None or not self._cache.fits(rows, positions):
            self.release()
            self._cache = KeyValueCache(self.weights, rows, positions)
        if rows not in self._decoders:
            self._decoders[rows] = Decoder(self.language, self._cache, rows)
        return self._cache, self._decoders[rows]

    def answer(
        self, chunks: Iterable[Callable[[], Sequence[Tensor]]], lengths: Sequence[int], options: GenerateOptions
    ) -> list[Generation]:
        """Answer a batch.

        chunks : each gives the embeddings [length, hidden] of the next few prompts, on the device.
        lengths : of all prompts, in order.
        """
        with on_device(self.weights.device):
            return Batch(self, lengths, options).run(chunks)


_ENGINES: weakref.WeakKeyDictionary[Any, Engine] = weakref.WeakKeyDictionary()


def engine_of(model: Any) -> Engine:
    """The engine of a loaded model's language model; made at the first call."""
    language_model = model.language_model
    if language_model not in _ENGINES:
        _ENGINES[language_model] = Engine(language_model)
    return _ENGINES[language_model]


def generate(model: Any, embeds: Sequence[Tensor], options: GenerateOptions) -> list[Generation]:
    """Answer prompts whose embeddings [length, hidden] are on the model's device.

    Raises `torch.OutOfMemoryError` if the batch does not fit.
    """
    lengths = [own.shape[0] for own in embeds]
    chunks = [
        (lambda first=first, last=last: embeds[first:last]) for first, last in spans(lengths, options.chunk_tokens)
    ]
    return engine_of(model).answer(chunks, lengths, options)


def generate_prepared(model: Any, prepared: Sequence[Any], options: GenerateOptions) -> list[Generation]:
    """Answer prepared requests: vision and prefill go through the device a few requests at a time.

    Pixels that are still being made are waited for when their turn has come.
    """
    lengths = [request.length for request in prepared]

    def chunks() -> Iterator[Callable[[], Sequence[Tensor]]]:
        for first, last in spans(lengths, options.chunk_tokens):
            together = prepared[first:last]
            # Outside of what is timed as vision: the device may have to wait for pixels here, but for nothing else.
            for request in together:
                request.wait()
            yield partial(model.embed, together)

    return engine_of(model).answer(chunks(), lengths, options)


def spans(lengths: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """Consecutive runs of prompts of up to `budget` positions together, at least one prompt each."""
    found, first, total = [], 0, 0
    for place, length in enumerate(lengths):
        if place > first and total + length > budget:
            found.append((first, place))
            first, total = place, 0
        total += length
    return [*found, (first, len(lengths))] if lengths else []
