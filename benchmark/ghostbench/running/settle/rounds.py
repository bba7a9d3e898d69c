"""Models that are asked by the file: rounds of requests through a service's batch interface, across any kill.

A round is a file of encoded requests and an index that says which request is which unit's attempt. Written whole, it is
sealed by its index; from then on it is the same round, after a kill too, until each of its requests has a ledger line.
What the policy wants tried again goes into the next round. Frames are let go as soon as they are encoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from ghostbench.errors import AttemptError, Crashed, MediaError, ModelError
from ghostbench.folder.ledger import DiskFailed
from ghostbench.models import Journal, RemoteModel
from ghostbench.outcomes import NEVER_SENT, TRANSIENT, Outcome
from ghostbench.records import Reply
from ghostbench.running.ask.dispatch import Delivery, as_attempt_error, ends_the_run
from ghostbench.running.ask.units import Ask, ModelState, SentRequest
from ghostbench.running.ask.way import Passage
from ghostbench.running.ask.window import StorageGivenUp
from ghostbench.running.rules.replies import checked
from ghostbench.running.rules.retry import Step, pause_before_round, put_off_for
from ghostbench.running.rules.standing import Standing
from ghostbench.running.settle.faults import is_ours
from ghostbench.running.settle.settler import MediaOf, Settler, billed_for, given_up, no_request
from ghostbench.writing import make_folder, open_new, write_json

_AHEAD = max(2, min(8, os.cpu_count() or 2))
"""How many clips are decoded and encoded at the same time."""
_Made = tuple[Ask, "Entry | None", bytes, Step]
"""A unit with its request's entry and line; without an entry where there is no request, and what follows that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request of a sealed round: the unit (model, clip, repeat), its attempt and level, and what may be billed.

    standing : what the level does not say of where the unit stands, as `Standing.notes` has it.
    """

    request_id: str
    model: str
    clip: str
    repeat: int
    attempt: int
    level: int
    frames_sha256: str | None
    prompt_sha256: str
    most_usd: float
    decode_s: float | None
    standing: Sequence[str] = ()


class FileJournal(Journal):
    """A journal in the round's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "journal.json"

    @override
    def read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        state: dict[str, Any] = json.loads(self._path.read_bytes())
        return state

    @override
    def write(self, state: Mapping[str, Any]) -> None:
        write_json(self._path, state)


class Round:
    """The folder of one model's current round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = folder / "requests.jsonl"
        self._index = folder / "index.json"

    @property
    def sealed(self) -> bool:
        """Whether a whole round is there."""
        return self._index.exists()

    def start(self) -> IO[bytes]:
        """An empty file of requests, open for writing; an unsealed one of before is thrown away."""
        shutil.rmtree(self.folder, ignore_errors=True)
        make_folder(self.folder.parent)
        make_folder(self.folder)
        return open_new(self.lines)

    def seal(self, entries: Sequence[Entry]) -> None:
        """From here on, this is the round."""
        write_json(self._index, {"sealed_at": time.time(), "entries": [asdict(entry) for entry in entries]})

    def entries(self) -> tuple[float, dict[str, Entry]]:
        """When it was sealed (seconds since the epoch), and its requests by id."""
        index = json.loads(self._index.read_bytes())
        return index["sealed_at"], {entry["request_id"]: Entry(**entry) for entry in index["entries"]}

    def close(self) -> None:
        """Remove the round; the index first, so that a kill in between leaves nothing that looks sealed."""
        self._index.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


class BatchRunner:
    """Settles all units of one batched model, round after round."""

    def __init__(self, state: ModelState, settler: Settler, folder: Path, media: MediaOf) -> None:
        if not isinstance(state.host.model, RemoteModel):
            raise TypeError("only a RemoteModel can be batched")
        self._model = state.host.model
        self._state = state
        self._settler = settler
        self._round = Round(folder)
        self._media = media

    async def run(self, units: Sequence[Ask]) -> None:
        """Go on with the round that is there, then make rounds until the policy settles every unit."""
        open_units = {(u.row.name, u.clip.id, u.repeat): u for u in units}
        steps: list[tuple[Step, int]] = []
        if self._round.sealed and self._state.stopped is None:
            for entry in self._round.entries()[1].values():
                self._settler.budget.set_aside(entry.most_usd)
            steps = await self._answer(open_units)
        while open_units and self._state.stopped is None:
            if not self._state.way.paused:
                pause_s = pause_before_round(steps, self._settler.patience)
                await self._settler.progress.rest(self._state.host.choice.row, pause_s)
            made, steps = await self._make(open_units)
            if made:
                steps += await self._answer(open_units)
        for unit in open_units.values():
            stopped = self._state.stopped
            self._settler.progress.settled(unit.row.name, unit.last or (stopped[0] if stopped else Outcome.CRASHED))

    async def _make(self, open_units: dict[tuple[str, str, int], Ask]) -> tuple[bool, list[tuple[Step, int]]]:
        """Write and seal a round of the open units' next attempts; False if there is nothing to send.

        With it comes what the policy wants again of those that no request could be made for.
        """
        entries: list[Entry] = []
        again: list[tuple[Step, int]] = []
        with self._round.start() as file:
            async for unit, entry, line, step in self._encoded(list(open_units.values())):
                if entry is None and step.again:
                    again.append((step, unit.attempts))
                elif entry is None:
                    del open_units[unit.row.name, unit.clip.id, unit.repeat]
                    self._settler.progress.settled(unit.row.name, unit.last or Outcome.CRASHED)
                elif await self._reserved(entry, first=not entries):
                    file.write(line + b"\n")
                    entries.append(entry)
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
        self._state.stop(Outcome.OVER_BUDGET, f"another request could take the run over ${budget.limit:g}")
        return False

    async def _encoded(self, units: Sequence[Ask]) -> AsyncIterator[_Made]:
        """Each unit with its request's entry and line, in order; without them where there is no request."""
        waiting: deque[asyncio.Task[list[_Made]]] = deque()
        clips = [list(group) for _, group in groupby(units, key=lambda unit: unit.clip.id)]
        try:
            for group in clips:
                waiting.append(asyncio.create_task(self._encode(group)))
                if len(waiting) >= _AHEAD:
                    for made in await waiting.popleft():
                        yield made
            while waiting:
                for made in await waiting.popleft():
                    yield made
        finally:
            for task in waiting:
                task.cancel()

    async def _encode(self, units: Sequence[Ask]) -> list[_Made]:
        """The requests about one clip. Its frames are let go as soon as they are encoded."""
        if not any(unit.row.needs_frames for unit in units):
            return [await self._encode_one(unit) for unit in units]
        try:
            async with self._media(units[0].clip, lambda _: None) as decoded:
                for unit in units:
                    if unit.row.needs_frames:
                        unit.frames, unit.decode_s = decoded.frames, decoded.seconds
                return [await self._encode_one(unit) for unit in units]
        except StorageGivenUp as away:
            self._state.stop(Outcome.MEDIA_UNREACHABLE, given_up(f"the storage is away: {away}"))
            return [(unit, None, b"", Step("retry", unit.standing)) for unit in units]
        finally:
            for unit in units:
                unit.frames = None

    async def _encode_one(self, unit: Ask) -> _Made:
        if isinstance(unit.frames, MediaError):
            return unit, None, b"", await self._settler.record_media(unit, self._state, unit.frames)
        try:
            request = self._settler.request(unit)
        except Exception as error:  # a stranger's task may raise anything
            if is_ours(error, self._settler.task):
                raise
            return unit, None, b"", await self._settler.record(unit, self._state, None, no_request(error))
        asked = SentRequest.of(request, None)
        try:
            most_usd = self._settler.most(self._state.host, request)
            line = await asyncio.to_thread(self._model.encode, request)
        except BaseException as error:
            if ends_the_run(error):
                raise
            failure = checked(as_attempt_error(error))
            step = await self._settler.record(unit, self._state, asked, Delivery(failure, None, None))
            return unit, None, b"", step
        entry = Entry(
            request_id=request.id,
            model=unit.row.name,
            clip=unit.clip.id,
            repeat=unit.repeat,
            attempt=unit.attempts + 1,
            level=unit.standing.level,
            frames_sha256=asked.frames_sha256,
            prompt_sha256=asked.prompt_sha256,
            most_usd=most_usd,
            decode_s=unit.decode_s,
            standing=tuple(unit.standing.notes()),
        )
        return unit, entry, line, Step("settle", unit.standing)

    async def _answer(self, open_units: dict[tuple[str, str, int], Ask]) -> list[tuple[Step, int]]:
        """Have the sealed round answered and written down; settled units leave `open_units`.

        A batch that cannot be submitted or reached stays as it is: the model stops, and `--resume` goes on with it. One
        whose results have been written down is over, though the model has stopped: sent again, it would be paid twice.
        """
        sealed_at, waiting = self._round.entries()
        steps: list[tuple[Step, int]] = []
        while (passage := await self._state.way.enter()) is not None:
            failure: BaseException | None = None
            try:
                async for request_id, result in self._model.answer_batch(
                    self._round.lines, FileJournal(self._round.folder)
                ):
                    entry = waiting.pop(request_id, None)
                    if entry is not None:
                        steps += await self._record(entry, result, sealed_at, open_units, passage)
            except DiskFailed:
                raise
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
        open_units: dict[tuple[str, str, int], Ask],
        passage: Passage | None = None,
    ) -> list[tuple[Step, int]]:
        """Write one result down, unless the ledger has it from before a kill; return what the policy wants again."""
        key = entry.model, entry.clip, entry.repeat
        unit = open_units.get(key)
        delivery = Delivery(checked(result), None, max(0.0, time.time() - sealed_at))
        known = unit is None or unit.attempts >= entry.attempt
        billed = 0.0 if known else billed_for(delivery)
        self._settler.budget.settle(entry.most_usd, billed)
        if unit is None or known:
            return []
        if billed is None and entry.most_usd and self._settler.sent is not None:
            await self._settler.sent.note(entry.request_id, entry.most_usd)
        unit.standing, unit.decode_s = Standing.noted(entry.level, entry.standing), entry.decode_s
        asked = SentRequest(
            request_id=entry.request_id,
            frames_sha256=entry.frames_sha256,
            prompt_sha256=entry.prompt_sha256,
            started_at=datetime.fromtimestamp(sealed_at, UTC),
        )
        step = await self._settler.record(unit, self._state, asked, delivery, passage)
        if step.again:
            return [(step, unit.attempts)]
        del open_units[key]
        self._settler.progress.settled(unit.row.name, unit.last or Outcome.CRASHED)
        return []

    async def _waits_for(self, error: AttemptError, passage: Passage) -> bool:
        """Whether the service, which failed as a whole, is asked again about the same round, after a pause."""
        way, asked_s = self._state.way, error.retry_after_s
        if error.outcome not in TRANSIENT or put_off_for(error) is not None or not way.patience.outage_s:
            return False
        way.failed(passage, f"{error.outcome}: {error}", asked_s)
        if way.given_up is None and not way.paused:
            await self._settler.progress.rest(self._state.host.choice.row, way.patience.before_retry(1))
        return way.given_up is None

    def _stop(self, error: AttemptError) -> None:
        outcome = error.outcome if error.outcome in NEVER_SENT else Outcome.UNAVAILABLE
        message = f"{error}; the round of requests is kept, and --resume goes on with it"
        self._state.stop(outcome, message)
