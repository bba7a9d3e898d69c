"""What can be made ready before the first batch: the cache, the graphs of a full batch, plans of attention."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.language import is_short, padding
from ghostbench_drivemm.engine.operations import attend_prompts
from ghostbench_drivemm.engine.options import GenerateOptions
from ghostbench_drivemm.engine.run import Engine
from ghostbench_drivemm.engine.sharing import Chunk, Prompt, chunks
from ghostbench_drivemm.engine.state import EngineState
from ghostbench_drivemm.engine.weights import LanguageWeights

_MOST_PLANS = 8
"""Each takes cuDNN a twentieth of a second. Those of a batch whose prompts are all of other lengths are made when their
turn comes, while the device computes what came before."""


def warm(engine: Engine, rows: int, positions: int, options: GenerateOptions) -> None:
    """Make an engine ready for batches that are answered like this. Does next to nothing without CUDA.

    Graphs of smaller batches are recorded when one comes: most runs have one such batch, the last, or none.

    rows, positions : of the largest batch, for which the cache is allocated.
    """
    _, decoder = engine.reserve(rows, positions)
    if options.max_new_tokens:
        decoder.capture(masked=options.masked, wide=options.goes_ahead)


@contextmanager
def in_the_largest(engine: Engine) -> Iterator[None]:
    """Inside, batches are answered with the graphs that are there, however few rows of them they need."""
    roomy, engine.roomy = engine.roomy, math.inf
    try:
        yield
    finally:
        engine.roomy = roomy


def plan(engine: Engine, prompts: Sequence[Prompt], options: GenerateOptions) -> None:
    """Let attention plan for a batch that begins with these prompts, once its cache is there. Only CUDA needs it.

    cuDNN's plans belong to the thread that made them, so that this must be called in the thread that answers.
    """
    cache = engine.cache
    if engine.weights.device.type != "cuda" or cache is None:
        return
    for count, length in coming_shapes(engine, prompts, options)[:_MOST_PLANS]:
        if count <= cache.rows and length <= cache.capacity:
            _plan(engine.weights, cache, count, length)


def coming_shapes(engine: EngineState, prompts: Sequence[Prompt], options: GenerateOptions) -> list[tuple[int, int]]:
    """How many prompts of what length attention will be asked about together, each once and in the order in which they
    come, where a batch begins with these prompts."""
    begun = 0 if options.grades is None else len(options.grades.begun)
    planned = chunks(prompts, options.chunk_tokens, engine.is_kept)
    # The last may be joined by prompts that are still to come.
    full = planned[:-1] if len(planned) > 2 else planned
    return list(dict.fromkeys(shape for chunk in full for shape in _shapes(chunk, prompts, begun, engine.align)))


def _shapes(chunk: Chunk, prompts: Sequence[Prompt], begun: int, align: int) -> list[tuple[int, int]]:
    """How many prompts of what length attention is asked about together, as it is for such a chunk."""
    used = [(prompts[place].length + begun, skip) for place, skip in zip(chunk.places, chunk.skips, strict=True)]
    whole = [own + padding(own, skip, align) for own, skip in used if not is_short(own - skip, own)]
    if len(whole) == len(used) and len(set(whole)) == 1:
        return [(len(whole), whole[0])]
    return [(1, own) for own in whole]


@torch.inference_mode()
def _plan(weights: LanguageWeights, cache: KeyValueCache, count: int, length: int) -> None:
    """Let attention plan for so many prompts of this length; there are no more of them than rows in the cache."""
    queries = torch.zeros(
        count * length, weights.heads, weights.head_size, dtype=weights.dtype, device=weights.device
    )  # fmt: skip
    attend_prompts(queries, cache.layer(0), range(count), [length] * count, weights.head_size**-0.5)
