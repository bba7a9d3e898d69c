"""What a ledger says of each question in the end: found once for all lines, and its words read where they are wanted.

The lines of a question lie anywhere in a ledger, and a run's answers may be larger than memory. So only places are
held, of one row at a time; each answer is read from the file as its turn comes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ghostbench.folder.run_records import Attempts
from ghostbench.outcomes import Outcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NO_LINE = -1
"""As the place of a line, for `LedgerTexts.of`."""


@dataclass(frozen=True, slots=True)
class LastWord:
    """The last line of the ledger for one row, clip, repeat and moment.

    raw : the model's words, None unless it is an answer. score : P(ghost_probing) of an answer, where the model gave
    it. attempts : how many lines the ledger has for them.
    """

    outcome: Outcome
    fallback_level: int
    raw: str | None
    score: float | None
    attempts: int

    @property
    def answered(self) -> bool:
        """Whether it is an answer."""
        return self.outcome is Outcome.ANSWERED


class LastWords:
    """The last words of a ledger.

    clips : the run's, in order. repeats : how often each is asked about. Lines of other clips and repeats are left out.
    """

    def __init__(self, ledger: Attempts, clips: Sequence[str], repeats: int) -> None:
        import pandas as pd

        self._ledger = ledger
        self._turns = len(clips) * repeats
        self._repeats = repeats
        self._clips = pd.Index(clips)
        self._rows = ledger.lines.groupby("model", sort=False).indices

    def of(self, row: str) -> Iterator[dict[float | None, LastWord]]:
        """For each clip, and in it for each repeat, the last word at each moment (None: of the whole clip).

        Raises `BadInput` where the ledger has changed since it was read.
        """
        import numpy as np
        import pandas as pd

        lines = self._ledger.lines.iloc[self._rows.get(row, [])]
        lasts, counts, turns = self._lasts(
            self._clips.get_indexer(pd.Index(lines["clip"])), lines["repeat"].to_numpy(), lines["moment_s"].to_numpy()
        )
        found = lines.iloc[lasts]
        answered = found["outcome"].eq(str(Outcome.ANSWERED)).to_numpy()
        texts = self._ledger.texts.of(np.where(answered, found["starts_at"], _NO_LINE).tolist())
        said = zip(
            turns.tolist(), found["moment_s"].tolist(), found["outcome"], found["fallback_level"].tolist(),
            counts.tolist(), texts, strict=True,
        )  # fmt: skip
        turn, words = 0, dict[float | None, LastWord]()
        for its_turn, moment, outcome, level, attempts, text in said:
            while turn < its_turn:
                yield words
                turn, words = turn + 1, {}
            last = LastWord(Outcome(outcome), level, text.raw, text.score, attempts)
            words[None if math.isnan(moment) else moment] = last
        while turn < self._turns:
            yield words
            turn, words = turn + 1, {}

    def _lasts(
        self, clips: npt.NDArray[np.intp], repeats: npt.NDArray[np.int64], moments: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.int64]]:
        """The last line of each question, in order of clip, repeat and moment; how many it has; and its turn, which is
        clip * repeats + repeat. clips : places of the lines' clips, -1 for one that the run does not have."""
        import numpy as np

        known = np.flatnonzero((clips >= 0) & (repeats < self._repeats))
        turns, at = clips[known] * self._repeats + repeats[known], np.nan_to_num(moments[known], nan=-1.0)
        order = np.lexsort((at, turns))  # which keeps equal ones in the order of the file
        turns, at = turns[order], at[order]
        ends = np.flatnonzero(np.append((turns[1:] != turns[:-1]) | (at[1:] != at[:-1]), len(order) > 0))
        return known[order[ends]], np.diff(ends, prepend=-1), turns[ends]


def answers_of(words: Mapping[float | None, LastWord]) -> dict[float | None, LastWord]:
    """Those that are answers."""
    return {moment: word for moment, word in words.items() if word.answered}
