"""The sustain rule: at how many of the last moments a model must alarm before the alarm holds."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable

MOST_MOMENTS: Final = 10
"""The most moments that a rule looks back over."""


class Sustain(NamedTuple):
    """An alarm holds at a moment where `k` of the last `n` moments, itself among them, alarm; 1 <= k <= n."""

    k: int
    n: int

    def __str__(self) -> str:
        return f"{self.k}/{self.n}"

    @property
    def words(self) -> str:
        """As tables say it, e.g. "2 of 3"."""
        return f"{self.k} of {self.n}"


AT_ONCE: Final = Sustain(1, 1)
"""A single moment is enough."""


def parse_sustain(text: str) -> Sustain:
    """Read K/N. Raises `BadInput`.

    >>> parse_sustain("2/3").words
    '2 of 3'
    """
    match = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST_MOMENTS:
        raise BadInput(
            f"--sustain '{printable(text)}' is no rule K/N with 1 <= K <= N <= {MOST_MOMENTS}; "
            "give one such as 2/3, an alarm at two of the last three moments"
        )
    return Sustain(int(match[1]), int(match[2]))
