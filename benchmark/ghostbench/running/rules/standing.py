"""Where a unit stands on its model's ladder: the rungs it has taken, and the parts of a request that it leaves out.

What rungs change adds up, so that a server that takes no JSON schema and no ten frames is asked without either. The
ledger's `fallback_level` is the highest rung taken; where that alone does not say what was sent, a note does, and
`--resume` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ghostbench import errors
from ghostbench.models import Level

PART = re.compile(r"[^\s,]+")
"""What a part of a request may be called."""
_IN_FORCE = "in force: "
_REFUSED = "refused by name: "
_LEVELS = re.compile(r"in force: levels? (?P<rungs>\d+(?:, \d+)*)(?:, without (?P<without>.+))?\Z")
_WITHOUT = "without"
"""The key of `Request.level_settings` under which a model is told the parts to leave out."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The rungs taken (numbers from 1), and the parts of a request that a refusal named and that are left out since."""

    rungs: frozenset[int] = frozenset()
    without: frozenset[str] = frozenset()

    @property
    def level(self) -> int:
        """The highest rung taken, 0 for the model as configured."""
        return max(self.rungs, default=0)

    @classmethod
    def at(cls, level: int) -> Standing:
        """On this one rung; 0 is the model as configured."""
        return cls(frozenset({level} if level else ()))

    @classmethod
    def noted(cls, level: int, notes: Iterable[str]) -> Standing:
        """What an attempt's level and notes in the ledger say."""
        for note in notes:
            found = _LEVELS.match(note)
            rungs = frozenset(map(int, found["rungs"].split(", "))) if found else frozenset()
            if found is not None and max(rungs) == level:
                return cls(rungs, frozenset((found[_WITHOUT] or "").split(", ")) - {""})
        return cls.at(level)

    def notes(self) -> Iterator[str]:
        """What the level alone does not say of an attempt made from here, for its line in the ledger."""
        if len(self.rungs) > 1 or self.without:
            levels = ", ".join(map(str, sorted(self.rungs)))
            without = f", without {', '.join(sorted(self.without))}" if self.without else ""
            yield f"{_IN_FORCE}level{'s' if len(self.rungs) > 1 else ''} {levels}{without}"

    def settings(self, ladder: Sequence[Level]) -> Mapping[str, Any]:
        """What the rungs taken change, a higher one's word before a lower one's, and `without`, the parts left out."""
        changed: dict[str, Any] = {}
        for rung in sorted(self.rungs):
            changed |= ladder[rung - 1].settings
        return changed | ({_WITHOUT: tuple(sorted(self.without))} if self.without else {})

    def max_frames(self, ladder: Sequence[Level]) -> int | None:
        """The most frames that the rungs taken allow; None for all."""
        limits = [limit for rung in self.rungs if (limit := ladder[rung - 1].max_frames) is not None]
        return min(limits, default=None)

    def after(self, failure: errors.AttemptError | errors.Unparseable, ladder: Sequence[Level]) -> Standing | None:
        """Where a failure leads, if the ladder has a rung for it.

        Parts that a refusal names come first: a rung that leaves them out, or one that stands in for them. Then a rung
        that lists the failure's own type; last, higher up, one that lists its kind.
        """
        refused = frozenset(failure.refuses if isinstance(failure, errors.RequestRejected) else ())
        for number, rung in enumerate(ladder, start=1):
            more = refused.intersection(rung.without) - self.without
            if more:
                return Standing(self.rungs | {number}, self.without | more)
        left = [(number, rung) for number, rung in enumerate(ladder, start=1) if self._is_open(number, ladder)]
        fitting = (
            [number for number, rung in left if refused.intersection(rung.instead_of)]
            or [number for number, rung in left if type(failure) in rung.after]
            or [number for number, rung in left if number > self.level and isinstance(failure, rung.after)]
        )
        return Standing(self.rungs | {fitting[0]}, self.without) if fitting else None

    def _is_open(self, number: int, ladder: Sequence[Level]) -> bool:
        """Whether a rung is still to be tried: not taken, nor passed by for a higher one that is there for the same."""
        reasons = set(ladder[number - 1].after)
        return number not in self.rungs and not any(
            taken > number and reasons.intersection(ladder[taken - 1].after) for taken in self.rungs
        )


def is_the_harness_own(note: str) -> bool:
    """Whether a note reads as one by which the ledger says where a unit stands: no model may say that."""
    return note.lstrip().startswith((_IN_FORCE.strip(), _REFUSED.strip()))


AS_CONFIGURED = Standing()
"""Level 0."""


def refusal_notes(failure: object) -> Iterator[str]:
    """Which parts of the request a failure names, for its line in the ledger."""
    if isinstance(failure, errors.RequestRejected) and failure.refuses:
        yield _REFUSED + ", ".join(sorted(failure.refuses))


def refused_by_name(notes: Iterable[str]) -> tuple[str, ...]:
    """The parts of the request that the notes of a line in the ledger say were refused by name."""
    return tuple(part for note in notes if note.startswith(_REFUSED) for part in note[len(_REFUSED) :].split(", "))
