"""Models that are asked by the file: rounds of requests through a service's batch interface, across any kill.

A round is a file of encoded requests and an index that says which request is which unit's attempt. Written whole, it is
sealed by its index; from then on it is the same round, after a kill too, until each of its requests has a ledger line.
What the policy wants tried again goes into the next round. Frames are let go as soon as they are encoded. How a request
is made and paid for, written down and followed is the settler's and the recorder's affair, as for all models.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from ghostbench.errors import AttemptError, Crashed, MediaError, ModelError, TimedOut
from ghostbench.folder.ledger import DiskFailed
from ghostbench.folder.round_files import Entry, FileJournal, Round
from ghostbench.frames import Frames
from ghostbench.models import RemoteModel
from ghostbench.outcomes import NEVER_SENT, TRANSIENT, Outcome
from ghostbench.records import Reply
from ghostbench.running.ask.dispatch import Delivery, as_attempt_error, ends_the_run, within
from ghostbench.running.ask.units import Ask, ModelState, SentRequest, utc
from ghostbench.running.ask.way import Passage
from ghostbench.running.ask.window import StorageGivenUp
from ghostbench.running.rules.predictions import AskKey
from ghostbench.running.rules.replies import checked
from ghostbench.running.rules.retry import Step, pause_before_round, put_off_for
from ghostbench.running.rules.standing import Standing
from ghostbench.running.rules.stop import Stop
from ghostbench.running.settle.budget import billed_for
from ghostbench.running.settle.listening import Silence, heard
from ghostbench.running.settle.settler import Settler, storage_away
from ghostbench.running.settle.turn import IsLeft, spread

_AHEAD = max(2, min(8, os.cpu_count() or 2))
"""How many clips are decoded and encoded at the same time."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A request as it goes into the round's file."""

    entry: Entry
    data: bytes


_Made = tuple[Ask, "_Line | Step"]
"""A unit with its request; or, where there is none, with what follows that."""


class BatchRunner:
    """Settles all units of one batched model, round after round."""

    def __init__(self, state: ModelState, settler: Settler, folder: Path, deadline_s: float, is_left: IsLeft) -> None:
        if not isinstance(state.configured.model, RemoteModel):
            raise TypeError("only a RemoteModel can be batched")
        self._model = state.configured.model
        self._state = state
        self._settler = settler
        self._recorder = settler.recorder
        self._round = Round(folder)
        self._deadline_s = deadline_s
        self._is_left = is_left
        self._moments_left: Counter[tuple[str, str, int]] = Counter()
        self._keys: dict[str, Mapping[str, Any] | None] = {}

    async def run(self, units: Sequence[Ask]) -> None:
        """Go on with the round that is there, then make rounds until the policy settles every unit."""
        open_units = {unit.key: unit for unit in units}
        self._moments_left = Counter(key[:3] for key in open_units)
        steps: list[tuple[Step, int]] = []
        if self._round.sealed and self._state.stopped is None:
            for entry in self._round.entries()[1].values():
                self._settler.budget.set_aside(entry.most_usd)
            steps = await self._answer(open_units)
        while open_units and self._state.stopped is None:
            if not self._state.way.paused:
                pause_s = pause_before_round(steps, self._recorder.patience)
                await self._recorder.progress.rest(self._state.configured.choice.row, pause_s)
            made, steps = await self._make(open_units)
            if made:
                steps += await self._answer(open_units)
        for unit in list(open_units.values()):
            self._settled(unit, open_units)

    async def _make(self, open_units: dict[AskKey, Ask]) -> tuple[bool, list[tuple[Step, int]]]:
        """Write and seal a round of the open units' next attempts; False if there is nothing to send.

        With it comes what the policy wants again of those that no request could be made for.
        """
        entries: list[Entry] = []
        again: list[tuple[Step, int]] = []
        with self._round.start() as file:
            async for unit, made in self._encoded(open_units):
                if isinstance(made, _Line):
                    if await self._reserved(made.entry, first=not entries):
                        file.write(made.data + b"\n")
                        entries.append(made.entry)
                elif made.again:
                    again.append((made, unit.attempts))
                else:
                    self._settled(unit, open_units)
                if self._state.stopped is not None:
                    break
            file.flush()
            os.fsync(file.fileno())
        if entries:
            self._round.seal(entries)
        else:
            self._round.close()
        return bool(entries), again

    async def _reserved(self, entry: Entry, *, first: bool) -> bool:
        """Set money aside. What does not fit waits for the next round; where not even one does, the model stops."""
        budget = self._settler.budget
        if not first:
            return budget.reserve_now(entry.most_usd)
        if await budget.reserve(entry.most_usd):
            return True
        self._state.stop(budget.exhausted)
        return False

    async def _encoded(self, open_units: dict[AskKey, Ask]) -> AsyncIterator[_Made]:
        """Each open unit with its request, in order, or with what follows where there is none."""
        waiting: deque[asyncio.Task[list[_Made]]] = deque()
        clips = [list(group) for _, group in groupby(open_units.values(), key=lambda unit: unit.clip.id)]
        try:
            for group in clips:
                waiting.append(asyncio.create_task(self._encode(group, open_units)))
                if len(waiting) >= _AHEAD:
                    for made in await waiting.popleft():
                        yield made
            while waiting:
                for made in await waiting.popleft():
                    yield made
        finally:
            for task in waiting:
                task.cancel()

    async def _encode(self, units: Sequence[Ask], open_units: dict[AskKey, Ask]) -> list[_Made]:
        """The requests about one clip. Its frames are let go as soon as they are encoded."""
        media = self._settler.media
        if media is None or not any(unit.row.needs_frames or unit.moments_unknown for unit in units):
            return [(unit, await self._encode_one(unit)) for unit in units]
        try:
            async with media(units[0].clip, lambda _: None) as decoded:
                units = self._at_moments(units, decoded.frames, open_units)
                for unit in units:
                    if unit.row.needs_frames or unit.moments_unknown:
                        unit.frames, unit.decode_s = decoded.frames, decoded.seconds
                return [(unit, await self._encode_one(unit)) for unit in units]
        except StorageGivenUp as away:
            self._state.stop(storage_away(away))
            return [(unit, Step("retry", unit.standing)) for unit in units]
        finally:
            for unit in units:
                unit.frames = None

    def _at_moments(
        self, units: Sequence[Ask], frames: Frames | MediaError, open_units: dict[AskKey, Ask]
    ) -> list[Ask]:
        """The units, with those that stand for a clip's moments replaced by one for each, among the open ones too."""
        found: list[Ask] = []
        for unit in units:
            moments = self._settler.maker.moments(replace(unit, frames=frames))
            if moments is None:
                found.append(unit)
                continue
            each = spread(unit, moments, self._is_left)
            del open_units[unit.key]
            open_units |= {one.key: one for one in each}
            self._moments_left[unit.key[:3]] = len(each)
            found += each
        return found

    async def _encode_one(self, unit: Ask) -> _Line | Step:
        made = await self._settler.prepare(unit, self._state)
        if isinstance(made, Step):
            return made
        named = SentRequest.of(made.request, None)
        try:
            data = await within(asyncio.to_thread(self._model.encode, made.request), self._deadline_s)
        except BaseException as error:
            if ends_the_run(error):
                raise
            failure = checked(as_attempt_error(error))
            # Its thread cannot be stopped: one that does not come back would hang for each request anew.
            hangs = isinstance(error, TimedOut)
            return await self._recorder.record(unit, self._state, named, Delivery(failure, None, None, stops=hangs))
        entry = Entry(
            request_id=made.request.id,
            model=unit.row.name,
            clip=unit.clip.id,
            repeat=unit.repeat,
            attempt=unit.attempts + 1,
            level=unit.standing.level,
            frames_sha256=named.frames_sha256,
            prompt_sha256=made.request.prompt.sha256,
            most_usd=made.most_usd,
            decode_s=unit.decode_s,
            standing=tuple(unit.standing.notes()),
            moment_s=unit.moment_s,
        )
        cache = self._recorder.cache
        if cache is not None:
            self._keys[entry.request_id] = cache.key(unit, made.request)
        return _Line(entry, data)

    async def _answer(self, open_units: dict[AskKey, Ask]) -> list[tuple[Step, int]]:
        """Have the sealed round answered and written down; settled units leave `open_units`.

        A batch that cannot be submitted or reached stays as it is: the model stops, and `--resume` goes on with it. One
        whose results have been written down is over, though the model has stopped: sent again, it would be paid twice.
        """
        sealed_at, waiting = self._round.entries()
        # A journal that was changed is no fault of the model's, which is about to read it.
        FileJournal(self._round.folder).read()
        steps: list[tuple[Step, int]] = []
        while (passage := await self._state.way.enter()) is not None:
            failure: BaseException | None = None
            try:
                journal = FileJournal(self._round.folder)
                answers = self._model.answer_batch(self._round.lines, journal)
                async with contextlib.aclosing(heard(answers, journal, self._deadline_s)) as results:
                    async for request_id, result in results:
                        entry = waiting.pop(request_id, None)
                        if entry is not None:
                            steps += await self._record(entry, result, sealed_at, open_units, passage)
            except DiskFailed:
                raise
            except Silence as silence:
                self._stop(silence.failure)
                return []
            except BaseException as error:
                if ends_the_run(error):
                    raise
                failure = error
            finally:
                self._state.way.left(passage)
            if failure is None:
                break
            if not await self._waits_for(as_attempt_error(failure), passage):
                self._stop(as_attempt_error(failure))
                return []
        else:
            return []
        # Also where what came back has stopped the model: a round that is in the ledger must never be sent again.
        for entry in waiting.values():
            lost = Crashed("the adapter ended the batch without a result for this request")
            steps += await self._record(entry, lost, sealed_at, open_units)
        self._round.close()
        return steps

    async def _record(
        self,
        entry: Entry,
        result: Reply | ModelError,
        sealed_at: float,
        open_units: dict[AskKey, Ask],
        passage: Passage | None = None,
    ) -> list[tuple[Step, int]]:
        """Write one result down, unless the ledger has it from before a kill; return what the policy wants again."""
        unit = open_units.get(AskKey(entry.model, entry.clip, entry.repeat, entry.moment_s))
        delivery = Delivery(checked(result), None, max(0.0, time.time() - sealed_at))
        known = unit is None or unit.attempts >= entry.attempt
        billed = 0.0 if known else billed_for(delivery)
        self._settler.budget.settle(entry.most_usd, billed)
        if unit is None or known:
            return []
        if billed is None and entry.most_usd and self._settler.spending is not None:
            await self._settler.spending.note(entry.request_id, entry.most_usd)
        unit.standing, unit.decode_s = Standing.noted(entry.level, entry.standing), entry.decode_s
        asked = SentRequest(
            request_id=entry.request_id,
            frames_sha256=entry.frames_sha256,
            prompt_sha256=entry.prompt_sha256,
            started_at=datetime.fromtimestamp(sealed_at, UTC),
        )
        step = await self._recorder.record(unit, self._state, asked, delivery, passage)
        # After a kill the requests are gone, and with them what their answers would be kept under.
        cache, key = self._recorder.cache, self._keys.pop(entry.request_id, None)
        if cache is not None and unit.last is Outcome.ANSWERED and isinstance(delivery.result, Reply):
            await cache.keep(unit.row, key, delivery.result, utc(asked.started_at))
        if step.again:
            return [(step, unit.attempts)]
        self._settled(unit, open_units)
        return []

    def _settled(self, unit: Ask, open_units: dict[AskKey, Ask]) -> None:
        """The unit is settled; with the last moment of a clip the clip is."""
        del open_units[unit.key]
        self._moments_left[unit.key[:3]] -= 1
        if not self._moments_left[unit.key[:3]]:
            self._recorder.finish(unit, self._state)

    async def _waits_for(self, error: AttemptError, passage: Passage) -> bool:
        """Whether the service, which failed as a whole, is asked again about the same round, after a pause."""
        way, asked_s = self._state.way, error.retry_after_s
        if error.outcome not in TRANSIENT or put_off_for(error) is not None or not way.patience.outage_s:
            return False
        way.failed(passage, f"{error.outcome}: {error}", asked_s)
        if way.given_up is None and not way.paused:
            await self._recorder.progress.rest(self._state.configured.choice.row, way.patience.before_retry(1))
        return way.given_up is None

    def _stop(self, error: AttemptError) -> None:
        outcome = error.outcome if error.outcome in NEVER_SENT else Outcome.UNAVAILABLE
        pause_s = put_off_for(error)
        until = self._state.put_off(pause_s) if pause_s is not None else None
        message = f"{error}; the round of requests is kept, and --resume goes on with it"
        self._state.stop(Stop(outcome, message, until))
