"""A language model ready to answer, and the ways to ask it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ghostbench_drivemm.engine.batch import Batch
from ghostbench_drivemm.engine.device import on_device
from ghostbench_drivemm.engine.options import GenerateOptions, Generation
from ghostbench_drivemm.engine.state import EngineState


class Engine(EngineState):
    """A language model ready to answer batches. One per model; not for several threads at once."""

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
