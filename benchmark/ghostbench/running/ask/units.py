"""What a run knows, while it goes on, of a model, of a unit of work, and of a request under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ghostbench.errors import MediaError
from ghostbench.models import Level
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip, Frames, Request
from ghostbench.running.ask.dispatch import Dispatcher
from ghostbench.running.ask.way import Way
from ghostbench.running.plan.plan import ConfiguredModel, Contender
from ghostbench.running.rules.habits import Habits
from ghostbench.running.rules.standing import AS_CONFIGURED, Standing


@dataclass(slots=True, eq=False)
class ModelState:
    """A model while the run goes on: the way to it, and whether it has stopped.

    stopped : why nothing more is sent, as (outcome, message); None while it is asked.
    habits : what its server refuses again and again.
    way : whether requests can be sent now. places : for the units that are being asked, frames in hand; None for any
        number.
    """

    host: ConfiguredModel
    dispatcher: Dispatcher | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    load_s: float | None = None
    stopped: tuple[Outcome, str] | None = None
    habits: Habits = field(default_factory=Habits)
    way: Way = field(default_factory=Way)
    places: asyncio.Semaphore | None = None

    def stop(self, outcome: Outcome, message: str) -> None:
        """Send nothing more, for this reason unless there is one already; who waits for the model is let go."""
        self.stopped = self.stopped or (outcome, message)
        self.way.shut()


@dataclass(slots=True)
class Ask:
    """A row, a clip and a repeat on the way to their outcome.

    frames : the clip's frames, the media's failure, or None for rows that need none.
    attempts : how many were made. standing : where on the ladder it is.
    uncounted : how many of the attempts do not count against the limit, since it was not the clip that failed.
    announced : whether the dispatcher was told to expect it.
    last : the outcome of the last attempt, None before the first. ended : when that was. failed_at, troubled_since :
        when it was tried last where the way to the model or the media failed, and when that began. `ended` is by
        `time.perf_counter`, the others by `time.monotonic`.
    """

    row: Contender
    clip: Clip
    repeat: int
    frames: Frames | MediaError | None = None
    decode_s: float | None = None
    attempts: int = 0
    uncounted: int = 0
    standing: Standing = AS_CONFIGURED
    announced: bool = False
    last: Outcome | None = None
    ended: float | None = None
    failed_at: float | None = None
    troubled_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """A request as the ledger names it. started_at : when it was sent. wait_s : pause since the attempt before."""

    request_id: str
    frames_sha256: str | None
    prompt_sha256: str
    started_at: datetime
    wait_s: float | None = None

    @classmethod
    def of(cls, request: Request, wait_s: float | None) -> SentRequest:
        """The request, sent now."""
        return cls(
            request_id=request.id,
            frames_sha256=request.frames.sha256 if request.frames is not None else None,
            prompt_sha256=request.prompt.sha256,
            started_at=datetime.now(UTC),
            wait_s=wait_s,
        )


def ladder_of(host: ConfiguredModel) -> tuple[Level, ...]:
    """The model's declared fallback levels, from 1."""
    return tuple(host.model.ladder) if host.model is not None else ()
