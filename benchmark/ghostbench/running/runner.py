"""The run itself: each model goes through the clips at its own pace, and the ledger grows.

A model is asked about so many clips at once as keep it busy; their frames are lent by one window for all (`window.py`).
So memory depends on that window, never on the number of clips, and no model waits for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ghostbench.digests import own_digest
from ghostbench.errors import Unavailable
from ghostbench.folder.begun import Begun, Lost
from ghostbench.folder.clip_lines import ClipLines, put_in_order
from ghostbench.folder.ledger import Ledger, encode
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.manifest import Manifest
from ghostbench.folder.place import RunFolder, write_lines
from ghostbench.folder.reading import read_records
from ghostbench.folder.run_records import read_attempts
from ghostbench.folder.spending import SpendingJournal, spent_before
from ghostbench.models import LocalModel, RemoteModel, Truths
from ghostbench.outcomes import Outcome
from ghostbench.plugins.registry import printable
from ghostbench.records import Clip, Frames
from ghostbench.redact import Redactor
from ghostbench.running import manifest as manifests
from ghostbench.running.ask.decoding import Decoded, Decoding
from ghostbench.running.ask.dispatch import Dispatcher, as_unavailable, within
from ghostbench.running.ask.dispatchers import dispatcher_for, load
from ghostbench.running.ask.units import Ask, ModelState, ladder_of
from ghostbench.running.ask.way import Way
from ghostbench.running.ask.window import Coming, FrameWindow, StorageGivenUp, frames_budget
from ghostbench.running.plan.plan import ConfiguredModel, Contender, Plan
from ghostbench.running.resume.resume import MOST_LOST, changed_file, restore
from ghostbench.running.resume.suspects import struck, suspects_of
from ghostbench.running.rules.habits import learn_from_ledger
from ghostbench.running.rules.patience import NO_PATIENCE
from ghostbench.running.rules.predictions import AskKey, Last, RowFacts, last_lines, note_last, predict
from ghostbench.running.settle.budget import Budget
from ghostbench.running.settle.faults import FIRST_CLIPS, FirstClips
from ghostbench.running.settle.settler import Settler
from ghostbench.running.watch.progress import Progress
from ghostbench.running.watch.silence import tell_of_silence

DECODE_WORKERS = max(2, min(16, os.cpu_count() or 2))
CLOSING_S = 60.0
"""The longest that a run waits for a model to close, seconds."""
_BLOCKED_S = 60.0
"""How much longer than a deadline the event loop may stand still before the process is ended from outside, seconds."""
_SMALLEST_WINDOW = 2 * DECODE_WORKERS
_WAITING = 64
"""So many more of a model's units may be under way that wait, for a place or for the end of a pause: they hold no
frames, and where some fail for reasons of their own, there are others that can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a run writes with, and how it speaks."""

    folder: RunFolder
    manifest: Manifest
    redactor: Redactor
    progress: Progress
    say: Callable[[str], None]


class Runner:
    """One run from its first unsettled unit to its predictions.

    done : the state of the units that a run which is gone on with has in its ledger. lost : what the end of its process
    took with it.
    """

    def __init__(self, plan: Plan, desk: RunContext, done: Mapping[AskKey, Last], lost: Lost) -> None:
        self._plan = plan
        self._desk = desk
        patience = plan.options.patience if plan.options.max_attempts != 1 else NO_PATIENCE
        self._patience = patience
        self._states = {host: ModelState(host, way=self._way(host.choice.row)) for host in plan.hosts}
        self._pool = ThreadPoolExecutor(DECODE_WORKERS, "decode")
        self._busy: Counter[str] = Counter()
        self._preparing: list[ThreadPoolExecutor] = []
        decoding = Decoding(self._pool, plan.sampling, plan.split.data_root)
        self._places = {clip.id: place for place, clip in enumerate(plan.split.clips)}
        self._cursors: dict[ConfiguredModel, int] = {}
        self._window = FrameWindow(decoding, frames_budget(), self._way("the clips' storage"), self._is_wanted)
        self._done = done
        self._lost = lost
        self._suspects = suspects_of(plan, done, lost)
        self._begun = Begun(desk.folder.begun, lost.loading)
        self.longest_s = plan.options.deadline + _BLOCKED_S
        seen = {row.name for row in plan.rows if row.needs_frames}
        self._first = FirstClips(
            decoded=any(row in seen and last.outcome is Outcome.ANSWERED for (row, _, _), last in done.items())
        )

    def _way(self, name: str) -> Way:
        return Way(self._patience, tell=functools.partial(self._desk.progress.paused, name))

    def _is_wanted(self, clip: Clip) -> bool:
        """Whether a model that looks has not come to the clip yet."""
        place = self._places[clip.id]
        return any(cursor <= place for cursor in self._cursors.values())

    async def run(self) -> None:
        """Ask what is left to ask, then write clips, predictions and the complete manifest.

        Raises `DiskFailed`. Cancelled, it leaves a folder that `--resume` goes on with.
        """
        folder, options = self._desk.folder, self._plan.options
        spent = spent_before(read_records(folder.attempts, AttemptLine), folder.sent)
        sent = SpendingJournal(folder.sent, self._desk.redactor)
        clips = ClipLines(folder.clips, self._desk.redactor, self._plan.run_id)
        ledger = Ledger(folder.attempts, self._desk.redactor)
        settler = Settler(
            task=self._plan.task,
            ledger=ledger,
            budget=Budget(options.max_cost, spent),
            progress=self._desk.progress,
            seed=options.seed,
            max_attempts=options.attempts_limit,
            strict=options.max_attempts is not None,
            patience=self._patience,
            sent=sent,
            begun=self._begun,
            media=functools.partial(self._lent, clips),
            storage=self._window.storage,
        )
        self._recall_habits()
        rows, clip_of = {row.name: row for row in self._plan.rows}, {clip.id: clip for clip in self._plan.split.clips}
        for (row, clip, repeat), last in self._done.items():
            # What is asked again is not settled: it would be counted twice, and told of though it was answered.
            if self._is_settled(Ask(rows[row], clip_of[clip], repeat)):
                self._desk.progress.settled(row, last.outcome)
        silence = asyncio.create_task(tell_of_silence(self._desk.progress, self._waiting_for, self._desk.say))
        try:
            self._begin_decoding()
            trusted = [host for host in self._plan.hosts if host not in self._suspects]
            await self._load(trusted)
            await self._look_at_first_clips()
            await self._ask(settler, clips)
        finally:
            silence.cancel()
            for file in (ledger, clips, sent):
                file.close()
            await self._close()
            self._write_manifest()
            self._begun.close(remove=False)
        self._finish()
        self._begun.close(remove=True)

    def _recall_habits(self) -> None:
        """Learn from the ledger again what each server took and refused, so that new clips begin there."""
        if not self._done:
            return
        rows = {row.name: row for row in self._plan.rows}
        for line in read_records(self._desk.folder.attempts, AttemptLine):
            host = rows[line.model].host
            learn_from_ledger(self._states[host].habits, line, ladder_of(host))

    async def _load(self, hosts: Iterable[ConfiguredModel]) -> None:
        """Load the models that have something left to answer, one after the other: they share the machine."""
        truths = Truths(clips=self._plan.split.clips, seed=self._plan.options.seed)
        for host in hosts:
            state = self._states[host]
            if not self._left(host):
                continue
            started = time.perf_counter()
            self._busy[f"{host.choice.row} (loading)"] += 1
            try:
                if host.broken is not None:
                    raise Unavailable(host.broken)
                if host.choice.row in self._plan.options.give_up:
                    raise Unavailable("given up by the user with --give-up")
                if self._lost.loading.count(host.choice.row) >= MOST_LOST:
                    raise Unavailable(f"loading it took the run's process down {MOST_LOST} times")
                if isinstance(host.model, LocalModel):
                    self._begun.loading(host.choice.row)
                # A pool for each: a model that never comes back from preparing keeps threads, and nobody else's.
                self._preparing.append(pool := ThreadPoolExecutor(DECODE_WORKERS, "prepare"))
                state.dispatcher = dispatcher_for(host.model, truths, pool, self._plan.options.deadline)
                facts = await load(state.dispatcher)
                self._require_same_files(host, facts)
                state.facts = facts
            except Exception as error:  # noqa: BLE001 - a model that cannot load is an outcome; the run goes on
                state.stop(Outcome.UNAVAILABLE, str(as_unavailable(error)))
                await self._give_up(state)
            self._begun.loaded(host.choice.row)
            self._busy.clear()
            state.load_s = time.perf_counter() - started
        self._write_manifest()

    def _waiting_for(self) -> str:
        """The rows that have something under way, in words."""
        return ", ".join(row for row, count in self._busy.items() if count > 0) or "batches of requests"

    def _require_same_files(self, host: ConfiguredModel, facts: Mapping[str, Any]) -> None:
        """Go on with no run under other weights: one row would hold two models' answers. Raises `Unavailable`."""
        now = manifests.as_recorded(facts, self._desk.redactor)
        for row in self._plan.rows:
            before = self._desk.manifest.models[row.name].facts if row.host is host else {}
            name = changed_file(before, now)
            if name is not None:
                raise Unavailable(
                    f"{printable(name)} is not the one that the run was begun with; put it back, or start a new run"
                )

    def _begin_decoding(self) -> None:
        """Decode the clips whose frames will be wanted first while the models load.

        Batched models are left out, since a round that is gone on with needs no frames any more.
        """
        rows = self._rows_without_suspects()
        mains = (row for row in rows if row.needs_frames and not row.substitute and not row.host.broken)
        looking = [row for row in mains if not self._is_batched(row)]
        self._cursors = {row.host: 0 for row in looking}
        clips = (clip for clip in self._plan.split.clips if self._units(clip, looking))
        self._window.begin(islice(clips, _SMALLEST_WINDOW))

    async def _look_at_first_clips(self) -> None:
        """See that clips can be decoded here at all. Raises `BadInput` before anything is asked about them."""
        rows = [row for row in self._rows_without_suspects() if row.needs_frames and not row.substitute]
        looking = [row for row in rows if self._states[row.host].stopped is None and not self._goes_on_with_round(row)]
        clips = (clip for clip in self._plan.split.clips if self._units(clip, looking))
        for clip in islice(clips, FIRST_CLIPS):
            if self._first.settled:
                break
            with contextlib.suppress(StorageGivenUp):
                async with self._window.lent(clip) as decoded:
                    self._first.see(clip.id, decoded.frames)

    def _left(self, host: ConfiguredModel) -> bool:
        """Whether any unit of the host's rows is unsettled."""
        rows = [row for row in self._plan.rows if row.host is host]
        return any(self._units(clip, rows) for clip in self._plan.split.clips)

    def _units(
        self, clip: Clip, rows: list[Contender] | tuple[Contender, ...], were_struck: bool | None = None
    ) -> list[Ask]:
        """What is left to ask about a clip; a substitute only where its row is settled without an answer.

        were_struck : only units that were under way when the process ended, or only the others; None takes all.
        """
        left = []
        for row in rows:
            for repeat in range(self._plan.options.repeats):
                if were_struck not in (None, struck(self._done.get((row.name, clip.id, repeat)))):
                    continue
                main = self._done.get((row.of or "", clip.id, repeat)) if row.substitute else None
                if main is not None and main.outcome is Outcome.ANSWERED:
                    continue
                unit = Ask(row, clip, repeat)
                if not self._is_settled(unit):
                    left.append(unit)
        return left

    def _is_settled(self, unit: Ask) -> bool:
        """Put the unit where the ledger left it; True where nothing is left to do for it."""
        last = self._done.get((unit.row.name, unit.clip.id, unit.repeat))
        return restore(unit, last, self._plan.options.attempts_limit)

    def _rows_without_suspects(self) -> list[Contender]:
        """The rows that neither a suspect nor what it answers has a part in."""
        suspect = {row.name for row in self._plan.rows if row.host in self._suspects}
        return [
            row for row in self._plan.rows if row.name not in suspect and not (row.substitute and row.of in suspect)
        ]

    async def _ask(self, settler: Settler, clips: ClipLines) -> None:
        """Everyone about everything that is left to ask."""
        try:
            await self._ask_everyone(self._rows_without_suspects(), settler)
            await self._ask_suspects(settler)
            await self._describe(clips)
        except ExceptionGroup as failures:
            raise _first(failures) from None

    async def _ask_suspects(self, settler: Settler) -> None:
        """One after the other, what was under way when the process ended last and by itself; then their substitutes."""
        for host in self._suspects:
            await self._load([host])
            rows = [row for row in self._plan.rows if row.host is host]
            for were_struck in (False, True):
                self._done = last_lines(read_records(self._desk.folder.attempts, AttemptLine))
                await self._feed(host, self._own(host, rows, were_struck), settler, by_itself=were_struck)
        names = {row.name for host in self._suspects for row in self._plan.rows if row.host is host}
        late = [row for row in self._plan.rows if row.substitute and row.of in names and row.host not in self._suspects]
        await self._ask_late(late, settler)

    async def _ask_late(self, rows: list[Contender], settler: Settler) -> None:
        """Ask substitutes where those that they stand in for have been asked."""
        if rows:
            self._done = last_lines(read_records(self._desk.folder.attempts, AttemptLine))
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._feed(row.host, self._own(row.host, [row]), settler))

    async def _ask_everyone(self, rows: list[Contender], settler: Settler) -> None:
        """Batched models by rounds, the others clip by clip, both at once; then what stands in for batched rows."""
        batched = [row for row in rows if self._is_batched(row)]
        names = {row.name for row in batched}
        late = [row for row in rows if row.substitute and row.of in names and row not in batched]
        others = [row for row in rows if row not in batched and row not in late]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_one_by_one(others, settler))
            for host in dict.fromkeys(row.host for row in batched):
                own = [row for row in batched if row.host is host]
                group.create_task(self._ask_by_rounds(host, own, settler))
        await self._ask_late(late, settler)

    def _is_batched(self, row: Contender) -> bool:
        model = row.host.model
        return isinstance(model, RemoteModel) and model.batched and not row.substitute

    def _goes_on_with_round(self, row: Contender) -> bool:
        """Whether a batched model's requests have been made already."""
        from ghostbench.running.settle.rounds import Round

        return self._is_batched(row) and Round(self._desk.folder.journal_folder(row.host.choice.row)).sealed

    async def _ask_by_rounds(self, host: ConfiguredModel, rows: list[Contender], settler: Settler) -> None:
        """Settle a batched model's rows."""
        from ghostbench.running.settle.rounds import BatchRunner

        units = [unit for clip in self._plan.split.clips for unit in self._units(clip, rows)]
        folder = self._desk.folder.journal_folder(host.choice.row)
        assert settler.media is not None
        await BatchRunner(self._states[host], settler, folder, settler.media).run(units)

    async def _ask_one_by_one(self, rows: list[Contender], settler: Settler) -> None:
        """Every model by itself; a substitute follows the row that it stands in for."""
        stand_ins = {row: asyncio.Queue[Ask | None]() for row in rows if row.substitute}

        def pass_on(unit: Ask) -> None:
            for row, queue in stand_ins.items():
                if row.of == unit.row.name:
                    queue.put_nowait(unit)

        async with asyncio.TaskGroup() as group:
            for row, queue in stand_ins.items():
                group.create_task(self._feed(row.host, self._standing_in(row, queue), settler))
            async with asyncio.TaskGroup() as mains:
                for host in dict.fromkeys(row.host for row in rows if not row.substitute):
                    own = [row for row in rows if row.host is host and not row.substitute]
                    mains.create_task(self._feed(host, self._own(host, own), settler, pass_on))
            for queue in stand_ins.values():
                queue.put_nowait(None)

    async def _own(
        self, host: ConfiguredModel, rows: list[Contender], were_struck: bool | None = None
    ) -> AsyncIterator[Ask]:
        """What is left to ask of a model's rows, clip by clip. were_struck : as for `_units`."""
        for place, clip in enumerate(self._plan.split.clips):
            units = self._units(clip, rows, were_struck)
            if units and host in self._cursors:
                self._cursors[host] = place
            for unit in units:
                yield unit
        self._cursors.pop(host, None)

    async def _standing_in(self, row: Contender, unanswered: asyncio.Queue[Ask | None]) -> AsyncIterator[Ask]:
        """What a substitute is to be asked: clips that its row gave no answer to before, and those that come now."""
        main = next(other for other in self._plan.rows if other.name == row.of)
        for clip in self._plan.split.clips:
            for unit in self._units(clip, [row]):
                if self._is_settled(Ask(main, clip, unit.repeat)):
                    yield unit
        while (failed := await unanswered.get()) is not None:
            for unit in self._units(failed.clip, [row]):
                if unit.repeat == failed.repeat:
                    yield unit

    async def _feed(
        self,
        host: ConfiguredModel,
        units: AsyncIterator[Ask],
        settler: Settler,
        unanswered: Callable[[Ask], None] = lambda _: None,
        *,
        by_itself: bool = False,
    ) -> None:
        """Settle a model's units, as many at once as keep it busy or each alone; tell of those without an answer."""
        state = self._states[host]
        in_flight = state.dispatcher.in_flight if state.dispatcher is not None else 0
        of_a_clip = sum(row.host is host for row in self._plan.rows) * self._plan.options.repeats
        width = max(_SMALLEST_WINDOW, in_flight + DECODE_WORKERS) * of_a_clip
        state.places = asyncio.Semaphore(width)
        line = asyncio.Semaphore(1 if by_itself else width + _WAITING)

        async def settle(unit: Ask) -> None:
            self._busy[unit.row.name] += 1
            try:
                if await settler.settle(unit, state) is not Outcome.ANSWERED:
                    unanswered(unit)
            finally:
                self._busy[unit.row.name] -= 1
                line.release()

        async with asyncio.TaskGroup() as group:
            async for unit in units:
                await line.acquire()
                group.create_task(settle(unit))

    @contextlib.asynccontextmanager
    async def _lent(self, clips: ClipLines, clip: Clip, coming: Coming = lambda _: None) -> AsyncIterator[Decoded]:
        """The clip's frames, or why there are none; noted in `clips.jsonl`. Raises `StorageGivenUp`, `BadInput`."""
        async with self._window.lent(clip, coming) as decoded:
            self._first.see(clip.id, decoded.frames)
            await clips.note(clip, decoded.frames if isinstance(decoded.frames, Frames) else None)
            yield decoded

    async def _describe(self, clips: ClipLines) -> None:
        """Write the lines of clips that nobody had to look at."""
        looks = any(row.needs_frames for row in self._plan.rows)

        async def describe(clip: Clip) -> None:
            with contextlib.suppress(StorageGivenUp):
                if looks:
                    async with self._lent(clips, clip):
                        return
            await clips.note(clip, None)

        left = (clip for clip in self._plan.split.clips if clip not in clips)
        while some := list(islice(left, _SMALLEST_WINDOW if looks else 1024)):
            await asyncio.gather(*map(describe, some))

    async def _give_up(self, state: ModelState) -> None:
        if state.dispatcher is not None:
            dispatcher, state.dispatcher = state.dispatcher, None
            await close_quietly(dispatcher)

    async def _close(self) -> None:
        await self._window.close()
        for pool in (self._pool, *self._preparing):
            pool.shutdown(wait=False, cancel_futures=True)
        for state in self._states.values():
            await self._give_up(state)

    def _write_manifest(self) -> None:
        for row in self._plan.rows:
            state = self._states[row.host]
            entry = self._desk.manifest.models[row.name]
            if state.load_s is not None or state.stopped is not None:
                manifests.describe_state(entry, state, self._desk.redactor)
        self._desk.manifest.write(self._desk.folder.path)

    def _finish(self) -> None:
        """Order the clips, work out the predictions from the ledger alone, and seal the folder with digests."""
        folder = self._desk.folder
        clips = put_in_order(folder.clips, self._plan.split.clips)
        manifest = self._desk.manifest
        rows = [RowFacts.of_entry(row.name, manifest.models[row.name]) for row in self._plan.rows]
        units: dict[AskKey, Last] = {}
        read_attempts(folder.path, functools.partial(note_last, units))
        write_lines(
            folder.predictions, map(encode, predict(rows, clips, self._plan.options.repeats, units, self._plan.task))
        )
        sealed = [folder.clips, folder.attempts, folder.predictions]
        if folder.sent.is_file():
            sealed.append(folder.sent)
        manifest.digests = {path.name: own_digest(path) for path in sealed}
        manifest.status = "complete"
        manifest.finished_at = manifests.utc_now()
        manifest.write_sealed(folder.path)


async def close_quietly(dispatcher: Dispatcher) -> None:
    """Close a model; what it raises while closing changes no answer and is dropped."""
    with contextlib.suppress(Exception):
        await within(dispatcher.close(), CLOSING_S)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group of groups."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
