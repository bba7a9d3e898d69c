"""What a server has refused so often that no further clip is asked that way first."""

from __future__ import annotations

from collections.abc import Sequence

from ghostbench import errors
from ghostbench.folder.lines import AttemptLine
from ghostbench.models import Level
from ghostbench.running.rules.retry import Failure, failure_from_ledger
from ghostbench.running.rules.standing import Standing, refused_by_name

SEVERAL = 3
"""So many clips, none of them taken, that were refused from the same standing and sent on to the same other one."""


class Habits:
    """What one model's server takes, as far as its refusals and answers have told.

    Requests that are too large do not count: that is a clip's own fault, and another clip may fit.
    """

    def __init__(self) -> None:
        self._refused: dict[Standing, dict[Standing, set[str]]] = {}
        self._taken: set[Standing] = set()

    def learn(self, clip: str, at: Standing, failure: Failure | None, ladder: Sequence[Level]) -> None:
        """Take in an attempt at a clip that was made from `at`, and its failure, if any."""
        if failure is None or getattr(failure, "reply", None) is not None or isinstance(failure, errors.Unparseable):
            self._taken.add(at)
        elif type(failure) is errors.RequestRejected and (onward := at.after(failure, ladder)) is not None:
            self._refused.setdefault(at, {}).setdefault(onward, set()).add(clip)

    @property
    def start(self) -> Standing:
        """Where the next clip begins: as configured, or where the clips before it ended up."""
        standing = Standing()
        seen = {standing}
        while standing not in self._taken:
            onward = [then for then, clips in self._refused.get(standing, {}).items() if len(clips) >= SEVERAL]
            if not onward or onward[0] in seen:
                break
            standing = onward[0]
            seen.add(standing)
        return standing


def learn_from_ledger(habits: Habits, line: AttemptLine, ladder: Sequence[Level]) -> None:
    """Take in an attempt as its line in the ledger tells it; one that no request was made for tells nothing."""
    if line.request_id is None:
        return
    failure = None
    if line.raw is None:
        error_type = line.error.type if line.error else None
        failure = failure_from_ledger(line.outcome, error_type, refused_by_name(line.notes))
    habits.learn(line.clip, Standing.noted(line.fallback_level, line.notes), failure, ladder)
