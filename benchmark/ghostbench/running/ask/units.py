"""What a run knows, while it goes on, of a model, of a unit of work, and of a request under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ghostbench.errors import MediaError
from ghostbench.frames import Frames
from ghostbench.models import Level
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip, Request, Video
from ghostbench.running.ask.dispatch import Dispatcher
from ghostbench.running.ask.way import Way
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.rules.habits import Habits
from ghostbench.running.rules.predictions import AskKey
from ghostbench.running.rules.standing import AS_CONFIGURED, Standing
from ghostbench.running.rules.stop import Stop, moment_after


@dataclass(slots=True, eq=False)
class ModelState:
    """A model while the run goes on: the way to it, and whether it has stopped.

    stopped : why nothing more is sent; None while it is asked. put_off_until : the latest moment (UTC) that its server
        named for being asked again; None where it named none.
    habits : what its server refuses again and again.
    way : whether requests can be sent now. places : for the units that are being asked, frames in hand; None for any
        number.
    """

    configured: ConfiguredModel
    dispatcher: Dispatcher | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    load_s: float | None = None
    stopped: Stop | None = None
    put_off_until: datetime | None = None
    habits: Habits = field(default_factory=Habits)
    way: Way = field(default_factory=Way)
    places: asyncio.Semaphore | None = None

    def stop(self, stop: Stop) -> None:
        """Send nothing more, for this reason unless there is one already; who waits for the model is let go."""
        self.stopped = self.stopped or stop
        self.way.shut()

    def put_off(self, pause_s: float) -> datetime | None:
        """Note that the server asks to be left alone for so long; return the moment (UTC) when that ends."""
        until = moment_after(pause_s)
        self.put_off_until = max(filter(None, (self.put_off_until, until)), default=None)
        return until


@dataclass(slots=True)
class Ask:
    """A row, a clip, a repeat and a moment on the way to their outcome.

    moment_s : seconds from the clip's start; None for the whole clip. moments_unknown : that it stands for all moments
        of the clip, which are known when its frames are.
    frames : the clip's frames, the media's failure, or None for rows that need none. video : likewise the clip's own
        media file, for rows that see it.
    attempts : how many were made. standing : where on the ladder it is.
    uncounted : how many of the attempts do not count against the limit, since it was not the clip that failed.
    lost : how many of the attempts took their worker down. announced : whether the dispatcher was told to expect it.
    last : the outcome of the last attempt, None before the first. ended : when that was. failed_at, troubled_since :
        when it was tried last where the way to the model or the media failed, and when that began. `ended` is by
        `time.perf_counter`, the others by `time.monotonic`.
    """

    row: Contender
    clip: Clip
    repeat: int
    moment_s: float | None = None
    moments_unknown: bool = False
    frames: Frames | MediaError | None = None
    video: Video | MediaError | None = None
    decode_s: float | None = None
    attempts: int = 0
    uncounted: int = 0
    lost: int = 0
    standing: Standing = AS_CONFIGURED
    announced: bool = False
    last: Outcome | None = None
    ended: float | None = None
    failed_at: float | None = None
    troubled_since: float | None = None

    @property
    def key(self) -> AskKey:
        """Its key in the ledger."""
        return AskKey(self.row.name, self.clip.id, self.repeat, self.moment_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """A request as the ledger names it. started_at : when it was sent. wait_s : pause since the attempt before."""

    request_id: str
    frames_sha256: str | None
    prompt_sha256: str
    started_at: datetime
    wait_s: float | None = None
    video_sha256: str | None = None

    @classmethod
    def of(cls, request: Request, wait_s: float | None) -> SentRequest:
        """The request, sent now."""
        return cls(
            request_id=request.id,
            frames_sha256=request.frames.sha256 if request.frames is not None else None,
            prompt_sha256=request.prompt.sha256,
            started_at=datetime.now(UTC),
            wait_s=wait_s,
            video_sha256=request.video.sha256 if request.video is not None else None,
        )


def ladder_of(configured: ConfiguredModel) -> tuple[Level, ...]:
    """The model's declared fallback levels, from 1."""
    return tuple(configured.model.ladder) if configured.model is not None else ()


def seconds_since(moment: float | None) -> float | None:
    """Seconds since a moment of `time.perf_counter`; None since none."""
    return None if moment is None else time.perf_counter() - moment


def utc(moment: datetime) -> str:
    """A moment in UTC as the ledger has it, ISO 8601 to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
