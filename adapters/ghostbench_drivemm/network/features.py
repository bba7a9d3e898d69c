"""Visual tokens of frames that were seen before, as they were computed then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from torch import Tensor

MOST_BYTES = 1 << 30
"""About 65 clips of ten frames in 16 bits."""


class FeatureCache:
    """Tokens of a frame by its digest; what was used longest ago goes first. Not for several threads at once."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._tokens: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, digest: Hashable) -> Tensor | None:
        """The tokens of a frame, if they are still there."""
        found = self._tokens.get(digest)
        if found is not None:
            self._tokens.move_to_end(digest)
        return found

    def put(self, digest: Hashable, tokens: Tensor) -> None:
        """Keep a copy of the tokens of a frame."""
        size = tokens.numel() * tokens.element_size()
        if digest in self._tokens or size > self._most:
            return
        while self._bytes + size > self._most:
            _, oldest = self._tokens.popitem(last=False)
            self._bytes -= oldest.numel() * oldest.element_size()
        # A view would keep all that was computed with it in memory.
        self._tokens[digest] = tokens.clone()
        self._bytes += size

    def clear(self) -> None:
        """Give all of it back."""
        self._tokens.clear()
        self._bytes = 0
