"""How often a model says *ghost probing* against how much there was to see: a psychometric function and its threshold.

The function rises from the guess rate, which the twins without the event give, to one minus the lapse rate, which is
free; its threshold is the dose at which it is half-way between the two. Fitted by psignifit (H. H. Schütt, S.
Harmeling, J. H. Macke and F. A. Wichmann (2016), Vision Res. 122, 105-123), which integrates over all parameters; it
comes with the extra `grid`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ghostbench.scoring.quick_psignifit import ALPHA, normal_sigmoid, width_prior
from ghostbench.scoring.rates import Estimate

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LEAST_LEVELS: Final = 4
"""Doses that a curve needs."""
MOST_LEVELS: Final = 12
"""More doses than this are pooled into so many groups of equal size."""
_GRID: Final = {"threshold": 31, "width": 25, "lambda": 13, "gamma": 9, "eta": 9}
_COARSE: Final = {"threshold": 15, "width": 13, "lambda": 9, "gamma": 7, "eta": 7}
"""Points of each parameter over which psignifit integrates, and with which it first looks where the mass lies."""
_RISES: Final = 0.05


@dataclass(frozen=True, slots=True)
class Level:
    """One dose, or the mean of the doses that were pooled: how many answers there were and how many were alarms."""

    dose: float
    alarms: int
    answers: int


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """A curve, or why there is none.

    why_none : None where there is a threshold; else why not, in words.
    threshold : the dose at half the rise, in the dose's unit, with its 95% interval. slope : the rise per unit of dose
        at the threshold, as a share of the whole rise. lapse : the share of misses at the largest doses.
    guess : the false-alarm rate of the twins. width : from 5% to 95% of the rise, in the dose's unit.
    """

    levels: tuple[Level, ...]
    why_none: str | None
    threshold: Estimate | None = None
    slope: Estimate | None = None
    lapse: Estimate | None = None
    guess: float | None = None
    width: float | None = None

    def at(self, dose: float) -> float | None:
        """The fitted probability of an alarm at a dose; None where there is no curve."""
        if self.threshold is None or self.width is None or self.lapse is None or self.guess is None:
            return None
        from scipy.special import ndtr, ndtri

        steep = 2 * float(ndtri(1 - ALPHA)) / self.width
        rise = float(ndtr(steep * (dose - self.threshold["value"])))
        return self.guess + (1 - self.guess - self.lapse["value"]) * rise


def curve(levels: tuple[Level, ...], twin_alarms: int, twins: int) -> DoseResponse:
    """The curve of a model over the clips that show the event.

    Parameters
    ----------
    levels : how much there was to see in the answered clips with the event, and how often the model said that it is
        there, as `pooled` gives them, (n,). twin_alarms, twins : how often it said so of the answered clips without
        it, and how many these are: the guess rate.

    A threshold is given only where one can be: where the answers rise with the dose (Cochran-Armitage, one-sided, at
    5%) and the threshold lies among the doses that were shown. A model that always says yes, or never, has none. For a
    dose that spans decades give its logarithm.

    Raises ModuleNotFoundError without psignifit, but never before a fit is wanted.

    >>> levels = tuple(Level(dose, alarms, 30) for dose, alarms in ((1, 1), (2, 4), (3, 24), (4, 30), (5, 30)))
    >>> found = curve(levels, 1, 100)
    >>> found.why_none, 2 < found.threshold["low"] < found.threshold["value"] < found.threshold["high"] < 3.2
    (None, True)
    """
    why_none = why_no_curve(levels, twins)
    if why_none is not None:
        return DoseResponse(levels, why_none)
    found = _fitted(levels, twin_alarms, twins)
    if not levels[0].dose <= found["threshold"][0] <= levels[-1].dose:
        return DoseResponse(levels, "the threshold lies outside the doses shown")
    steep = 2 * _quantile(1 - ALPHA) / math.sqrt(2 * math.pi)
    width, narrow, wide = found["width"]
    return DoseResponse(
        levels,
        None,
        threshold=_estimate(found["threshold"]),
        slope={"value": steep / width, "low": steep / wide, "high": steep / narrow},
        lapse=_estimate(found["lambda"]),
        guess=found["gamma"][0],
        width=width,
    )


def why_no_curve(levels: tuple[Level, ...], twins: int) -> str | None:
    """Why counted answers can have no threshold, in words; None where a curve can be fitted.

    >>> why_no_curve((Level(1, 9, 9), Level(2, 9, 9), Level(3, 9, 9), Level(4, 9, 9)), 9)
    'it gives one answer at every dose'
    """
    answers, alarms = sum(level.answers for level in levels), sum(level.alarms for level in levels)
    reasons = (
        (answers == 0, "no clip with the event was answered"),
        (twins == 0, "no twin was answered: there is no guess rate"),
        (alarms in (0, answers), "it gives one answer at every dose"),
        (len(levels) < LEAST_LEVELS, f"fewer than {LEAST_LEVELS} doses"),
    )
    for holds, why in reasons:
        if holds:
            return why
    return "its answers do not rise with the dose" if rising_p(levels) > _RISES else None


def pooled(doses: Floats, alarms: Bools) -> tuple[Level, ...]:
    """The answers by dose, in rising order; doses within a hundredth of their span are one.

    >>> [level.answers for level in pooled(np.array([2.0, 1.0, 2.0]), np.array([True, False, False]))]
    [1, 2]
    """
    if not len(doses):
        return ()
    order = np.argsort(doses, kind="stable")
    doses, alarms = doses[order], alarms[order]
    close = 0.01 * float(doses[-1] - doses[0])
    groups, begin = np.zeros(len(doses), dtype=np.int64), float(doses[0])
    for place in range(1, len(doses)):
        apart = float(doses[place]) - begin > close
        begin = float(doses[place]) if apart else begin
        groups[place] = groups[place - 1] + apart
    if groups[-1] >= MOST_LEVELS:
        groups = np.arange(len(doses)) * MOST_LEVELS // len(doses)
    return tuple(
        Level(float(doses[groups == group].mean()), int(alarms[groups == group].sum()), int((groups == group).sum()))
        for group in np.unique(groups)
    )


def rising_p(levels: tuple[Level, ...]) -> float:
    """The one-sided p-value of the Cochran-Armitage test that alarms become more frequent with the dose; 1 where all
    answers, or all doses, are the same (P. Armitage (1955), Biometrics 11, 375-386).

    >>> round(rising_p((Level(0, 1, 10), Level(1, 5, 10), Level(2, 9, 10))), 5)
    0.00017
    """
    from scipy.special import ndtr

    doses = np.array([level.dose for level in levels])
    hits = np.array([level.alarms for level in levels], dtype=np.float64)
    sizes = np.array([level.answers for level in levels], dtype=np.float64)
    n, share = sizes.sum(), hits.sum() / sizes.sum()
    spread = (sizes * doses**2).sum() - (sizes * doses).sum() ** 2 / n
    variance = share * (1 - share) * spread
    if variance <= 0:
        return 1.0
    return float(1 - ndtr(((doses * (hits - sizes * share)).sum()) / math.sqrt(variance)))


@cache
def _fitted(levels: tuple[Level, ...], false_alarms: int, twins: int) -> dict[str, tuple[float, float, float]]:
    """Value and 95% limits of psignifit's parameters; the twins' answers are what is known of the guess rate."""
    import psignifit
    from scipy.stats import beta

    data = np.array([(level.dose, level.alarms, level.answers) for level in levels])
    guess = beta(false_alarms + 1, twins - false_alarms + 1)
    bounds = (float(guess.ppf(0.0005)), float(guess.ppf(0.9995)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: Any = psignifit.psignifit(
            data,
            experiment_type="yes/no",
            sigmoid=normal_sigmoid(),
            bounds={"gamma": bounds},
            priors={"gamma": guess.pdf, "width": width_prior([level.dose for level in levels])},
            confP=(0.95, 0.9, 0.68),
            grid_steps=_GRID,
            steps_moving_bounds=_COARSE,
            verbose=False,
        )
    estimate, limits = result.parameter_estimate_mean, result.confidence_intervals
    names = ("threshold", "width", "lambda", "gamma")
    return {name: (float(estimate[name]), *map(float, limits[name]["0.95"])) for name in names}  # type: ignore[misc]


def _estimate(found: tuple[float, float, float]) -> Estimate:
    return {"value": found[0], "low": found[1], "high": found[2]}


def _quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))
