"""The request of a unit's next attempt: the task's question, on the unit's rung, and the most that it can cost."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ghostbench.errors import AttemptError, Crashed, MediaError
from ghostbench.frames import Frames
from ghostbench.media.far import Facts, FarFrames, Recipe
from ghostbench.media.sampling import Sampling
from ghostbench.models import LocalModel, RemoteModel
from ghostbench.question import Question, examples_shown
from ghostbench.records import Request, Video
from ghostbench.running.ask.dispatch import estimated
from ghostbench.running.ask.examples import Shown
from ghostbench.running.ask.questions import Questions
from ghostbench.running.ask.units import Ask, SentRequest, ladder_of
from ghostbench.running.plan.probes import is_slow
from ghostbench.running.rules.replies import checked, in_words
from ghostbench.running.settle.faults import is_ours
from ghostbench.tasks.base import Task
from ghostbench.tasks.writer import AnswerWriter


@dataclass(frozen=True, slots=True)
class Made:
    """A request that may be sent. most_usd : the most that it can cost, US dollars."""

    request: Request
    most_usd: float


class NotMade(Exception):
    """There is no request that may be sent. named : the one that cannot be priced; None where there is none at all.

    failure : what the attempt ends as.
    """

    def __init__(self, failure: AttemptError, named: SentRequest | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.named = named


class RequestMaker:
    """Makes requests. limited : whether what each can cost must be known, since the run has a limit to keep.

    far : under which sampling local models come by their frames themselves; None where they are handed them.
    variants : the task's other wordings that are asked, by name. questions : what the task asks. filmed : the
    wording of rows that see the video. examples : what the wordings show; where it lies is all that goes to models that
    are not handed frames.
    """

    def __init__(
        self,
        task: Task,
        seed: int,
        *,
        limited: bool,
        variants: Mapping[str, Task] | None = None,
        far: Sampling | None = None,
        filmed: Task | None = None,
        examples: Shown | None = None,
    ) -> None:
        self._task = task
        self._write_answer = AnswerWriter(task)
        self._examples = examples or Shown()
        self.questions = Questions(task, variants)
        self._seed = seed
        self._limited = limited
        self._far = far
        self._filmed = filmed

    def make(self, unit: Ask) -> Made:
        """The unit's next request. Raises `NotMade`, and what only a mistake of ours explains."""
        try:
            request = self._request(unit)
        except Exception as error:  # a stranger's task or ladder may raise anything; the clip cannot be asked about
            if is_ours(error, self._task):
                raise
            raise NotMade(Crashed(f"the clip cannot be asked about: {in_words(error)}")) from None
        try:
            return Made(request, self._most_usd(unit, request))
        except AttemptError as error:  # what cannot be priced is not sent, since it could break the limit
            failure = checked(error)
            assert isinstance(failure, AttemptError)
            raise NotMade(failure, SentRequest.of(request, None)) from None

    async def make_ready(self, unit: Ask) -> None:
        """Have a thread do what takes long before `make` is called. What goes wrong there, goes wrong in `make` too."""
        here = isinstance(unit.frames, Frames) and not isinstance(unit.frames, FarFrames)
        if is_slow(unit.row.probe) and here and unit.row.needs_frames:
            assert isinstance(unit.frames, Frames)
            with contextlib.suppress(Exception):
                await asyncio.to_thread(
                    self.questions.make_ready, unit.frames, unit.moment_s, str(unit.row.probe), unit.row.variant
                )

    def moments(self, unit: Ask) -> tuple[float | None, ...] | None:
        """The moments that a unit stands for, where its frames tell them and it does not know them yet; else None."""
        if not unit.moments_unknown or not isinstance(unit.frames, Frames):
            return None
        try:
            return self.questions.moments(unit.frames)
        except Exception as error:  # a stranger's task may raise anything: the unit's request then raises it too
            if is_ours(error, self._task):
                raise
            return None

    def _request(self, unit: Ask) -> Request:
        """The question of the unit's next attempt, under a new random id."""
        ladder = ladder_of(unit.row.configured)
        frames = None if isinstance(unit.frames, MediaError) else unit.frames
        if frames is not None and unit.moments_unknown:
            self.questions.about(frames)
        question = self._about_video(unit) or self.questions.asked(
            frames if unit.row.needs_frames else None,
            unit.moment_s,
            probe=unit.row.probe,
            variant=unit.row.variant,
            most=unit.standing.max_frames(ladder),
        )
        return Request(
            id=str(uuid.uuid4()),
            # A model gets nothing to write to that another one reads.
            prompt=replace(question.prompt, schema=copy.deepcopy(question.prompt.schema)),
            frames=self._handed(unit, question.frames),
            seed=self._seed + unit.repeat,
            level=unit.standing.level,
            level_settings=unit.standing.settings(ladder),
            write_answer=self._write_answer,
            moment_s=unit.moment_s,
            variant=unit.row.variant,
            video=question.video,
            examples=tuple(
                self._example(unit, each) for each in examples_shown(question.prompt, self._examples.frames)
            ),
        )

    def _about_video(self, unit: Ask) -> Question | None:
        """The question of a row that sees the video; None for all others."""
        if not unit.row.sees_video:
            return None
        if self._filmed is None or not isinstance(unit.video, Video):
            raise RuntimeError(f"{unit.row.name} sees the video, and there is none in hand or no wording")
        return Question(prompt=self._filmed.build(None), frames=None, video=unit.video)

    def recipe(self, unit: Ask) -> Recipe | None:
        """How its model comes by the frames of the unit's next request; None where it is handed them, or gets none."""
        frames, media = unit.frames, unit.clip.media
        if self._far is None or not isinstance(frames, Frames) or media is None or not unit.row.needs_frames:
            return None
        most = unit.standing.max_frames(ladder_of(unit.row.configured))
        return Recipe(media, self._far, unit.moment_s, unit.row.probe, unit.row.variant, most)

    def _example(self, unit: Ask, frames: Frames) -> Frames:
        """The frames of an example as the unit's model is handed them."""
        if self._far is None or not isinstance(unit.row.configured.model, LocalModel):
            return frames.private()
        return FarFrames(Facts.of(frames), Recipe(self._examples.media[frames.sha256], self._far))

    def _handed(self, unit: Ask, frames: Frames | None) -> Frames | None:
        """The frames of a request as its model is handed them."""
        recipe = self.recipe(unit) if isinstance(unit.row.configured.model, LocalModel) else None
        if frames is None or recipe is None:
            return frames.private() if frames is not None else None
        near = unit.frames.near if isinstance(unit.frames, FarFrames) else None
        return FarFrames(Facts.of(frames), recipe, near)

    def _most_usd(self, unit: Ask, request: Request) -> float:
        """The most that the request can cost, US dollars; 0 where the price is unknown.

        Raises `AttemptError` where the model fails to tell, and the run has a limit that must be kept.
        """
        model = unit.row.configured.model
        if not isinstance(model, RemoteModel):
            return 0.0
        try:
            return estimated(model, request).cost_usd or 0.0
        except AttemptError:
            if not self._limited:
                return 0.0
            raise
