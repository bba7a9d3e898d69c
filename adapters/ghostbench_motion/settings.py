"""The settings of `motion`. Their defaults were fixed before the model saw a labelled real clip; see `model`."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench import setting


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """What `bench models motion` shows. Scores are in [0, 1]; `horizon` is a share of the frame's height."""

    threshold: float = setting(
        0.5, "answer ghost_probing from this score on; fixed in advance, not fitted to labels", minimum=0.0, maximum=1.0
    )
    potential_threshold: float = setting(
        0.35, "answer potential_ghost_probing from this score on, below threshold", minimum=0.0, maximum=1.0
    )
    horizon: float = setting(
        0.45, "height of the horizon, as a share of the frame's height from its top", minimum=0.2, maximum=0.7
    )
