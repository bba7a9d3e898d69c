"""One unit of work: one model's row, one clip, one repeat, asked until the policy settles it, attempt by attempt."""

from __future__ import annotations

import contextlib
import copy
import functools
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ghostbench.errors import AttemptError, Crashed, MediaError, Unparseable
from ghostbench.folder.begun import Begun
from ghostbench.folder.ledger import Ledger
from ghostbench.folder.lines import AttemptFault, AttemptLine
from ghostbench.folder.spending import SpendingJournal
from ghostbench.models import LocalModel, RemoteModel
from ghostbench.outcomes import STOPS_MODEL, TRANSIENT, TURNED_AWAY, Outcome
from ghostbench.records import Clip, Frames, Prompt, Reply, Request, Usage
from ghostbench.running.ask.decoding import Decoded
from ghostbench.running.ask.dispatch import (
    Delivery,
    Dispatcher,
    Outdated,
    PutOff,
    Sending,
    Withdrawn,
    estimated,
)
from ghostbench.running.ask.units import Ask, ModelState, SentRequest, ladder_of
from ghostbench.running.ask.way import Passage, Way
from ghostbench.running.ask.window import Coming, StorageGivenUp
from ghostbench.running.plan.plan import ConfiguredModel
from ghostbench.running.plan.probes import probed, thinned
from ghostbench.running.rules.patience import NO_PATIENCE, Patience
from ghostbench.running.rules.replies import checked, in_words, told
from ghostbench.running.rules.retry import Failure, Step, next_step, outcome_of, pause_after, put_off
from ghostbench.running.rules.standing import refusal_notes
from ghostbench.running.settle.budget import Budget
from ghostbench.running.settle.faults import is_our_task, is_ours
from ghostbench.running.watch.progress import Progress
from ghostbench.tasks.base import Task

MediaOf = Callable[[Clip, Coming], AbstractAsyncContextManager[Decoded]]
"""Lends a clip's frames, or why there are none. Raises `StorageGivenUp`."""
_SAYS_NOTHING = TRANSIENT | {Outcome.CRASHED, Outcome.WORKER_LOST, Outcome.UNAVAILABLE, Outcome.OVER_BUDGET}
"""Outcomes after which nobody knows whether the way to the model is open."""


class Held(Exception):
    """The way to the model was closed while the request waited its turn: it was never sent."""


@dataclass(frozen=True, kw_only=True)
class Settler:
    """Asks units until they are settled, and writes every attempt to the ledger.

    max_attempts : of one clip. strict : whether all attempts count, or only those whose failure is the clip's own.
    sent : where requests with a price are noted before they are sent; None notes nothing. begun : where requests are
        noted before a local model gets them; None likewise.
    media : where the frames of units that need them come from; None: the units have theirs.
    storage : the way to the media.
    """

    task: Task
    ledger: Ledger
    budget: Budget
    progress: Progress
    seed: int
    max_attempts: int
    strict: bool = True
    patience: Patience = NO_PATIENCE
    sent: SpendingJournal | None = None
    begun: Begun | None = None
    media: MediaOf | None = None
    storage: Way = field(default_factory=Way)

    @functools.cached_property
    def blind_prompt(self) -> Prompt:
        """The task's question without frames, the same for every clip."""
        return self.task.build(None)

    async def settle(self, unit: Ask, state: ModelState) -> Outcome:
        """Attempt after attempt until the policy says that this is the unit's outcome; return that outcome.

        Between attempts, and while the way to the model or to the media is closed, the unit holds no frames.
        """
        while (step := await self._try(unit, state)).again:
            if step.wait_s is None and not (state.way.paused or self.storage.paused):
                await self.progress.rest(unit.row.name, pause_after(step, unit.attempts, self.patience))
        outcome = unit.last
        if outcome is None:
            outcome = state.stopped[0] if state.stopped else Outcome.CRASHED
        self.progress.settled(unit.row.name, outcome)
        return outcome

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
            with self.progress.waiting(unit.row.name):
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
        """One attempt, with frames in hand where the row needs them."""
        if self.media is None:
            return await self._attempt(unit, state, passage)
        if not unit.row.needs_frames:
            self.announce(unit, dispatcher)
            return await self._attempt(unit, state, passage)

        def coming(is_coming: bool) -> None:
            (self.announce if is_coming else self._withdraw)(unit, dispatcher)

        try:
            async with self.media(unit.clip, coming) as decoded:
                unit.frames, unit.decode_s = decoded.frames, decoded.seconds
                return await self._attempt(unit, state, passage)
        except StorageGivenUp as away:
            self._withdraw(unit, dispatcher)
            state.stop(Outcome.MEDIA_UNREACHABLE, given_up(f"the storage is away: {away}"))
            return Step("settle", unit.standing)
        finally:
            unit.frames = None

    async def _attempt(self, unit: Ask, state: ModelState, passage: Passage) -> Step:
        """One attempt, written down, and what the policy says of it."""
        if unit.attempts == 0:
            unit.standing = state.habits.start
        dispatcher = state.dispatcher
        if state.stopped is not None or dispatcher is None:
            self._withdraw(unit, dispatcher)
            return Step("settle", unit.standing)
        if isinstance(unit.frames, MediaError):
            self._withdraw(unit, dispatcher)
            return await self.record_media(unit, state, unit.frames)
        return await self._ask(unit, state, dispatcher, passage)

    async def _ask(self, unit: Ask, state: ModelState, dispatcher: Dispatcher, passage: Passage) -> Step:
        """One request, if it can be made and paid for."""
        settled = Step("settle", unit.standing)
        try:
            request = self.request(unit)
        except Exception as error:  # a stranger's task may raise anything; the clip cannot be asked about
            self._withdraw(unit, dispatcher)
            if is_ours(error, self.task):
                raise
            return await self.record(unit, state, None, no_request(error))
        try:
            reserved = self.most(state.host, request)
        except AttemptError as error:  # what cannot be priced is not sent, since it could break the limit
            self._withdraw(unit, dispatcher)
            return await self.record(unit, state, SentRequest.of(request, None), Delivery(checked(error), None, None))
        if not await self.budget.reserve(reserved):
            state.stop(Outcome.OVER_BUDGET, f"another request could take the run over ${self.budget.limit:g}")
            self._withdraw(unit, dispatcher)
            return settled
        asked = SentRequest.of(request, _since(unit.ended))
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
            )
            billed = billed_for(delivery)
        except Held:
            billed = 0.0
            return Step("retry", unit.standing)
        except Withdrawn as unsent:
            billed = 0.0
            if isinstance(unsent, PutOff):
                state.stop(unsent.failure.outcome, f"{unsent.failure}; {put_off(unsent.pause_s)}")
                self.progress.put_off(unit.row.name, unsent.pause_s)
            if self.sent is not None:
                await self.sent.take_back(request.id)
            if self.begun is not None:
                self.begun.taken_back(request.id)
            return Step("retry", unit.standing, 0.0) if isinstance(unsent, Outdated) else settled
        finally:
            self.budget.settle(reserved, billed)
        return await self.record(unit, state, asked, delivery, passage)

    async def _send(self, request_id: str, most_usd: float, way: Way, passage: Passage) -> None:
        if not way.may_send(passage):
            raise Held
        if self.sent is not None and most_usd:
            await self.sent.note(request_id, most_usd)

    async def record(
        self,
        unit: Ask,
        state: ModelState,
        asked: SentRequest | None,
        delivery: Delivery,
        passage: Passage | None = None,
    ) -> Step:
        """Write down what came back for the unit's next attempt; return what the policy says of it.

        asked : None where there was no request. passage : by which it was sent, None where it was not.
        """
        result = delivery.result
        if isinstance(result, Reply):
            result = replace(result, text=self.ledger.redactor.text(result.text))
        reply = result.reply if isinstance(result, AttemptError) else result
        failure = self._failure(result)
        unit.attempts += 1
        unit.last = outcome_of(failure)
        line = self._line(unit, asked, reply, failure)
        stages = replace(line.stages, queue_s=delivery.queue_s, video_decode_s=unit.decode_s)
        notes = (*line.notes, *delivery.notes)
        line = replace(line, wall_s=delivery.wall_s, wait_s=asked.wait_s if asked else None, stages=stages, notes=notes)
        if failure is not None and (unit.last in STOPS_MODEL or delivery.stops):
            state.stop(unit.last, str(failure))
        if passage is not None:
            self._reckon(unit, state.way, passage.started)
            self._report(unit.last, failure, state, passage)
        if asked is not None:
            state.habits.learn(unit.clip.id, unit.standing, failure, ladder_of(state.host))
        return await self._conclude(unit, state, line, failure)

    async def record_media(self, unit: Ask, state: ModelState, failure: MediaError) -> Step:
        """Write down that the unit's media gave no frames; return what the policy says of it."""
        unit.attempts += 1
        unit.last = failure.outcome
        line = replace(self._line(unit, None, None, failure), wait_s=_since(unit.ended))
        self._reckon(unit, self.storage, time.monotonic())
        if self.storage.given_up is not None:
            state.stop(unit.last, given_up(f"{failure}; {self.storage.given_up}"))
        return await self._conclude(unit, state, line, failure)

    def _reckon(self, unit: Ask, way: Way, tried_at: float) -> None:
        """Whether the attempt counts against the clip's limit. tried_at : when it was made, by `time.monotonic`.

        What fails while others come through is the clip's own failure; where nothing does, it is an outage. That a
        server has no room is no clip's fault as long as a run waits for outages at all.
        """
        if unit.last not in TRANSIENT:
            unit.troubled_since = unit.failed_at = None
            return
        now = time.monotonic()
        unit.troubled_since = unit.troubled_since or now
        own = unit.failed_at is None or way.came_through_since(unit.failed_at)
        if unit.last is Outcome.RATE_LIMITED:
            own = now - unit.troubled_since >= self.patience.outage_s
        if not own and not self.strict:
            unit.uncounted += 1
        unit.failed_at = tried_at

    def _report(self, outcome: Outcome, failure: Failure | None, state: ModelState, passage: Passage) -> None:
        """Tell the way to the model what became of a request."""
        if outcome in TRANSIENT and isinstance(failure, AttemptError):
            state.way.failed(passage, f"{outcome}: {failure}", failure.retry_after_s)
            if state.way.given_up is not None:
                state.stop(outcome, given_up(f"{failure}; {state.way.given_up}"))
        elif outcome not in _SAYS_NOTHING:
            state.way.came_through(passage)

    async def _conclude(self, unit: Ask, state: ModelState, line: AttemptLine, failure: Failure | None) -> Step:
        """Append the line, and return what follows the attempt."""
        step = next_step(
            failure,
            standing=unit.standing,
            attempts=unit.attempts - unit.uncounted,
            max_attempts=self.max_attempts,
            ladder=ladder_of(state.host),
        )
        if state.stopped is not None and step.action == "retry":
            step = Step("settle", unit.standing)
        if step.put_off_s is not None and line.error is not None:
            message = f"{line.error.message}; {put_off(step.put_off_s)}"
            line = replace(line, error=replace(line.error, message=message))
            self.progress.put_off(unit.row.name, step.put_off_s)
        await self.ledger.append(line)
        if step.again:
            self.progress.again(unit.row.name, step.action)
        unit.standing, unit.ended = step.standing, time.perf_counter()
        return step

    def request(self, unit: Ask) -> Request:
        """The question of the unit's next attempt, under a new random id."""
        ladder = ladder_of(unit.row.host)
        frames = None if isinstance(unit.frames, MediaError) else unit.frames
        frames = thinned(probed(frames, unit.row.probe), unit.standing.max_frames(ladder))
        prompt = self.prompt(frames)
        return Request(
            id=str(uuid.uuid4()),
            # A model gets nothing to write to that another one reads.
            prompt=replace(prompt, schema=copy.deepcopy(prompt.schema)),
            frames=frames.private() if frames is not None else None,
            seed=self.seed + unit.repeat,
            level=unit.standing.level,
            level_settings=unit.standing.settings(ladder),
            write_answer=self.task.write,
        )

    def prompt(self, frames: Frames | None) -> Prompt:
        """The task's question about these frames, built once for all models."""
        return self.blind_prompt if frames is None else frames.memo("prompt", self.task.build)

    def most(self, host: ConfiguredModel, request: Request) -> float:
        """The most that the request can cost, US dollars; 0 where the price is unknown.

        Raises `AttemptError` where the model fails to tell, and the run has a limit that must be kept.
        """
        if not isinstance(host.model, RemoteModel):
            return 0.0
        try:
            return estimated(host.model, request).cost_usd or 0.0
        except AttemptError:
            if self.budget.limit is None:
                return 0.0
            raise

    def _sending(
        self, unit: Ask, asked: SentRequest, state: ModelState, most_usd: float, passage: Passage
    ) -> Sending | None:
        """What is to be done when the request's turn has come: to write down what it can cost, or that it began.

        Where the way to the model has been closed meanwhile, it raises `Held`; a local model has none.
        """
        begun = self.begun
        if not isinstance(state.host.model, LocalModel):
            return functools.partial(self._send, asked.request_id, most_usd, state.way, passage)
        if begun is None:
            return None

        async def note() -> None:
            begun.request(
                model=unit.row.name,
                clip=unit.clip.id,
                repeat=unit.repeat,
                fallback_level=unit.standing.level,
                request_id=asked.request_id,
                started_at=_utc(asked.started_at),
                frames_sha256=asked.frames_sha256,
                prompt_sha256=asked.prompt_sha256,
                notes=list(unit.standing.notes()),
            )

        return note

    def _withdraw(self, unit: Ask, dispatcher: Dispatcher | None) -> None:
        if unit.announced and dispatcher is not None:
            dispatcher.expect(-1, unit.row.name)
        unit.announced = False

    def _failure(self, result: Reply | AttemptError) -> Failure | None:
        if isinstance(result, AttemptError):
            return result
        try:
            self.task.parse(result.text)
        except Unparseable as error:
            return error
        except Exception as error:  # a stranger's task may raise anything; the answer is then unread
            if is_our_task(self.task) and not isinstance(error, RecursionError):
                raise
            return Crashed(f"the task could not read the reply: {type(error).__name__}: {error}")
        return None

    def _line(self, unit: Ask, asked: SentRequest | None, reply: Reply | None, failure: Failure | None) -> AttemptLine:
        fault = AttemptFault(type=type(failure).__name__, message=told(failure)) if failure is not None else None
        line = AttemptLine(
            model=unit.row.name,
            clip=unit.clip.id,
            repeat=unit.repeat,
            attempt=unit.attempts,
            fallback_level=unit.standing.level,
            outcome=outcome_of(failure),
            error=fault,
            started_at=_utc(asked.started_at if asked is not None else datetime.now(UTC)),
            notes=(*unit.standing.notes(), *refusal_notes(failure)),
        )
        if asked is not None:
            line = replace(
                line,
                request_id=asked.request_id,
                frames_sha256=asked.frames_sha256,
                prompt_sha256=asked.prompt_sha256,
            )
        if reply is not None:
            line = replace(
                line,
                stages=reply.stages,
                batch_size=reply.batch_size,
                usage=reply.usage or Usage(),
                memory=reply.memory,
                served_model=reply.served_model,
                system_fingerprint=reply.system_fingerprint,
                server_request_id=reply.server_request_id,
                finish_reason=reply.finish_reason,
                grade_probabilities=reply.grade_probabilities,
                raw=reply.text,
                notes=(*reply.notes, *line.notes),
            )
        return line


def no_request(error: Exception) -> Delivery:
    """In place of an answer, where the task or the model's ladder failed to make the request."""
    return Delivery(Crashed(f"the clip cannot be asked about: {in_words(error)}"), None, None)


def billed_for(delivery: Delivery) -> float | None:
    """What the attempt cost, US dollars; 0 for a request that was turned away; None where nobody said."""
    result = delivery.result
    reply = result.reply if isinstance(result, AttemptError) else result
    if isinstance(reply, Reply):
        return reply.usage.cost_usd
    return 0.0 if isinstance(result, AttemptError) and result.outcome in TURNED_AWAY else None


def given_up(why: str) -> str:
    """In words: why the model sends nothing more though another time may go well."""
    return f"{why}; bench run --resume asks again"


def _since(moment: float | None) -> float | None:
    return None if moment is None else time.perf_counter() - moment


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
