"""The examination: load the model, ask it in rounds, and keep everything that the judgement needs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghostbench.doctor.rounds import Round, Rounds
from ghostbench.doctor.variants import VARIANTS, variant
from ghostbench.errors import AttemptError, BadInput, MediaError
from ghostbench.frames import Frames
from ghostbench.media.decode import decode
from ghostbench.media.own_file import read_video
from ghostbench.models import LocalModel, ReferenceModel, RemoteModel, Truths
from ghostbench.outcomes import Outcome
from ghostbench.question import Question
from ghostbench.records import Clip, Request, Usage, Video
from ghostbench.redact import Redactor
from ghostbench.running.ask.dispatch import as_unavailable, estimated
from ghostbench.running.ask.dispatchers import dispatcher_for, load
from ghostbench.running.ask.questions import Questions
from ghostbench.running.ask.units import ModelState
from ghostbench.running.plan.plan import Plan
from ghostbench.running.rules.stop import Stop
from ghostbench.running.settle.budget import Budget
from ghostbench.running.settle.loading import close_quietly


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the examination sends. most_usd : at most, without retries; None where the price is unknown."""

    requests: int
    most_usd: float | None


@dataclass(slots=True, kw_only=True)
class Examination:
    """What was seen of a model. `unavailable` says why it could not be loaded; nothing else is there then.

    clips : those that were asked about. skipped : clips whose media failed, each with the reason.
    rounds : by name: "alone", "together", "again", and those of `VARIANTS`; a round that does not apply is missing.
    batch_size : a local model's, after loading. process_bytes : resident memory before loading, after, at its peak.
    most : per clip the most that one request can use, by the model's own estimate; remote models only.
    """

    plan: Plan
    clips: tuple[Clip, ...] = ()
    skipped: tuple[str, ...] = ()
    unavailable: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    load_s: float = 0.0
    batch_size: int = 1
    process_bytes: tuple[int, int, int] = (0, 0, 0)
    most: tuple[Usage, ...] = ()
    rounds: dict[str, Round] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The model's kind: local, remote or reference."""
        return self.plan.rows[0].configured.choice.spec.kind


class Examiner:
    """Examines the one model of a plan.

    clips : how many clips of the split to ask about, at most. max_cost : refuse to spend more, US dollars.
    """

    def __init__(self, plan: Plan, *, clips: int, max_cost: float) -> None:
        self._plan = plan
        self._row = plan.rows[0]
        self._model = self._row.configured.model
        self._max_cost = max_cost
        self._found = Examination(plan=plan)
        self._frames: list[Frames | None] = []
        self._videos: list[Video | None] = []
        self._look(clips)

    def forecast(self) -> Forecast:
        """What would be sent. Raises `BadInput` where it could cost more than the limit."""
        requests = len(self._found.clips) * len(self._round_names())
        if not isinstance(self._model, RemoteModel):
            return Forecast(requests=requests, most_usd=0.0)
        prices = [usage.cost_usd for usage in self._found.most]
        if any(price is None for price in prices):
            return Forecast(requests=requests, most_usd=None)
        most = sum(price or 0.0 for price in prices) * len(self._round_names())
        if most > self._max_cost:
            raise BadInput(
                f"{self._row.name} on {len(prices)} clips could cost ${most:.2f}, over ${self._max_cost:.2f}; "
                "ask about fewer clips with --limit, or allow it with --max-cost"
            )
        return Forecast(requests=requests, most_usd=most)

    def run(self) -> Examination:
        """Load, ask, close."""
        with tempfile.TemporaryDirectory(prefix="ghostbench-doctor-") as folder:
            asyncio.run(self._run(Path(folder)))
        return self._found

    def _look(self, most: int) -> None:
        """Decode the first clips of the split whose media is good; all of them count when no frames are needed."""
        clips: list[Clip] = []
        skipped: list[str] = []
        split = self._plan.split
        for clip in split.clips:
            if len(clips) == most:
                break
            if self._row.looks and clip.media is None:
                skipped.append(f"{clip.id}: no media")
                continue
            media = str(clip.media)
            try:
                frames = decode(media, self._plan.sampling, split.credentials) if self._row.needs_frames else None
                video = read_video(media, clip.id, split.credentials) if self._row.sees_video else None
            except MediaError as error:
                skipped.append(f"{clip.id}: {error}")
                continue
            clips.append(clip)
            self._frames.append(frames)
            self._videos.append(video)
        if not clips:
            raise BadInput(f"no clip of {self._plan.split.dataset} could be decoded ({skipped[0]}); check --data-root")
        self._found.clips, self._found.skipped = tuple(clips), tuple(skipped)
        if isinstance(self._model, RemoteModel):
            shown = zip(self._frames, self._videos, strict=True)
            self._found.most = tuple(self._most(self._model, frames, video) for frames, video in shown)

    def _most(self, model: RemoteModel, frames: Frames | None, video: Video | None) -> Usage:
        """The model's estimate; nothing known where its code fails to tell."""
        try:
            return estimated(model, self._request(frames, video))
        except AttemptError:
            return Usage()

    def _request(self, frames: Frames | None, video: Video | None) -> Request:
        """The longest request about these frames or this video: a task's last, where it asks more than once."""
        task, questions = self._plan.task, Questions(self._plan.task)
        if video is not None and self._plan.filmed is not None:
            question = Question(prompt=self._plan.filmed.build(None), frames=None, video=video)
        else:
            question = questions.blind if frames is None else questions.about(frames)[-1]
        return Request(
            id="estimate",
            prompt=question.prompt,
            frames=question.frames,
            seed=self._plan.options.seed,
            level=0,
            level_settings={},
            write_answer=task.write,
            moment_s=question.moment_s,
            video=question.video,
        )

    def _round_names(self) -> tuple[str, ...]:
        """The rounds that apply to the model, in the order asked."""
        if isinstance(self._model, ReferenceModel):
            return ("alone", "again")
        names = ("together", "again", *(VARIANTS if self._row.needs_frames else ()))
        return ("alone", *names) if isinstance(self._model, LocalModel) else names

    async def _run(self, folder: Path) -> None:
        import psutil

        process = psutil.Process()
        before = process.memory_info().rss
        state = ModelState(self._row.configured)
        started = time.perf_counter()
        pool = ThreadPoolExecutor(2, "prepare")
        try:
            truths = Truths(clips=self._plan.split.clips, seed=self._plan.options.seed)
            state.dispatcher = dispatcher_for(self._model, truths, pool, self._plan.options.deadline)
            self._found.facts = await load(state.dispatcher)
        except Exception as error:  # noqa: BLE001 - whatever loading raises is what the doctor reports
            reason = self._row.configured.broken or str(as_unavailable(error))
            state.stop(Stop(Outcome.UNAVAILABLE, reason))
            self._found.unavailable = Redactor().message(reason)
        self._found.load_s = time.perf_counter() - started
        loaded = process.memory_info().rss
        try:
            if self._found.unavailable is None:
                await self._ask(state, folder)
        finally:
            if state.dispatcher is not None:
                await close_quietly(state.dispatcher)
            # A model that never comes back keeps its thread, and nobody waits for it.
            pool.shutdown(wait=False, cancel_futures=True)
        self._found.process_bytes = (before, loaded, max(_peak_bytes(), loaded))

    async def _ask(self, state: ModelState, folder: Path) -> None:
        if isinstance(self._model, LocalModel):
            self._found.batch_size = max(1, self._model.batch_size)
        limit = self._max_cost if isinstance(self._model, RemoteModel) else None
        rounds = Rounds(self._plan, state, Budget(limit), folder, self._videos)
        for name in self._round_names():
            frames: Sequence[Frames | None] = self._frames
            if name in VARIANTS:
                frames = self._replaced(name)
            alone = name == "alone" or isinstance(self._model, ReferenceModel)
            self._found.rounds[name] = await rounds.ask(self._found.clips, frames, together=not alone)

    def _replaced(self, name: str) -> list[Frames | None]:
        whole = [frames for frames in self._frames if frames is not None]
        return [variant(name, own, whole) for own in range(len(whole))]


def _peak_bytes() -> int:
    """The most resident memory that this process has had; kilobytes on Linux, bytes on macOS."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
