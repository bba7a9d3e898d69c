"""What one rater says of one clip."""

from __future__ import annotations

from dataclasses import dataclass

from ghostbench.label import Label
from ghostbench.records import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a rater says of a clip.

    truth : None for files that only say when. event_s : when the labelled event begins, seconds.
    """

    truth: Truth | None
    event_s: float | None = None
    labels: Label
    doubted: bool = False
