"""The run itself: clips are decoded ahead within a bounded window, every row is asked about each, the ledger grows.

A clip enters the window, its frames are decoded once in a thread, all rows are settled with them at the same time, and
the frames are let go. So memory depends on the window, never on the number of clips.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ghostbench.errors import MediaError, Unavailable
from ghostbench.models import LocalModel, RemoteModel, Truths
from ghostbench.outcomes import Outcome
from ghostbench.plugins.registry import printable
from ghostbench.records import Clip, Frames
from ghostbench.redact import Redactor
from ghostbench.run import manifest as manifests
from ghostbench.run.ahead import Decoding
from ghostbench.run.begun import Begun, Lost
from ghostbench.run.budget import Budget
from ghostbench.run.clip_lines import ClipLines, put_in_order
from ghostbench.run.dispatch import Dispatcher, as_unavailable, within
from ghostbench.run.folder import RunFolder, write_lines
from ghostbench.run.habits import learn_from_ledger
from ghostbench.run.ledger import Ledger, encode, read_lines
from ghostbench.run.plan import Host, Plan, Row
from ghostbench.run.predictions import Last, RowFacts, last_lines, predict
from ghostbench.run.predictions import Unit as UnitKey
from ghostbench.run.progress import Progress
from ghostbench.run.reach import dispatcher_for, load
from ghostbench.run.resume import MOST_LOST, changed_file, restore
from ghostbench.run.seal import write_sealed
from ghostbench.run.sent import SentJournal, spent_before
from ghostbench.run.settle import Settler
from ghostbench.run.silence import tell_of_silence
from ghostbench.run.suspects import struck, suspects_of
from ghostbench.run.units import HostState, Unit, ladder_of
from ghostbench.writing import write_json

DECODE_WORKERS = max(2, min(16, os.cpu_count() or 2))
CLOSING_S = 60.0
"""The longest that a run waits for a model to close, seconds."""
_BLOCKED_S = 60.0
"""How much longer than a deadline the event loop may stand still before the process is ended from outside, seconds."""
_SMALLEST_WINDOW = 2 * DECODE_WORKERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a run writes with, and how it speaks."""

    folder: RunFolder
    manifest: dict[str, Any]
    redactor: Redactor
    progress: Progress
    say: Callable[[str], None]


class Runner:
    """One run from its first unsettled unit to its predictions.

    done : the state of the units that a run which is gone on with has in its ledger. lost : what the end of its process
    took with it.
    """

    def __init__(self, plan: Plan, desk: Desk, done: Mapping[UnitKey, Last], lost: Lost) -> None:
        self._plan = plan
        self._desk = desk
        self._states = {host: HostState(host) for host in plan.hosts}
        self._pool = ThreadPoolExecutor(DECODE_WORKERS, "decode")
        self._busy: Counter[str] = Counter()
        self._preparing: list[ThreadPoolExecutor] = []
        self._decoding = Decoding(self._pool, plan.sampling, plan.split.data_root)
        self._done = done
        self._lost = lost
        self._suspects = suspects_of(plan, done, lost)
        self._begun = Begun(desk.folder.begun, lost.loading)
        self.longest_s = plan.options.deadline + _BLOCKED_S

    async def run(self) -> None:
        """Ask what is left to ask, then write clips, predictions and the complete manifest.

        Raises `DiskFailed`. Cancelled, it leaves a folder that `--resume` goes on with.
        """
        folder, options = self._desk.folder, self._plan.options
        sent = SentJournal(folder.sent, self._desk.redactor)
        clips = ClipLines(folder.clips, self._desk.redactor, self._plan.run_id)
        ledger = Ledger(folder.attempts, self._desk.redactor)
        settler = Settler(
            task=self._plan.task,
            ledger=ledger,
            budget=Budget(options.max_cost, spent_before(folder.attempts, folder.sent)),
            progress=self._desk.progress,
            seed=options.seed,
            max_attempts=options.max_attempts,
            sent=sent,
            begun=self._begun,
        )
        self._recall_habits()
        for (row, _, _), last in self._done.items():
            self._desk.progress.settled(row, last.outcome)
        silence = asyncio.create_task(tell_of_silence(self._desk.progress, self._waiting_for, self._desk.say))
        try:
            self._decoding.begin(self._first_clips())
            trusted = [host for host in self._plan.hosts if host not in self._suspects]
            await self._load(trusted)
            await self._ask_everyone(self._rows_without_suspects(), settler, clips)
            await self._ask_suspects(settler, clips)
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
        for line in read_lines(self._desk.folder.attempts):
            learn_from_ledger(self._states[rows[line["model"]].host].habits, line, ladder_of(rows[line["model"]].host))

    async def _load(self, hosts: Iterable[Host]) -> None:
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
                state.stopped = (Outcome.UNAVAILABLE, str(as_unavailable(error)))
                await self._give_up(state)
            self._begun.loaded(host.choice.row)
            self._busy.clear()
            state.load_s = time.perf_counter() - started
        self._write_manifest()

    def _waiting_for(self) -> str:
        """The rows that have something under way, in words."""
        return ", ".join(row for row, count in self._busy.items() if count > 0) or "batches of requests"

    def _require_same_files(self, host: Host, facts: Mapping[str, Any]) -> None:
        """Go on with no run under other weights: one row would hold two models' answers. Raises `Unavailable`."""
        now = manifests.as_recorded(facts, self._desk.redactor)
        for row in self._plan.rows:
            before = self._desk.manifest["models"][row.name]["facts"] if row.host is host else {}
            name = changed_file(before, now)
            if name is not None:
                raise Unavailable(
                    f"{printable(name)} is not the one that the run was begun with; put it back, or start a new run"
                )

    def _first_clips(self) -> list[Clip]:
        """The clips whose frames will be wanted first: they are decoded while the models load.

        Batched models are left out, since a round that is gone on with needs no frames any more.
        """
        rows = self._rows_without_suspects()
        mains = (row for row in rows if row.needs_frames and not row.substitute and not row.host.broken)
        looking = [row for row in mains if not self._is_batched(row)]
        clips = (clip for clip in self._plan.split.clips if self._units(clip, looking))
        return list(islice(clips, _SMALLEST_WINDOW))

    def _left(self, host: Host) -> bool:
        """Whether any unit of the host's rows is unsettled."""
        rows = [row for row in self._plan.rows if row.host is host]
        return any(self._units(clip, rows) for clip in self._plan.split.clips)

    def _units(self, clip: Clip, rows: list[Row] | tuple[Row, ...], were_struck: bool | None = None) -> list[Unit]:
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
                unit = Unit(row, clip, repeat)
                if not restore(unit, self._done.get((row.name, clip.id, repeat)), self._plan.options.max_attempts):
                    left.append(unit)
        return left

    def _rows_without_suspects(self) -> list[Row]:
        """The rows that neither a suspect nor what it answers has a part in."""
        suspect = {row.name for row in self._plan.rows if row.host in self._suspects}
        return [
            row for row in self._plan.rows if row.name not in suspect and not (row.substitute and row.of in suspect)
        ]

    async def _ask_suspects(self, settler: Settler, clips: ClipLines) -> None:
        """One after the other, what was under way when the process ended last and by itself; then their substitutes."""
        for host in self._suspects:
            await self._load([host])
            rows = [row for row in self._plan.rows if row.host is host]
            for were_struck in (False, True):
                self._done = last_lines(read_lines(self._desk.folder.attempts))
                await self._ask_all(rows, settler, clips, were_struck)
        names = {row.name for host in self._suspects for row in self._plan.rows if row.host is host}
        late = [row for row in self._plan.rows if row.substitute and row.of in names and row.host not in self._suspects]
        if late:
            self._done = last_lines(read_lines(self._desk.folder.attempts))
            await self._ask_all(late, settler, clips)

    async def _ask_everyone(self, rows: list[Row], settler: Settler, clips: ClipLines) -> None:
        """Batched models by rounds, the others clip by clip, both at once; then what stands in for batched rows."""
        batched = [row for row in rows if self._is_batched(row)]
        names = {row.name for row in batched}
        late = [row for row in rows if row.substitute and row.of in names and row not in batched]
        others = [row for row in rows if row not in batched and row not in late]
        try:
            async with asyncio.TaskGroup() as group:
                if others:
                    group.create_task(self._ask_all(others, settler, clips))
                for host in dict.fromkeys(row.host for row in batched):
                    rows = [row for row in batched if row.host is host]
                    group.create_task(self._ask_by_rounds(host, rows, settler, clips))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if late or not others:
            self._done = last_lines(read_lines(self._desk.folder.attempts))
            await self._ask_all(late, settler, clips)

    def _is_batched(self, row: Row) -> bool:
        model = row.host.model
        return isinstance(model, RemoteModel) and model.batched and not row.substitute

    async def _ask_by_rounds(self, host: Host, rows: list[Row], settler: Settler, clips: ClipLines) -> None:
        """Settle a batched model's rows."""
        from ghostbench.run.batch import BatchRunner

        async def frames_of(clip: Clip) -> Frames | MediaError:
            frames = (await self._decoding.frames(clip)).frames
            await clips.note(clip, frames if isinstance(frames, Frames) else None)
            return frames

        units = [unit for clip in self._plan.split.clips for unit in self._units(clip, rows)]
        folder = self._desk.folder.journal_folder(host.choice.row)
        await BatchRunner(self._states[host], settler, folder, frames_of).run(units)

    async def _ask_all(
        self, rows: list[Row], settler: Settler, clips: ClipLines, were_struck: bool | None = None
    ) -> None:
        """Ask these rows; units that were struck one by one."""
        window = asyncio.Semaphore(1 if were_struck else self._window())
        try:
            async with asyncio.TaskGroup() as group:
                for clip in self._plan.split.clips:
                    await window.acquire()
                    task = group.create_task(self._ask_about(clip, rows, settler, clips, were_struck))
                    task.add_done_callback(lambda _: window.release())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _window(self) -> int:
        """How many clips may be held at once: enough to keep every model busy while the next ones are decoded."""
        wanted = [s.dispatcher.in_flight for s in self._states.values() if s.dispatcher is not None]
        return max([_SMALLEST_WINDOW, *(n + DECODE_WORKERS for n in wanted)])

    async def _ask_about(
        self, clip: Clip, rows: list[Row], settler: Settler, clips: ClipLines, were_struck: bool | None
    ) -> None:
        """Everything that these rows have to do with one clip."""
        units = self._units(clip, rows, were_struck)
        looking = [u for u in units if u.row.needs_frames and self._states[u.row.host].stopped is None]
        for unit in units:
            self._announce(unit)
        frames: Frames | MediaError | None = None
        decode_s = None
        if looking or (clip not in clips and any(row.needs_frames for row in self._plan.rows)):
            decoded = await self._decoding.frames(clip)
            frames, decode_s = decoded.frames, decoded.seconds
        await clips.note(clip, frames if isinstance(frames, Frames) else None)
        for unit in units:
            if unit.row.needs_frames:
                unit.frames, unit.decode_s = frames, decode_s
        substitutes = [unit for unit in units if unit.row.substitute]
        mains = [unit for unit in units if not unit.row.substitute]
        if were_struck:
            for unit in mains:
                await self._settle(unit, substitutes, settler)
        else:
            await asyncio.gather(*(self._settle(unit, substitutes, settler) for unit in mains))
        stood_in = {(unit.row.name, unit.repeat) for unit in mains}
        for unit in substitutes:
            if (unit.row.of, unit.repeat) not in stood_in:
                await settler.settle(unit, self._states[unit.row.host])

    async def _settle(self, unit: Unit, substitutes: list[Unit], settler: Settler) -> None:
        """Settle a unit, then the substitutes that stand in for its row if it gave no answer."""
        self._busy[unit.row.name] += 1
        outcome = await settler.settle(unit, self._states[unit.row.host])
        self._busy[unit.row.name] -= 1
        for other in substitutes:
            if other.row.of == unit.row.name and other.repeat == unit.repeat and outcome is not Outcome.ANSWERED:
                await settler.settle(other, self._states[other.row.host])

    def _announce(self, unit: Unit) -> None:
        dispatcher = self._states[unit.row.host].dispatcher
        if dispatcher is not None and not unit.row.substitute:
            dispatcher.expect(1, unit.row.name)
            unit.announced = True

    async def _give_up(self, state: HostState) -> None:
        if state.dispatcher is not None:
            dispatcher, state.dispatcher = state.dispatcher, None
            await _close_quietly(dispatcher)

    async def _close(self) -> None:
        self._decoding.cancel()
        for pool in (self._pool, *self._preparing):
            pool.shutdown(wait=False, cancel_futures=True)
        for state in self._states.values():
            await self._give_up(state)

    def _write_manifest(self) -> None:
        for row in self._plan.rows:
            state = self._states[row.host]
            entry = self._desk.manifest["models"][row.name]
            if state.load_s is not None or state.stopped is not None:
                manifests.describe_state(entry, state, self._desk.redactor)
        write_json(self._desk.folder.manifest, self._desk.manifest)

    def _finish(self) -> None:
        """Order the clips, work out the predictions from the ledger alone, and seal the folder with digests."""
        folder = self._desk.folder
        clips = put_in_order(folder.clips, self._plan.split.clips)
        entries = self._desk.manifest["models"]
        rows = [
            RowFacts(
                name=row.name,
                of=row.of if row.substitute else None,
                stopped=Outcome(entries[row.name]["stopped"]["outcome"]) if entries[row.name]["stopped"] else None,
            )
            for row in self._plan.rows
        ]
        units = last_lines(read_lines(folder.attempts))
        write_lines(
            folder.predictions, map(encode, predict(rows, clips, self._plan.options.repeats, units, self._plan.task))
        )
        sealed = [folder.clips, folder.attempts, folder.predictions]
        if folder.sent.is_file():
            sealed.append(folder.sent)
        self._desk.manifest["digests"] = {path.name: manifests.file_sha256(path) for path in sealed}
        self._desk.manifest["status"] = "complete"
        self._desk.manifest["finished_at"] = manifests.utc_now()
        write_sealed(folder.manifest, self._desk.manifest)


async def _close_quietly(dispatcher: Dispatcher) -> None:
    """Close a model; what it raises while closing changes no answer and is dropped."""
    with contextlib.suppress(Exception):
        await within(dispatcher.close(), CLOSING_S)
