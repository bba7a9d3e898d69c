"""One unit of work: a model's row, a clip, a repeat and a moment, asked until the policy settles it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ghostbench.errors import AttemptError, MediaError
from ghostbench.folder.begun import Begun
from ghostbench.folder.log import about
from ghostbench.folder.spending import SpendingJournal
from ghostbench.frames import Frames
from ghostbench.media.far import FarFrames, Recipe
from ghostbench.models import LocalModel
from ghostbench.outcomes import Outcome
from ghostbench.records import Clip, Reply, Request, Video
from ghostbench.running.ask.decoding import Decoded
from ghostbench.running.ask.dispatch import Delivery, Dispatcher, Outdated, PutOff, Sending, Withdrawn
from ghostbench.running.ask.units import Ask, ModelState, SentRequest, seconds_since, utc
from ghostbench.running.ask.way import Passage, Way
from ghostbench.running.ask.window import Coming, StorageGivenUp
from ghostbench.running.rules.retry import Step, pause_after, put_off
from ghostbench.running.rules.stop import Stop
from ghostbench.running.settle.budget import Budget, billed_for
from ghostbench.running.settle.making import Made, NotMade, RequestMaker
from ghostbench.running.settle.recorder import Recorder, given_up

MediaOf = Callable[[Clip, Coming], AbstractAsyncContextManager[Decoded]]
"""Lends a clip's frames, or why there are none. Raises `StorageGivenUp`."""
VideoOf = Callable[[Clip], AbstractAsyncContextManager[Video | MediaError]]
"""Lends a clip's own media file, or why there is none. Raises `StorageGivenUp`."""


class Held(Exception):
    """The way to the model was closed while the request waited its turn: it was never sent."""


class MomentsFound(Exception):
    """The moments of a unit's clip are known now, and the unit is to be asked at each of them."""

    def __init__(self, moments: tuple[float | None, ...]) -> None:
        super().__init__(moments)
        self.moments = moments


@dataclass(frozen=True, kw_only=True)
class Settler:
    """Asks units until they are settled. One for a whole run, whatever way its models are reached.

    spending : where requests with a price are noted before they are sent; None notes nothing. begun : where
    requests are noted before a local model gets them; None likewise. media : where the frames of units that need
    them come from; None: the units have theirs. foresee : has a question made where its pixels are, if it has not
    been; returns why that is not possible. videos : where the media files of units come from that see the video;
    None: the units have theirs.
    """

    maker: RequestMaker
    recorder: Recorder
    budget: Budget
    spending: SpendingJournal | None = None
    begun: Begun | None = None
    media: MediaOf | None = None
    foresee: Callable[[Frames, Recipe], Awaitable[AttemptError | None]] | None = None
    videos: VideoOf | None = None

    async def settle(self, unit: Ask, state: ModelState) -> None:
        """Attempt after attempt until the policy says that this is the unit's outcome, `Ask.last`.

        Between attempts, and while the way to the model or to the media is closed, the unit holds no frames.

        Raises `MomentsFound` where the unit stands for all moments of a clip, and they are known now.
        """
        with about(unit.row.name, unit.clip.id):
            while (step := await self._try(unit, state)).again:
                if step.wait_s is None and not (state.way.paused or self.recorder.storage.paused):
                    pause_s = pause_after(step, unit.attempts, self.recorder.patience)
                    await self.recorder.progress.rest(unit.row.name, pause_s)

    async def prepare(self, unit: Ask, state: ModelState) -> Made | Step:
        """The request of the unit's next attempt, frames being in hand.

        Where none can be made, that is written down as the attempt, and what the policy says of it is returned.
        """
        if unit.attempts == 0:
            unit.standing = state.habits.start
        for media in (unit.frames, unit.video):
            if isinstance(media, MediaError):
                return await self.recorder.record_media(unit, state, media)
        await self.maker.make_ready(unit)
        try:
            recipe = self.maker.recipe(unit)
            if self.foresee is not None and recipe is not None and isinstance(unit.frames, FarFrames):
                failure = await self.foresee(unit.frames, recipe)
                if failure is not None:
                    raise NotMade(failure)
            made = self.maker.make(unit)
        except NotMade as failed:
            return await self.recorder.record(unit, state, failed.named, Delivery(failed.failure, None, None))
        return await self._from_cache(unit, state, made.request) or made

    async def _from_cache(self, unit: Ask, state: ModelState, request: Request) -> Step | None:
        """What follows the answer that another run got to this request; None where there is none."""
        cache = self.recorder.cache
        hit = await cache.find(unit, request) if cache is not None else None
        if cache is None or hit is None:
            return None
        step = await self.recorder.record_hit(unit, state, SentRequest.of(request, None), hit)
        if step is None:
            cache.give_back(hit)
        return step

    def announce(self, unit: Ask, dispatcher: Dispatcher | None) -> None:
        """Tell the dispatcher that the unit's request is on its way."""
        if dispatcher is not None and not unit.announced:
            dispatcher.expect(1, unit.row.name)
            unit.announced = True

    async def _try(self, unit: Ask, state: ModelState) -> Step:
        """One attempt when its time has come. Nothing is sent once the model has stopped."""
        settled, dispatcher = Step("settle", unit.standing), state.dispatcher
        fresh = unit.failed_at is None
        if state.way.paused:
            self._withdraw(unit, dispatcher)
            with self.recorder.progress.waiting(unit.row.name):
                passage = await state.way.enter(fresh=fresh)
        else:
            passage = await state.way.enter(fresh=fresh)
        if passage is None or state.stopped is not None or dispatcher is None:
            self._withdraw(unit, dispatcher)
            if passage is not None:
                state.way.left(passage)
            return settled
        with state.way.held(passage):
            async with state.places or contextlib.nullcontext():
                if not state.way.may_send(passage):
                    return Step("retry", unit.standing)
                return await self._with_frames(unit, state, dispatcher, passage)

    async def _with_frames(self, unit: Ask, state: ModelState, dispatcher: Dispatcher, passage: Passage) -> Step:
        """One attempt, with frames in hand where the row needs them, or the video where it sees that."""
        if unit.row.sees_video and self.videos is not None:
            return await self._with_video(self.videos, unit, state, passage)
        if self.media is None:
            return await self._attempt(unit, state, passage)
        if not unit.row.needs_frames and not unit.moments_unknown:
            self.announce(unit, dispatcher)
            return await self._attempt(unit, state, passage)

        def coming(is_coming: bool) -> None:
            if not unit.moments_unknown:
                (self.announce if is_coming else self._withdraw)(unit, dispatcher)

        try:
            async with self.media(unit.clip, coming) as decoded:
                unit.frames, unit.decode_s = decoded.frames, decoded.seconds
                if (moments := self.maker.moments(unit)) is not None:
                    raise MomentsFound(moments)
                return await self._attempt(unit, state, passage)
        except StorageGivenUp as away:
            self._withdraw(unit, dispatcher)
            state.stop(storage_away(away))
            return Step("settle", unit.standing)
        finally:
            unit.frames = None

    async def _with_video(self, videos: VideoOf, unit: Ask, state: ModelState, passage: Passage) -> Step:
        """One attempt, with the clip's own media file in hand."""
        try:
            async with videos(unit.clip) as video:
                unit.video = video
                return await self._attempt(unit, state, passage)
        except StorageGivenUp as away:
            state.stop(storage_away(away))
            return Step("settle", unit.standing)
        finally:
            unit.video = None

    async def _attempt(self, unit: Ask, state: ModelState, passage: Passage) -> Step:
        """One attempt, if a request can be made and paid for, written down; and what the policy says of it."""
        dispatcher = state.dispatcher
        if state.stopped is not None or dispatcher is None:
            self._withdraw(unit, dispatcher)
            return Step("settle", unit.standing)
        made = await self.prepare(unit, state)
        if isinstance(made, Step):
            self._withdraw(unit, dispatcher)
            return made
        request, reserved = made.request, made.most_usd
        if not await self.budget.reserve(reserved):
            state.stop(self.budget.exhausted)
            self._withdraw(unit, dispatcher)
            return Step("settle", unit.standing)
        asked = SentRequest.of(request, seconds_since(unit.ended))
        announced, unit.announced = unit.announced, False
        billed: float | None = None
        try:
            delivery = await dispatcher.ask(
                unit.clip,
                request,
                group=unit.row.name,
                expected=announced,
                due=lambda: unit.attempts > 0 or unit.standing == state.habits.start,
                sending=self._sending(unit, asked, state, reserved, passage),
                # Beside others it would cost them their worker too.
                alone=unit.lost > 0,
            )
            billed = billed_for(delivery)
        except Held:
            billed = 0.0
            return Step("retry", unit.standing)
        except Withdrawn as unsent:
            billed = 0.0
            if isinstance(unsent, PutOff):
                until = state.put_off(unsent.pause_s)
                message = f"{unsent.failure}; {put_off(unsent.pause_s, until)}"
                state.stop(Stop(unsent.failure.outcome, message, until))
                self.recorder.progress.put_off(unit.row.name, unsent.pause_s)
            if self.spending is not None:
                await self.spending.take_back(request.id)
            if self.begun is not None:
                self.begun.taken_back(request.id)
            return Step("retry", unit.standing, 0.0) if isinstance(unsent, Outdated) else Step("settle", unit.standing)
        finally:
            self.budget.settle(reserved, billed)
        step = await self.recorder.record(unit, state, asked, delivery, passage)
        await self._keep(unit, request, asked, delivery)
        return step

    async def _keep(self, unit: Ask, request: Request, asked: SentRequest, delivery: Delivery) -> None:
        """Keep an answer for other runs, unless something was odd about how it came."""
        cache, reply = self.recorder.cache, delivery.result
        if cache is not None and unit.last is Outcome.ANSWERED and isinstance(reply, Reply) and not delivery.notes:
            await cache.keep(unit.row, cache.key(unit, request), reply, utc(asked.started_at))

    async def _send(self, request_id: str, most_usd: float, way: Way, passage: Passage) -> None:
        if not way.may_send(passage):
            raise Held
        if self.spending is not None and most_usd:
            await self.spending.note(request_id, most_usd)

    def _sending(
        self, unit: Ask, asked: SentRequest, state: ModelState, most_usd: float, passage: Passage
    ) -> Sending | None:
        """What is to be done when the request's turn has come: to write down what it can cost, or that it began.

        Where the way to the model has been closed meanwhile, it raises `Held`; a local model has none.
        """
        begun = self.begun
        if not isinstance(state.configured.model, LocalModel):
            return functools.partial(self._send, asked.request_id, most_usd, state.way, passage)
        if begun is None:
            return None

        async def note() -> None:
            begun.request(
                model=unit.row.name,
                clip=unit.clip.id,
                repeat=unit.repeat,
                moment_s=unit.moment_s,
                fallback_level=unit.standing.level,
                request_id=asked.request_id,
                started_at=utc(asked.started_at),
                frames_sha256=asked.frames_sha256,
                prompt_sha256=asked.prompt_sha256,
                notes=list(unit.standing.notes()),
            )

        return note

    def _withdraw(self, unit: Ask, dispatcher: Dispatcher | None) -> None:
        if unit.announced and dispatcher is not None:
            dispatcher.expect(-1, unit.row.name)
        unit.announced = False


def storage_away(away: StorageGivenUp) -> Stop:
    """The end of a model whose clips' storage nobody waits for any longer."""
    return Stop(Outcome.MEDIA_UNREACHABLE, given_up(f"the storage is away: {away}"))
