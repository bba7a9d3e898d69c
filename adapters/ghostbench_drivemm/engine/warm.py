"""What can be made ready before the first batch: the cache, the graphs of a full batch, plans of attention."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ghostbench_drivemm.engine.cache import KeyValueCache
from ghostbench_drivemm.engine.operations import attend_prompts
from ghostbench_drivemm.engine.options import GenerateOptions
from ghostbench_drivemm.engine.run import Engine
from ghostbench_drivemm.engine.weights import LanguageWeights


def warm(
    engine: Engine, rows: int, positions: int, options: GenerateOptions, usual: Iterable[int] = (), *, shared: int = 0
) -> None:
    """Make an engine ready for batches that are answered like this. Does next to nothing without CUDA.

    Graphs of smaller batches are recorded when one comes: most runs have one such batch, the last, or none.

    rows, positions : of the largest batch, for which the cache is allocated.
    shared : positions that prompts begin with alike, which are computed for the first of them alone.
    usual : lengths of prompts for which attention is planned. cuDNN's plans belong to the thread that made them, so
    that this must be called in the thread that answers.
    """
    cache, decoder = engine.reserve(rows, positions)
    if engine.weights.device.type != "cuda":
        return
    if options.max_new_tokens:
        decoder.capture(masked=options.masked, wide=options.goes_ahead)
    for length in sorted({-(-own // engine.align) * engine.align for own in usual}):
        for count in {1, max(1, min(rows, options.chunk_tokens // (length - shared)))}:
            _plan(engine.weights, cache, count, length)


@torch.inference_mode()
def _plan(weights: LanguageWeights, cache: KeyValueCache, count: int, length: int) -> None:
    """Let attention plan for so many prompts of this length; there are no more of them than rows in the cache."""
    queries = torch.zeros(
        count * length, weights.heads, weights.head_size, dtype=weights.dtype, device=weights.device
    )  # fmt: skip
    attend_prompts(queries, cache.layer(0), range(count), [length] * count, weights.head_size**-0.5)
