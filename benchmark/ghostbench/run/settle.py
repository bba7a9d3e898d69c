"""One unit of work: one model's row, one clip, one repeat, asked until the policy settles it, attempt by attempt."""

from __future__ import annotations

import copy
import functools
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tenacity import AsyncRetrying, retry_if_result, stop_never

from ghostbench.errors import AttemptError, Crashed, MediaError, Unparseable
from ghostbench.models import LocalModel, RemoteModel
from ghostbench.outcomes import STOPS_MODEL, TURNED_AWAY, Outcome
from ghostbench.records import AttemptFault, AttemptLine, Frames, Prompt, Reply, Request, Usage
from ghostbench.run.begun import Begun
from ghostbench.run.budget import Budget
from ghostbench.run.dispatch import Delivery, Dispatcher, Outdated, PutOff, Sending, Withdrawn, as_attempt_error
from ghostbench.run.ledger import Ledger
from ghostbench.run.plan import Host
from ghostbench.run.policy import Failure, Step, next_step, outcome_of, pause, put_off
from ghostbench.run.probes import probed, thinned
from ghostbench.run.progress import Progress
from ghostbench.run.replies import checked, encodable, in_words
from ghostbench.run.sent import SentJournal
from ghostbench.run.standing import refusal_notes
from ghostbench.run.units import Asked, HostState, Unit, ladder_of
from ghostbench.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class Settler:
    """Asks units until they are settled, and writes every attempt to the ledger.

    sent : where requests with a price are noted before they are sent; None notes nothing. begun : where requests are
    noted before a local model gets them; None likewise.
    """

    task: Task
    ledger: Ledger
    budget: Budget
    progress: Progress
    seed: int
    max_attempts: int
    sent: SentJournal | None = None
    begun: Begun | None = None

    @functools.cached_property
    def blind_prompt(self) -> Prompt:
        """The task's question without frames, the same for every clip."""
        return self.task.build(None)

    async def settle(self, unit: Unit, state: HostState) -> Outcome:
        """Attempt after attempt until the policy says that this is the unit's outcome; return that outcome."""
        if isinstance(unit.frames, MediaError) and state.stopped is None:
            self._withdraw(unit, state.dispatcher)
            await self._write_media_failure(unit, unit.frames)
        else:
            retrying = AsyncRetrying(
                sleep=functools.partial(self.progress.rest, unit.row.name),
                stop=stop_never,
                wait=pause,
                retry=retry_if_result(lambda step: step.again),
            )
            await retrying(self._attempt, unit, state)
        outcome = unit.last
        if outcome is None:
            outcome = state.stopped[0] if state.stopped else Outcome.CRASHED
        self.progress.settled(unit.row.name, outcome)
        return outcome

    async def _attempt(self, unit: Unit, state: HostState) -> Step:
        """One attempt, written down, and what the policy says of it. Nothing is sent once the model has stopped."""
        if unit.attempts == 0:
            unit.standing = state.habits.start
        settled = Step("settle", unit.standing)
        dispatcher = state.dispatcher
        if state.stopped is not None or dispatcher is None:
            self._withdraw(unit, dispatcher)
            return settled
        try:
            request = self.request(unit)
        except Exception as error:  # noqa: BLE001 - a stranger's task may raise anything; the clip cannot be asked about
            self._withdraw(unit, dispatcher)
            return await self.record(unit, state, None, no_request(error))
        try:
            reserved = self.most(state.host, request)
        except AttemptError as error:  # what cannot be priced is not sent, since it could break the limit
            self._withdraw(unit, dispatcher)
            return await self.record(unit, state, Asked.of(request, None), Delivery(checked(error), None, None))
        if not await self.budget.reserve(reserved):
            state.stopped = (Outcome.OVER_BUDGET, f"another request could take the run over ${self.budget.limit:g}")
            self._withdraw(unit, dispatcher)
            return settled
        asked = Asked.of(request, None if unit.ended is None else time.perf_counter() - unit.ended)
        announced, unit.announced = unit.announced, False
        billed: float | None = None
        try:
            delivery = await dispatcher.ask(
                unit.clip,
                request,
                group=unit.row.name,
                expected=announced,
                due=lambda: unit.attempts > 0 or unit.standing == state.habits.start,
                sending=self._sending(unit, asked, state.host, reserved),
            )
            billed = billed_for(delivery)
        except Withdrawn as unsent:
            billed = 0.0
            if isinstance(unsent, PutOff):
                state.stopped = (unsent.failure.outcome, f"{unsent.failure}; {put_off(unsent.pause_s)}")
                self.progress.put_off(unit.row.name, unsent.pause_s)
            if self.sent is not None:
                await self.sent.take_back(request.id)
            if self.begun is not None:
                self.begun.taken_back(request.id)
            return Step("retry", unit.standing, 0.0) if isinstance(unsent, Outdated) else settled
        finally:
            self.budget.settle(reserved, billed)
        return await self.record(unit, state, asked, delivery)

    async def record(self, unit: Unit, state: HostState, asked: Asked | None, delivery: Delivery) -> Step:
        """Write down what came back for the unit's next attempt; return what the policy says of it.

        asked : None where there was no request.
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
            state.stopped = state.stopped or (unit.last, str(failure))
        step = next_step(
            failure,
            standing=unit.standing,
            attempts=unit.attempts,
            max_attempts=self.max_attempts,
            ladder=ladder_of(state.host),
        )
        if asked is not None:
            state.habits.learn(unit.clip.id, unit.standing, failure, ladder_of(state.host))
        if delivery.stops:
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

    def request(self, unit: Unit) -> Request:
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

    def most(self, host: Host, request: Request) -> float:
        """The most that the request can cost, US dollars; 0 where the price is unknown.

        Raises `AttemptError` where the model fails to tell, and the run has a limit that must be kept.
        """
        if not isinstance(host.model, RemoteModel):
            return 0.0
        try:
            return host.model.estimate(request).cost_usd or 0.0
        except BaseException as error:  # noqa: BLE001 - an exit that an adapter asks for is its fault, no more
            if self.budget.limit is None:
                return 0.0
            raise as_attempt_error(error) from None

    def _sending(self, unit: Unit, asked: Asked, host: Host, most_usd: float) -> Sending | None:
        """What is to be done when the request's turn has come: to write down what it can cost, or that it began."""
        begun = self.begun
        if begun is not None and isinstance(host.model, LocalModel):

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
                )

            return note
        if self.sent is None or not most_usd:
            return None
        return functools.partial(self.sent.note, asked.request_id, most_usd)

    def _withdraw(self, unit: Unit, dispatcher: Dispatcher | None) -> None:
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
        except Exception as error:  # noqa: BLE001 - a stranger's task may raise anything; the answer is then unread
            return Crashed(f"the task could not read the reply: {type(error).__name__}: {error}")
        return None

    async def _write_media_failure(self, unit: Unit, failure: MediaError) -> None:
        if unit.attempts == 0:
            unit.attempts, unit.last = 1, failure.outcome
            line = self._line(unit, None, None, failure)
            await self.ledger.append(line)

    def _line(self, unit: Unit, asked: Asked | None, reply: Reply | None, failure: Failure | None) -> AttemptLine:
        fault = (
            AttemptFault(type=type(failure).__name__, message=encodable(str(failure))) if failure is not None else None
        )
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


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
