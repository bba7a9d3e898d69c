"""What came back for an attempt: read, held against the rules, written into the ledger, and what follows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ghostbench.errors import AttemptError, Crashed, MediaError, Unparseable
from ghostbench.folder.ledger import Ledger
from ghostbench.folder.lines import AttemptFault, AttemptLine
from ghostbench.folder.log import log_failure
from ghostbench.models import RemoteModel
from ghostbench.outcomes import STOPS_MODEL, TRANSIENT, Outcome
from ghostbench.records import Reply, Usage
from ghostbench.running.ask.dispatch import Delivery
from ghostbench.running.ask.units import Ask, ModelState, SentRequest, ladder_of, seconds_since, utc
from ghostbench.running.ask.way import Passage, Way
from ghostbench.running.rules.answers import read_answer
from ghostbench.running.rules.patience import NO_PATIENCE, Patience
from ghostbench.running.rules.replies import told
from ghostbench.running.rules.retry import Failure, Step, next_step, outcome_of, put_off
from ghostbench.running.rules.standing import refusal_notes
from ghostbench.running.rules.stop import Stop
from ghostbench.running.settle.faults import is_our_task
from ghostbench.running.settle.reply_cache import Hit, ReplyCache
from ghostbench.running.watch.progress import Progress
from ghostbench.tasks.base import Task

_SAYS_NOTHING = TRANSIENT | {Outcome.CRASHED, Outcome.WORKER_LOST, Outcome.UNAVAILABLE, Outcome.OVER_BUDGET}
"""Outcomes after which nobody knows whether the way to the model is open."""


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Writes attempts down. The only place where a run's ledger grows.

    max_attempts : of one clip. strict : whether all attempts count, or only those whose failure is the clip's own.
    storage : the way to the media. cache : where answers are kept for other runs; None keeps none.
    """

    task: Task
    ledger: Ledger
    progress: Progress
    max_attempts: int
    strict: bool = True
    patience: Patience = NO_PATIENCE
    storage: Way = field(default_factory=Way)
    cache: ReplyCache | None = None

    async def record(
        self,
        unit: Ask,
        state: ModelState,
        sent: SentRequest | None,
        delivery: Delivery,
        passage: Passage | None = None,
    ) -> Step:
        """Write down what came back for the unit's next attempt; return what the policy says of it.

        sent : None where there was no request. passage : by which it was sent, None where it was not.
        """
        # The pause before the next attempt begins here, whatever writing this one down takes.
        unit.ended = time.perf_counter()
        result = delivery.result
        if isinstance(result, Reply):
            result = replace(result, text=self.ledger.redactor.text(result.text))
        reply = result.reply if isinstance(result, AttemptError) else result
        failure = self._failure(result)
        unit.attempts += 1
        unit.last = outcome_of(failure)
        line = self._line(unit, sent, reply, failure)
        stages = replace(line.stages, queue_s=delivery.queue_s, video_decode_s=unit.decode_s)
        notes = (*line.notes, *delivery.notes)
        line = replace(line, wall_s=delivery.wall_s, wait_s=sent.wait_s if sent else None, stages=stages, notes=notes)
        line = replace(line, worker=delivery.worker)
        if failure is not None and (unit.last in STOPS_MODEL or delivery.stops):
            state.stop(Stop(unit.last, str(failure)))
        unit.lost += delivery.lost
        self.progress.attempted(unit.row.name, delivery.worker)
        if passage is not None and not delivery.lost:
            self._reckon(unit, state.way, passage.started)
            self._report(unit.last, failure, state, passage)
        if sent is not None:
            state.habits.learn(unit.clip.id, unit.standing, failure, ladder_of(state.configured))
        return await self._conclude(unit, state, line, failure, lost=delivery.lost)

    async def record_hit(self, unit: Ask, state: ModelState, sent: SentRequest, hit: Hit) -> Step | None:
        """Write down an answer of another run in the place of the unit's next attempt; None where it is no answer.

        It took no time and cost nothing, and says nothing of the way to the model.
        """
        if self._failure(hit.reply) is not None:
            return None
        unit.attempts += 1
        unit.last = Outcome.ANSWERED
        usage = Usage(cost_usd=0.0) if isinstance(state.configured.model, RemoteModel) else Usage()
        line = replace(self._line(unit, sent, replace(hit.reply, usage=usage), None), from_cache=hit.sha256)
        return await self._conclude(unit, state, replace(line, notes=(*line.notes, hit.note)), None)

    async def record_media(self, unit: Ask, state: ModelState, failure: MediaError) -> Step:
        """Write down that the unit's media gave no frames; return what the policy says of it."""
        unit.attempts += 1
        unit.last = failure.outcome
        line = replace(self._line(unit, None, None, failure), wait_s=seconds_since(unit.ended))
        unit.ended = time.perf_counter()
        self._reckon(unit, self.storage, time.monotonic())
        if self.storage.given_up is not None:
            state.stop(Stop(unit.last, given_up(f"{failure}; {self.storage.given_up}")))
        return await self._conclude(unit, state, line, failure)

    def finish(self, unit: Ask, state: ModelState) -> None:
        """Count a clip as settled, by the unit that decides its outcome, which is the model's where it was never
        asked."""
        outcome = unit.last
        if outcome is None:
            outcome = state.stopped.outcome if state.stopped is not None else Outcome.CRASHED
        self.progress.settled(unit.row.name, outcome)

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
                state.stop(Stop(outcome, given_up(f"{failure}; {state.way.given_up}"), state.put_off_until))
        elif outcome not in _SAYS_NOTHING:
            state.way.came_through(passage)

    async def _conclude(
        self, unit: Ask, state: ModelState, line: AttemptLine, failure: Failure | None, *, lost: bool = False
    ) -> Step:
        """Append the line, and return what follows the attempt. lost : whether it took its worker down."""
        step = next_step(
            failure,
            standing=unit.standing,
            attempts=unit.attempts - unit.uncounted,
            max_attempts=self.max_attempts,
            ladder=ladder_of(state.configured),
            lost=unit.lost if lost else 0,
        )
        if state.stopped is not None and step.action == "retry":
            step = Step("settle", unit.standing)
        if step.put_off_s is not None and line.error is not None:
            until = state.put_off(step.put_off_s)
            message = f"{line.error.message}; {put_off(step.put_off_s, until)}"
            line = replace(line, error=replace(line.error, message=message))
            self.progress.put_off(unit.row.name, step.put_off_s)
        await self.ledger.append(line)
        if line.error is not None:
            log_failure(line, step.action)
        if step.again:
            self.progress.again(unit.row.name, step.action)
        unit.standing = step.standing
        return step

    def _failure(self, result: Reply | AttemptError) -> Failure | None:
        if isinstance(result, AttemptError):
            return result
        try:
            read_answer(self.task, result.text)
        except Unparseable as error:
            return error
        except Exception as error:  # a stranger's task may raise anything; the answer is then unread
            if is_our_task(self.task) and not isinstance(error, RecursionError):
                raise
            return Crashed(f"the task could not read the reply: {type(error).__name__}: {error}")
        return None

    def _line(self, unit: Ask, sent: SentRequest | None, reply: Reply | None, failure: Failure | None) -> AttemptLine:
        fault = AttemptFault(type=type(failure).__name__, message=told(failure)) if failure is not None else None
        line = AttemptLine(
            model=unit.row.name,
            clip=unit.clip.id,
            repeat=unit.repeat,
            attempt=unit.attempts,
            fallback_level=unit.standing.level,
            outcome=outcome_of(failure),
            error=fault,
            started_at=utc(sent.started_at if sent is not None else datetime.now(UTC)),
            notes=(*unit.standing.notes(), *refusal_notes(failure)),
            moment_s=unit.moment_s,
        )
        if sent is not None:
            line = replace(
                line,
                request_id=sent.request_id,
                frames_sha256=sent.frames_sha256,
                prompt_sha256=sent.prompt_sha256,
                video_sha256=sent.video_sha256,
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
                compared=reply.compared,
            )
        return line


def given_up(why: str) -> str:
    """In words: why the model sends nothing more though another time may go well."""
    return f"{why}; bench run --resume asks again"
