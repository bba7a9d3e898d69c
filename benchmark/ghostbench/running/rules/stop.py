"""Why a model sends nothing more, as a value: the first reason wins, and the manifest keeps it field by field."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ghostbench.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Stop:
    """A model's end in this run.

    outcome : of the clips that are not sent. message : why, for people.
    until : the moment (UTC) until which the server asked to be left alone; None where it named none.
    """

    outcome: Outcome
    message: str
    until: datetime | None = None


def moment_after(pause_s: float) -> datetime | None:
    """The moment (UTC, whole seconds) that a pause from now ends; None where no calendar has it."""
    try:
        return (datetime.now(UTC) + timedelta(seconds=pause_s)).replace(microsecond=0)
    except OverflowError:
        return None
