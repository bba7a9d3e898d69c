"""A language model ready to answer, and the ways to ask it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ghostbench_drivemm.engine.batch import Batch, Embed
from ghostbench_drivemm.engine.options import GenerateOptions, Generation
from ghostbench_drivemm.engine.sharing import Prompt, chunks
from ghostbench_drivemm.engine.state import EngineState
from ghostbench_local.replica import on_device


class Engine(EngineState):
    """A language model ready to answer batches. One per model; not for several threads at once."""

    def answer(self, prompts: Sequence[Prompt], embed: Embed, options: GenerateOptions) -> list[Generation]:
        """Answer a batch, in the order of its prompts.

        embed : gives the embeddings [length - skip, hidden] of some of them, by place and with their skips, on the
        device; what it returns is called when their turn has come.
        """
        with on_device(self.weights.device):
            planned = chunks(prompts, options.chunk_tokens, self.is_kept)
            return Batch(self, prompts, planned, options).run(embed)


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

    def embed(places: Sequence[int], skips: Sequence[int]) -> Callable[[], Sequence[Tensor]]:
        return lambda: [embeds[place][skip:] for place, skip in zip(places, skips, strict=True)]

    return engine_of(model).answer([Prompt(own.shape[0]) for own in embeds], embed, options)


def generate_prepared(model: Any, prepared: Sequence[Any], options: GenerateOptions) -> list[Generation]:
    """Answer prepared requests: vision and prefill go through the device a few requests at a time.

    Pixels that are still being made are waited for when their turn has come. What prompts begin with alike, text or
    frames, is computed once.
    """

    def embed(places: Sequence[int], skips: Sequence[int]) -> Callable[[], Sequence[Tensor]]:
        together = [prepared[place] for place in places]
        # Outside of what is timed as vision: the device may have to wait for pixels here, but for nothing else.
        for request in together:
            request.wait()
        return partial(model.embed, together, skips)

    prompts = [Prompt(request.length, request.beginnings) for request in prepared]
    return engine_of(model).answer(prompts, embed, options)
