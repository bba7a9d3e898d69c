"""In which order an annotator is asked: at random, another for each, and some clips a second time."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from ghostbench.labelling.log import Item

AGAIN = 0.1
"""The share of clips that are asked twice, to see how far an annotator agrees with himself."""


def order_for(annotator: str, clips: Sequence[str], *, again: float = AGAIN) -> tuple[Item, ...]:
    """Every clip once, and a share of them once more, after all clips have been asked.

    The order depends on the annotator's name and the clips alone.

    >>> [len(order_for(name, [str(n) for n in range(20)])) for name in ("Anna", "Ben")]
    [22, 22]
    """
    seed = hashlib.sha256("\n".join([annotator, *clips]).encode()).digest()
    chance = random.Random(seed)  # noqa: S311 - an order, and no secret
    first = list(clips)
    chance.shuffle(first)
    # Not those that were asked last: they would be remembered.
    early = first[: max(len(first) // 2, 1)]
    second = chance.sample(early, min(round(again * len(first)), len(early)))
    return (*((clip, 0) for clip in first), *((clip, 1) for clip in second))
