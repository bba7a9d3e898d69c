"""Rounds of questions to one loaded model, asked and written down as a run does it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ghostbench.folder.ledger import Ledger
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.reading import read_records
from ghostbench.frames import Frames
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip, Video
from ghostbench.redact import Redactor
from ghostbench.running.ask.questions import Questions
from ghostbench.running.ask.units import Ask, ModelState
from ghostbench.running.plan.plan import Plan
from ghostbench.running.settle.budget import Budget
from ghostbench.running.settle.making import RequestMaker
from ghostbench.running.settle.recorder import Recorder
from ghostbench.running.settle.settler import Settler
from ghostbench.running.watch.progress import Progress

MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back for one clip in one round.

    text, score : of an answer; None where there is none, or no probability with it. score is P(ghost_probing).
    lines : the ledger lines of all attempts, the last one being the outcome's.
    """

    outcome: Outcome
    text: str | None
    score: float | None
    lines: tuple[AttemptLine, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """One question about each clip. seen : by clip, in order; None where there was nothing to ask. seconds : in all."""

    seen: tuple[Seen | None, ...]
    seconds: float


class Rounds:
    """Asks one model in rounds. Every round has a ledger of its own under `folder`.

    videos : of each clip its own media file, None where the model does not see it.
    """

    def __init__(
        self, plan: Plan, state: ModelState, budget: Budget, folder: Path, videos: Sequence[Video | None]
    ) -> None:
        self._plan = plan
        self._row = plan.rows[0]
        self._state = state
        self._budget = budget
        self._folder = folder
        self._videos = videos
        self._count = 0

    async def ask(self, clips: Sequence[Clip], frames: Sequence[Frames | None], *, together: bool) -> Round:
        """Ask about each clip with these frames; a clip whose frames are None is left out, if the model needs any.

        together : all at once, so that a local model gets full batches; else one after the other.
        """
        path = self._folder / f"round-{self._count}.jsonl"
        self._count += 1
        ledger = Ledger(path, Redactor())
        task, seed = self._plan.task, self._plan.options.seed
        recorder = Recorder(
            task=task,
            ledger=ledger,
            progress=Progress(Console(stderr=True), [self._row.name], len(clips), quiet=True),
            max_attempts=MAX_ATTEMPTS,
        )
        maker = RequestMaker(task, seed, limited=self._budget.limit is not None, filmed=self._plan.filmed)
        settler = Settler(maker=maker, recorder=recorder, budget=self._budget)
        units = [
            Ask(self._row, clip, 0, frames=own, moment_s=self._moment(own), video=video)
            for clip, own, video in zip(clips, frames, self._videos, strict=True)
            if own is not None or not self._row.needs_frames
        ]
        started = time.perf_counter()
        try:
            if together:
                self._announce(units)
                await asyncio.gather(*(settler.settle(unit, self._state) for unit in units))
            else:
                for unit in units:
                    await settler.settle(unit, self._state)
        finally:
            seconds = time.perf_counter() - started
            ledger.close()
        by_clip: dict[str, list[AttemptLine]] = {unit.clip.id: [] for unit in units}
        for line in read_records(path, AttemptLine):
            by_clip[line.clip].append(line)
        return Round(tuple(self._seen(by_clip.get(clip.id)) for clip in clips), seconds)

    def _moment(self, frames: Frames | None) -> float | None:
        """The last moment that the task asks about, where it asks at moments."""
        return None if frames is None else Questions(self._plan.task).moments(frames)[-1]

    def _announce(self, units: Sequence[Ask]) -> None:
        if self._state.dispatcher is None:
            return
        self._state.dispatcher.expect(len(units), self._row.name)
        for unit in units:
            unit.announced = True

    def _seen(self, lines: Sequence[AttemptLine] | None) -> Seen | None:
        if lines is None:
            return None
        if not lines:
            stopped = self._state.stopped
            return Seen(stopped.outcome if stopped else Outcome.CRASHED, None, None, ())
        last = lines[-1]
        answered = last.outcome is Outcome.ANSWERED
        score = (last.grade_probabilities or {}).get("ghost_probing") if answered else None
        return Seen(last.outcome, last.raw if answered else None, score, tuple(lines))
