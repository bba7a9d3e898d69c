"""What psignifit asks for hundreds of times a fit, to the same numbers in a fraction of the time.

Its own sigmoid and its own prior of the width go through `scipy.stats.norm`, whose bookkeeping takes longer than all
the rest of a fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ALPHA: Final = 0.05
"""psignifit's width runs from this share of the rise to one minus it."""

Prior = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


@cache
def normal_sigmoid() -> Any:
    """psignifit's "norm" for its settings as they come: a threshold at half the rise, a width over 90% of it.

    Raises ModuleNotFoundError without psignifit.
    """
    from psignifit.sigmoids import Gaussian
    from scipy.special import ndtr, ndtri

    spread = float(ndtri(1 - ALPHA) - ndtri(ALPHA))

    class Normal(Gaussian):  # type: ignore[misc]
        def _standard_parameters(self, threshold: Any, width: Any) -> list[Any]:
            return [threshold, width / spread]

        def _value(self, stimulus_level: Any, threshold: Any, width: Any) -> Any:
            return ndtr((stimulus_level - threshold) / (width / spread))

    return Normal()


def width_prior(doses: Sequence[float]) -> Prior:
    """psignifit's prior of the width, over two or more doses: even between twice the least step and
    the whole span, with a fall to 0 at the least step and at three times the span.

    >>> width_prior([0.0, 1.0, 4.0])(np.array([0.5, 1.5, 3.0, 8.0])).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    shown = np.unique(doses)
    least, span = float(np.diff(shown).min()), float(shown[-1] - shown[0])

    def prior(width: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        width = np.asarray(width, dtype=np.float64)
        rising = (least <= width) & (width <= 2 * least)
        falling = (span <= width) & (width <= 3 * span)
        return np.select(
            [falling, rising, (width > 2 * least) & (width < span)],
            [
                (1 + np.cos(np.pi / 2 * (width - span) / span)) / 2,
                (1 - np.cos(np.pi * (width - least) / least)) / 2,
                1.0,
            ],
            default=0.0,
        )

    return prior
