"""What an engine holds from batch to batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ghostbench_drivemm.engine.cache import KeyValueCache, round_up
from ghostbench_drivemm.engine.decode import Decoder, bucket
from ghostbench_drivemm.engine.language import Language
from ghostbench_drivemm.engine.sharing import BeginningStore
from ghostbench_drivemm.engine.weights import join

_ALIGN = 64
"""On CUDA prompts take a multiple of this many positions in a prefill: cuDNN makes a plan for every new length."""

_TEXT_BYTES = 256 << 20
"""Of keys and values of texts: a task's are 57 MB in 16 bits."""
_CLIP_BYTES = 2 << 30
"""Of keys and values of clips' frames: in 16 bits 16,384 positions, four clips of 20 frames or one of the 60 that are
shown at most."""

_ROOMY = 1.34


class EngineState:
    """What stays between batches: joined weights, the cache, and the decoders with their captured graphs.

    roomy : a decoder of up to so many times the rows of a batch is used where it is there already.
    """

    def __init__(self, language_model: Any) -> None:
        self.weights = join(language_model)
        self.language = Language(self.weights)
        self.align = _ALIGN if self.weights.device.type == "cuda" else 1
        self.texts = BeginningStore(_TEXT_BYTES)
        self.clips = BeginningStore(_CLIP_BYTES)
        self.roomy = _ROOMY
        self._cache: KeyValueCache | None = None
        self._decoders: dict[int, Decoder] = {}

    @property
    def cache(self) -> KeyValueCache | None:
        """The cache that is allocated now."""
        return self._cache

    def cache_bytes(self, rows: int, positions: int) -> int:
        """Bytes of a cache for so many rows of so many positions, as it would be allocated."""
        return bucket(rows) * round_up(positions) * self.weights.cache_bytes_per_token

    def held_bytes(self) -> int:
        """Bytes of the cache that is allocated now."""
        return 0 if self._cache is None else self.cache_bytes(self._cache.rows, self._cache.capacity)

    def still_to_come_bytes(self) -> int:
        """Bytes that what is kept from batch to batch may take beside what it takes now."""
        return sum(store.most_bytes - store.held_bytes for store in (self.texts, self.clips))

    def is_kept(self, digest: bytes) -> bool:
        """Whether the keys and values of this beginning were kept from an earlier batch."""
        return digest in self.texts or digest in self.clips

    def kept(self, digest: bytes) -> Tensor:
        """Keys and values [layers, 2, kv_heads, positions, head] of a beginning that is kept."""
        return (self.texts if digest in self.texts else self.clips).get(digest)

    def forget(self) -> None:
        """Keep nothing of earlier batches."""
        self.texts.clear()
        self.clips.clear()

    def release(self) -> None:
        """Give back all that is no weight: what is kept, the cache and the graphs."""
        self.forget()
        self._drop_cache()

    def _drop_cache(self) -> None:
        self._decoders.clear()
        self._cache = None
        if self.weights.device.type == "cuda":
            torch.cuda.empty_cache()

    def reserve(self, rows: int, positions: int) -> tuple[KeyValueCache, Decoder]:
        """A cache and a decoder for a batch; those of the last batch where they fit."""
        rows = bucket(rows)
        # A few rows too many cost next to nothing, graphs of another size cost most of a second.
        rows = next((made for made in sorted(self._decoders) if rows <= made <= self.roomy * rows), rows)
        if self._cache is None or not self._cache.fits(rows, positions):
            self._drop_cache()
            self._cache = KeyValueCache(self.weights, rows, positions)
        if rows not in self._decoders:
            self._decoders[rows] = Decoder(self.language, self._cache, rows)
        return self._cache, self._decoders[rows]
