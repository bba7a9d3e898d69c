"""The run itself, from its first unsettled unit to its predictions: what comes after what."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ghostbench.errors import BadInput, MediaError, Unavailable
from ghostbench.folder.begun import Begun, Lost
from ghostbench.folder.clip_lines import ClipLines
from ghostbench.folder.ledger import Ledger
from ghostbench.folder.lines import AttemptLine
from ghostbench.folder.manifest import Manifest
from ghostbench.folder.place import RunFolder
from ghostbench.folder.reading import read_records
from ghostbench.folder.spending import SpendingJournal, spent_before
from ghostbench.frames import Frames
from ghostbench.models import LocalModel
from ghostbench.outcomes import Outcome
from ghostbench.plugins.registry import printable
from ghostbench.records import Clip
from ghostbench.redact import Redactor
from ghostbench.running import manifest as manifests
from ghostbench.running.ask.decoding import Decoded, Decoding
from ghostbench.running.ask.examples import Shown
from ghostbench.running.ask.far import FarAway
from ghostbench.running.ask.pictures import drawing_ahead
from ghostbench.running.ask.places.actor import Cluster
from ghostbench.running.ask.places.early import Early
from ghostbench.running.ask.questions import Questions, found_with_frames
from ghostbench.running.ask.units import ModelState, ladder_of
from ghostbench.running.ask.videos import Videos
from ghostbench.running.ask.way import Way
from ghostbench.running.ask.window import Coming, FrameWindow, StorageGivenUp, frames_budget
from ghostbench.running.feeding import Feeding
from ghostbench.running.finish import finish
from ghostbench.running.plan.configured import ConfiguredModel
from ghostbench.running.plan.contenders import Contender
from ghostbench.running.plan.plan import Plan
from ghostbench.running.resume.left import Left
from ghostbench.running.resume.resume import changed_file
from ghostbench.running.resume.suspects import suspects_of
from ghostbench.running.rules.habits import learn_from_ledger
from ghostbench.running.rules.patience import NO_PATIENCE
from ghostbench.running.rules.predictions import AskKey, Last
from ghostbench.running.settle.budget import Budget
from ghostbench.running.settle.cache_entry import open_root
from ghostbench.running.settle.faults import FIRST_CLIPS, FirstClips, is_ours
from ghostbench.running.settle.loading import Closing, Elsewhere, Loading
from ghostbench.running.settle.making import RequestMaker
from ghostbench.running.settle.recorder import Recorder
from ghostbench.running.settle.reply_cache import ReplyCache, code_of, run_name
from ghostbench.running.settle.settler import Settler
from ghostbench.running.watch.progress import Progress
from ghostbench.running.watch.silence import tell_of_silence

DECODE_WORKERS = max(2, min(16, os.cpu_count() or 2))
_BLOCKED_S = 60.0
"""How much longer than a deadline the event loop may stand still before the process is ended from outside, seconds."""
_SMALLEST_WINDOW = 2 * DECODE_WORKERS
_WHILE_LOADING = 8 * DECODE_WORKERS
"""Clips that are decoded while the models load, for each replica of one, as far as there is room: a first batch waits
for all of its clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a run writes with, and how it speaks. cluster : where its local models live; None: on this machine.

    early : a worker that was started while the run was planned. has_time : called when the clips that are decoded ahead
    are done, or models are ready. examples : the frames of the clips that wordings show as examples, by the clips' ids.
    """

    folder: RunFolder
    manifest: Manifest
    redactor: Redactor
    progress: Progress
    cluster: Cluster | None = None
    early: Early | None = None
    has_time: Callable[[], None] = lambda: None
    examples: Mapping[str, Frames] = field(default_factory=dict)
    say: Callable[[str], None]


class Runner:
    """One run from its first unsettled unit to its predictions.

    done : the state of the units that a run which is gone on with has in its ledger. lost : what the end of its process
    took with it.
    """

    def __init__(self, plan: Plan, context: RunContext, done: Mapping[AskKey, Last], lost: Lost) -> None:
        self._plan = plan
        self._context = context
        self._patience = plan.options.patience if plan.options.max_attempts != 1 else NO_PATIENCE
        self._states = {
            configured: ModelState(configured, way=self._way(configured.choice.row))
            for configured in plan.configured_models
        }
        self._suspects = suspects_of(plan, done, lost)
        self._left = Left(plan, done)
        self._questions = Questions(plan.task)
        self._feeding = Feeding(plan, context.folder, self._states, self._left, self._suspects, DECODE_WORKERS)
        self._pool = ThreadPoolExecutor(_decoders(plan), "decode")
        elsewhere = plan.options.placement.place != "thread" and any(
            isinstance(configured.model, LocalModel) for configured in plan.configured_models
        )
        self._far = FarAway(plan, context.cluster, self._pool) if context.cluster is not None else None
        if self._far is not None:
            decoding = self._far.decoding
        else:
            decoding = Decoding(
                self._pool,
                plan.sampling,
                plan.split.data_root,
                plan.split.credentials,
                shared=elsewhere,
                draw=drawing_ahead(context.manifest.dataset.name, len(plan.split.clips), plan.sampling),
            )
        storage = self._way("the clips' storage")
        # Examples are held as long as the run lasts; each probe keeps frames of its own beside a clip's.
        held = sum(frames.nbytes for frames in context.examples.values())
        budget = max(0, frames_budget() - held) // (1 + len(plan.probes))
        split = plan.split
        videos = Videos(self._pool, storage, budget // 4, split.data_root, split.credentials)
        self._videos = videos if plan.filmed is not None else None
        self._window = FrameWindow(decoding, budget, storage, self._feeding.is_wanted)
        self._begun = Begun(context.folder.begun, lost.loading)
        self._loading = Loading(
            plan,
            self._begun,
            lost,
            DECODE_WORKERS,
            self._require_same_files,
            self._told_ready,
            Elsewhere(self._far, context.early),
        )
        self._closing: Closing | None = None
        self.longest_s = plan.options.deadline + _BLOCKED_S
        seen = {row.name for row in plan.rows if row.looks}
        self._first = FirstClips(
            decoded=any(key.row in seen and last.outcome is Outcome.ANSWERED for key, last in done.items())
        )

    def _way(self, name: str) -> Way:
        return Way(self._patience, tell=functools.partial(self._context.progress.paused, name))

    async def run(self) -> None:
        """Ask what is left to ask, then write clips, predictions and the complete manifest.

        Raises `DiskFailed`. Cancelled, it leaves a folder that `--resume` goes on with. When it returns, models may
        still be closing: see `close`.
        """
        folder, progress = self._context.folder, self._context.progress
        # The ledger is read for it only where something is counted against it.
        limit = self._plan.options.max_cost
        told = () if limit is None else read_records(folder.attempts, AttemptLine)
        spent = spent_before(told, folder.sent)
        spending = SpendingJournal(folder.sent, self._context.redactor)
        clips = ClipLines(folder.clips, self._context.redactor, self._plan.run_id)
        ledger = Ledger(folder.attempts, self._context.redactor)
        settler = self._settler(ledger, spending, clips, Budget(limit, spent))
        self._left.moments = clips.moments
        self._recall_habits()
        if settler.recorder.cache is not None and self._left.done:
            settler.recorder.cache.recall(read_records(folder.attempts, AttemptLine))
        for row, outcome in self._left.settled():
            progress.settled(row, outcome)
        silence = asyncio.create_task(tell_of_silence(progress, self._feeding.waiting_for, self._context.say))
        finished = False
        try:
            self._begin_decoding()
            for configured in self._plan.configured_models:
                if configured not in self._suspects:
                    await self._load(configured)
            if self._far is not None:
                self._far.all_loaded()
            self._write_manifest()
            await self._look_at_first_clips()
            await self._ask(settler, clips)
            await self._loading.ready()
            finished = True
        finally:
            silence.cancel()
            for file in (ledger, clips, spending):
                file.close()
            await self._close(finished=finished)
            self._write_manifest()
            self._begun.close(remove=False)
        finish(self._plan, folder, self._context.manifest)
        self._begun.close(remove=True)

    def _settler(self, ledger: Ledger, spending: SpendingJournal, clips: ClipLines, budget: Budget) -> Settler:
        """The one settler of the run."""
        plan, options = self._plan, self._plan.options
        return Settler(
            maker=RequestMaker(
                plan.task,
                options.seed,
                limited=options.max_cost is not None,
                variants=plan.variants,
                filmed=plan.filmed,
                examples=Shown.of(self._context.examples, plan.split.examples),
                far=plan.sampling if self._far is not None else None,
            ),
            recorder=Recorder(
                task=plan.task,
                ledger=ledger,
                progress=self._context.progress,
                max_attempts=options.attempts_limit,
                strict=options.max_attempts is not None,
                patience=self._patience,
                storage=self._window.storage,
                cache=self._cache(),
            ),
            budget=budget,
            spending=spending,
            begun=self._begun if options.placement.place == "thread" else None,
            media=functools.partial(self._lent, clips),
            videos=self._videos.lent if self._videos is not None else None,
            foresee=self._far.foresee if self._far is not None else None,
        )

    def _cache(self) -> ReplyCache | None:
        """The answers of earlier runs, where the user named a folder of them."""
        options, manifest = self._plan.options, self._context.manifest
        if options.cache is None:
            return None
        # What was imported by now is known to be of these sources; what is imported later is looked at again.
        sources = code_of(self._plan.configured_models, self._context.say)

        def key(row: Contender) -> Mapping[str, Any] | None:
            known = sources[row.configured]
            if known is None:
                return None
            return manifests.model_key(manifest, row, self._states[row.configured], self._plan.task, known.digests)

        return ReplyCache(
            root=open_root(options.cache),
            run=run_name(self._plan.run_id, manifest.started_at or ""),
            redactor=self._context.redactor,
            model_key=functools.cache(key),
            say=self._context.say,
            elsewhere=options.placement.on_ray,
            code=lambda row: sources[row.configured],
        )

    def _recall_habits(self) -> None:
        """Learn from the ledger again what each server took and refused, so that new clips begin there."""
        rows = {row.name: row for row in self._plan.rows}
        if not self._left.done or not any(ladder_of(row.configured) for row in rows.values()):
            return
        for line in read_records(self._context.folder.attempts, AttemptLine):
            configured = rows[line.model].configured
            learn_from_ledger(self._states[configured].habits, line, ladder_of(configured))

    async def _load(self, configured: ConfiguredModel) -> None:
        """Load a model that has something left to answer."""
        if self._left.of_model(configured):
            await self._loading.load(self._states[configured], self._feeding.busy)

    async def _load_suspect(self, configured: ConfiguredModel) -> None:
        await self._load(configured)
        self._write_manifest()

    def _require_same_files(self, state: ModelState, facts: Mapping[str, Any]) -> None:
        """Go on with no run under other weights: one row would hold two models' answers. Raises `Unavailable`."""
        now = manifests.as_recorded(facts, self._context.redactor)
        for row in self._plan.rows:
            before = self._context.manifest.models[row.name].facts if row.configured is state.configured else {}
            name = changed_file(before, now)
            if name is not None:
                raise Unavailable(
                    f"{printable(name)} is not the one that the run was begun with; put it back, or start a new run"
                )

    def _begin_decoding(self) -> None:
        """Decode the clips whose frames will be wanted first while the models load."""
        replicas = max((len(configured.replicas) for configured in self._plan.configured_models), default=1)
        ahead = self._window.begin(islice(self._left.clips(self._feeding.looking()), replicas * _WHILE_LOADING))
        ahead.add_done_callback(self._decoded_ahead)

    def _decoded_ahead(self, ahead: asyncio.Future[Any]) -> None:
        # A run that is stopped is to end, and begins nothing.
        if not (ahead.cancelled() or any(isinstance(came, asyncio.CancelledError) for came in ahead.result())):
            self._context.has_time()

    async def _look_at_first_clips(self) -> None:
        """See that clips can be decoded here at all. Raises `BadInput` before anything is asked about them."""
        rows = [row for row in self._feeding.trusted_rows() if row.looks and not row.substitute]
        looking = [
            row
            for row in rows
            if self._states[row.configured].stopped is None and not self._feeding.goes_on_with_round(row)
        ]
        for clip in islice(self._left.clips(looking), FIRST_CLIPS):
            if self._first.settled:
                break
            with contextlib.suppress(StorageGivenUp):
                async with self._window.lent(clip) as decoded:
                    self._first.see(clip.id, decoded.frames)

    async def _ask(self, settler: Settler, clips: ClipLines) -> None:
        """Everyone about everything that is left to ask."""
        try:
            await self._feeding.ask_trusted(settler)
            await self._feeding.ask_suspects(settler, self._load_suspect)
            await self._describe(clips)
        except ExceptionGroup as failures:
            raise _first(failures) from None

    @contextlib.asynccontextmanager
    async def _lent(self, clips: ClipLines, clip: Clip, coming: Coming = lambda _: None) -> AsyncIterator[Decoded]:
        """The clip's frames, or why there are none; noted in `clips.jsonl`. Raises `StorageGivenUp`, `BadInput`."""
        async with self._window.lent(clip, coming) as decoded:
            self._first.see(clip.id, decoded.frames)
            self._refuse_example(clip, decoded.frames)
            await self._note(clips, clip, decoded.frames)
            yield decoded

    def _refuse_example(self, clip: Clip, frames: Frames | MediaError) -> None:
        """Raise `BadInput` for a clip whose frames are those of an example: its answer has been told."""
        for example, shown in self._context.examples.items():
            if isinstance(frames, Frames) and frames.sha256 == shown.sha256:
                raise BadInput(
                    f"{printable(clip.id)} shows the frames of the example {printable(example)} under another name: a "
                    "wording tells its answer; take one of them out of the split or of the task file"
                )

    async def _note(self, clips: ClipLines, clip: Clip, frames: Frames | MediaError) -> None:
        """Write the clip's line, with the questions about it; they are made here, in a thread where that may take
        long, and stay with the frames."""
        if not isinstance(frames, Frames):
            await clips.note(clip, None)
            return
        questions = None
        try:
            if found_with_frames(self._plan.task):
                questions = await asyncio.to_thread(self._questions.described, frames)
            else:
                questions = self._questions.described(frames)
        except Exception as error:  # a stranger's task may raise anything: its requests then raise it too
            if is_ours(error, self._plan.task):
                raise
        await clips.note(clip, frames, questions)

    async def _describe(self, clips: ClipLines) -> None:
        """Write the lines of clips that nobody had to look at."""
        looks = self._plan.needs_media

        async def describe(clip: Clip) -> None:
            with contextlib.suppress(StorageGivenUp):
                if looks:
                    async with self._lent(clips, clip):
                        return
            await clips.note(clip, None)

        left = (clip for clip in self._plan.split.clips if clip not in clips)
        while some := list(islice(left, _SMALLEST_WINDOW if looks else 1024)):
            await asyncio.gather(*map(describe, some))

    def close(self, *, wait: bool) -> None:
        """Be done with the models that are still closing; if `wait`, once they are closed or have taken too long."""
        if self._closing is not None:
            self._closing.end(wait=wait)

    async def _close(self, *, finished: bool) -> None:
        """Close everything; of a run that is `finished`, models may still be at it when this returns: see `close`."""
        await self._window.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        try:
            if finished:
                self._closing = await self._loading.leave(self._states.values())
            else:
                for state in self._states.values():
                    await self._loading.give_up(state)
        finally:
            if self._closing is None:
                self._loading.close()

    def _told_ready(self) -> None:
        self._write_manifest()
        self._context.has_time()

    def _write_manifest(self) -> None:
        for row in self._plan.rows:
            state = self._states[row.configured]
            entry = self._context.manifest.models[row.name]
            if state.load_s is not None or state.stopped is not None:
                manifests.describe_state(entry, state, self._context.redactor)
            if row.substitute and row.of is not None:
                # Its row has the answers of the one that it stands in for.
                entry.sees_video = entry.sees_video or self._context.manifest.models[row.of].sees_video
        self._context.manifest.write(self._context.folder.path)


def _decoders(plan: Plan) -> int:
    """How many clips are decoded at the same time: here, or by the workers of a cluster."""
    # What is computed elsewhere, or could not be configured, has no replica.
    replicas = max([1, *(len(configured.replicas) for configured in plan.configured_models)])
    return min(256, DECODE_WORKERS * replicas) if plan.options.placement.on_ray else DECODE_WORKERS


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group of groups."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
