"""Requests about drawn clips, each different."""

from __future__ import annotations

from typing import Any

import numpy as np

from ghostbench import Frames, ModelError, Reply, Request, Truncated
from ghostbench.tasks.ghost_probing import GhostProbing

TASK = GhostProbing()


def written(found: Reply | ModelError) -> Reply:
    """What was written, whole or cut off by its limit."""
    reply = found.reply if isinstance(found, Truncated) else found
    assert isinstance(reply, Reply)
    return reply


def drawn_request(seed: int, count: int = 2, task: Any = TASK, **more: Any) -> Request:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 60, 90, 3), dtype=np.uint8)
    times = tuple(0.5 + place for place in range(count))
    own = Frames(pixels, indices=tuple(range(count)), times_s=times, duration_s=count + 1.0, decoder="drawn")
    return Request(
        id=f"request-{seed}",
        prompt=task.build(own),
        frames=own,
        seed=7,
        level=0,
        level_settings={},
        write_answer=task.write,
        **more,
    )
