"""How much of what differs between scores is the model's, and how much the wording's."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench.scoring.rates import Floats


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of the share of right answers, of models asked in several wordings about the same clips.

    model, wording : of the models' and the wordings' own effects. both : of what a wording does to one model and not to
    another. clips : the variance that so few clips leave in a score, beside what makes a clip hard for all. None of
    them is below 0: an estimate that is says that nothing can be told from noise, and is given as 0.
    mean_squares : by effect (m: model, w: wording, c: clip), as an analysis of variance has them.
    """

    model: float
    wording: float
    both: float
    clips: float
    mean_squares: dict[str, float]

    @property
    def shares(self) -> dict[str, float | None]:
        """The parts of model, wording and both in their sum; None of all where nothing differs."""
        total = self.model + self.wording + self.both
        parts = {"model": self.model, "wording": self.wording, "both": self.both}
        return {name: part / total if total > 0 else None for name, part in parts.items()}


def components(right: Floats) -> Components:
    """The components of variance of a fully crossed design, by the method of moments.

    Models, wordings and clips are crossed random effects, with one score each in every cell; each mean square is set
    equal to its expectation and solved for the variances (analysis-of-variance estimators of balanced random models:
    S. R. Searle, G. Casella, C. E. McCulloch (1992), Variance Components, ch. 4; the same as the p x i x o design of
    R. L. Brennan (2001), Generalizability Theory, ch. 4). With few models or wordings the estimates are rough.

    Parameters
    ----------
    right : float [models, wordings, clips], at least 2 of each; the share of right answers in [0, 1].

    Examples
    --------
    Two models, two wordings: one model is right twice as often, and no wording changes anything.

    >>> import numpy as np
    >>> right = np.zeros((2, 2, 8))
    >>> right[0, :, :6], right[1, :, :3] = 1, 1
    >>> found = components(right)
    >>> print(f"{found.model:.4f} {found.wording:.4f} {found.both:.4f}")
    0.0536 0.0000 0.0000
    """
    models, wordings, clips = right.shape
    if min(right.shape) < 2:
        raise ValueError("components need two models, two wordings and two clips at least")
    grand = right.mean()
    m, w, c = (right.mean(axis=axes) - grand for axes in ((1, 2), (0, 2), (0, 1)))
    mw = right.mean(axis=2) - grand - m[:, None] - w[None, :]
    mc = right.mean(axis=1) - grand - m[:, None] - c[None, :]
    wc = right.mean(axis=0) - grand - w[:, None] - c[None, :]
    rest = right - grand - m[:, None, None] - w[None, :, None] - c[None, None, :]
    rest = rest - mw[:, :, None] - mc[:, None, :] - wc[None, :, :]
    squares = {
        "m": wordings * clips * _sum(m) / (models - 1),
        "w": models * clips * _sum(w) / (wordings - 1),
        "c": models * wordings * _sum(c) / (clips - 1),
        "mw": clips * _sum(mw) / ((models - 1) * (wordings - 1)),
        "mc": wordings * _sum(mc) / ((models - 1) * (clips - 1)),
        "wc": models * _sum(wc) / ((wordings - 1) * (clips - 1)),
        "mwc": _sum(rest) / ((models - 1) * (wordings - 1) * (clips - 1)),
    }
    of_clips = (squares["mc"] - squares["mwc"]) / wordings + (squares["wc"] - squares["mwc"]) / models + squares["mwc"]
    return Components(
        model=max((squares["m"] - squares["mw"] - squares["mc"] + squares["mwc"]) / (wordings * clips), 0.0),
        wording=max((squares["w"] - squares["mw"] - squares["wc"] + squares["mwc"]) / (models * clips), 0.0),
        both=max((squares["mw"] - squares["mwc"]) / clips, 0.0),
        clips=max(of_clips / clips, 0.0),
        mean_squares=squares,
    )


def _sum(effects: Floats) -> float:
    return float((effects**2).sum())
