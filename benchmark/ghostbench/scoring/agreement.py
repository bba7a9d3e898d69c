"""How far a model agrees with itself when it sees a clip again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ghostbench.folder.lines import COLUMNS, NO_ANSWER
from ghostbench.scoring.metrics import Agreement
from ghostbench.scoring.views import Bools


def agreement(rows: pd.DataFrame, answered: Bools, repeats: int) -> Agreement | None:
    """Agreement of the repeats over the three grades and no answer; None for a run without repeats.

    Returns
    -------
    rate : the chance that two different repeats of a clip say the same, in [0, 1]; null for a model that never
        answered.
    kappa : Fleiss' kappa (J. L. Fleiss (1971), Psychol. Bull. 76(5), 378-382), by statsmodels; null where every
        repeat of every clip says the same one thing, for which chance agreement is 1.
    unanimous : the clips whose repeats all agree, null like `rate`, and `clips`, all of them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"at": [0, 0, 1, 1], "grade": ["normal", "normal", "normal", "ghost_probing"]})
    >>> agreement(rows, np.ones(4, dtype=bool), repeats=2)["rate"]
    0.5
    """
    if repeats < 2:
        return None
    from statsmodels.stats.inter_rater import fleiss_kappa

    said = pd.Categorical(np.where(answered, rows["grade"].astype(object), NO_ANSWER), categories=list(COLUMNS))
    table = pd.crosstab(rows["at"].to_numpy(), said, dropna=False).to_numpy()
    pairs = (table * (table - 1)).sum(axis=1) / (repeats * (repeats - 1))
    one_word = int((table.sum(axis=0) > 0).sum()) == 1
    return {
        "rate": float(pairs.mean()) if answered.any() else None,
        "kappa": None if one_word else float(fleiss_kappa(table)),
        "unanimous": int((table.max(axis=1) == repeats).sum()) if answered.any() else None,
        "clips": len(table),
    }
