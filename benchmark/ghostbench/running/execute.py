"""`bench run` from options to exit status: plan, folder, run, scores, report."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ghostbench.errors import BadInput, OurFault, OutputFailed
from ghostbench.folder.begun import Lost
from ghostbench.folder.ledger import DiskFailed
from ghostbench.folder.log import LOGGER, logging_into
from ghostbench.folder.manifest import Manifest, has_manifest
from ghostbench.folder.place import RunFolder
from ghostbench.folder.prompts import keep_words
from ghostbench.folder.tags import write_tags
from ghostbench.frames import Frames
from ghostbench.models import LocalModel
from ghostbench.plugins.registry import registry
from ghostbench.redact import Redactor
from ghostbench.running import manifest as manifests
from ghostbench.running.announcements import (
    resume_command,
    say_what_is_early,
    say_what_is_left_out,
    say_what_is_missing,
    say_what_it_was,
)
from ghostbench.running.ask.examples import show_examples
from ghostbench.running.ask.far import require_room
from ghostbench.running.ask.places.actor import Cluster, require_ray
from ghostbench.running.ask.places.early import Early
from ghostbench.running.conclude import conclude, make_report
from ghostbench.running.import_ahead import importing_ahead
from ghostbench.running.plan.options import Options
from ghostbench.running.plan.plan import Plan, make_plan
from ghostbench.running.plan.start_up import start_up_s
from ghostbench.running.resume.line_check import LineCheck
from ghostbench.running.resume.losses import write_down_losses
from ghostbench.running.resume.resume import (
    check_format,
    check_same,
    check_unchanged,
    still_put_off,
    what_was_done,
)
from ghostbench.running.rules.predictions import AskKey, Last
from ghostbench.running.runner import RunContext, Runner
from ghostbench.running.settle.cache_entry import open_root
from ghostbench.running.settle.faults import closed_by_others, in_one_line, is_closed_file
from ghostbench.running.terminal import Terminal
from ghostbench.running.watch import guard
from ghostbench.running.watch.aside import bounded, printing_aside
from ghostbench.running.watch.progress import Progress
from ghostbench.running.watch.stopping import StopSignals
from ghostbench.running.watch.surroundings import surroundings_put_back

INTERRUPTED = 130
_LAST_WORDS_S = 5.0
"""How long coroutines that are cancelled at the end may take, seconds."""
_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Held:
    """What a run has as long as it lasts: how it keeps its secrets, where its local models live, the frames of the
    clips that wordings show as examples, by the clips' ids, and a worker that was started before it was planned."""

    redactor: Redactor
    cluster: Cluster | None
    examples: Mapping[str, Frames]
    early: Early | None


@dataclass(frozen=True, slots=True)
class RunControl:
    """How a run notices that it is to stop and is gone on with (a command line), and what it has done and lost
    before."""

    held: Held
    signals: StopSignals
    going_on: str
    done: Mapping[AskKey, Last]
    lost: Lost


def execute(
    options: Options, command: list[str], terminal: Terminal, *, own_process: bool = True, early: Early | None = None
) -> int:
    """Run, score and report; return the exit status. Raises `BadInput` and `OurFault`.

    own_process : whether the process was started for this run, so that it has a start-up. early : a worker that was
    started for it already; whoever started it ends it where it was not wanted.
    """
    if options.placement.on_ray:
        require_ray()
    plan = make_plan(options, told=terminal.looking_for_media)
    redactor = Redactor()
    for configured in plan.configured_models:
        redactor.learn_settings(
            {f.name: getattr(configured.settings, f.name) for f in dataclasses.fields(configured.settings)}
        )
    opens, query = plan.split.credentials, plan.options.query
    for place in (opens.full(opens.under), query.data_root, query.labels, *query.annotations):
        redactor.learn_location(place or "")
    elsewhere = options.placement.place != "thread" and any(
        isinstance(configured.model, LocalModel) for configured in plan.configured_models
    )
    examples = show_examples(plan, shared=elsewhere)
    manifest = manifests.start(plan, command, start_up_s() if own_process else None, redactor, examples)
    with _cluster(plan) as cluster:
        return _execute(plan, manifest, command, terminal, Held(redactor, cluster, examples, early))


@contextlib.contextmanager
def _cluster(plan: Plan) -> Iterator[Cluster | None]:
    """The cluster that the run's local models live in; None where they live on this machine. Raises `BadInput`."""
    local = [configured for configured in plan.configured_models if isinstance(configured.model, LocalModel)]
    if not plan.options.placement.on_ray or not local:
        yield None
        return
    cluster = Cluster(
        plan.options.placement.address,
        sum(configured.resources.cpus * len(configured.replicas) for configured in local),
    )
    try:
        if cluster.own:
            require_room(cluster, local)
        yield cluster
    finally:
        cluster.close()


def _execute(plan: Plan, manifest: Manifest, command: list[str], terminal: Terminal, held: Held) -> int:
    options, redactor = plan.options, held.redactor
    folder = RunFolder.at(options.out, plan.run_id)
    if options.cache is not None:
        open_root(options.cache)
    done: Mapping[AskKey, Last] = {}
    lost = Lost()
    if options.resume:
        before = folder.reopen()
        check_format(folder.path, before)
        check_same(before, manifest, plan)
        check_unchanged(folder.path, before)
        done = what_was_done(folder.attempts, plan)
        lost = write_down_losses(folder, LineCheck.of(plan))
        if lost.requests:
            done = what_was_done(folder.attempts, plan)
        say_what_it_was(before, command, terminal)
        say_what_is_early(still_put_off(before, done), terminal)
        manifest = manifests.gone_on_with(before, manifest)
    else:
        folder.create()
    if options.tag:
        write_tags(folder.path, add=options.tag)
    for plugin in registry().warnings:
        terminal.warn(f"warning: {plugin}")
    say_what_is_left_out(plan, terminal)
    say_what_is_missing(plan, terminal)
    going_on = resume_command(redactor.command(command), plan, manifest.options or {})
    guard.tell(folder=str(folder.path.absolute()), going_on=going_on)
    try:
        with StopSignals() as signals:
            control = RunControl(held, signals, going_on, done, lost)
            return _run(plan, folder, manifest, terminal, control)
    except KeyboardInterrupt:
        how = f"; go on with: {going_on}" if has_manifest(folder.path) else ""
        terminal.err.print(f"interrupted{how}", markup=False, highlight=False, soft_wrap=True)
        return INTERRUPTED
    except OutputFailed as error:
        shown = shlex.join(["bench", "report", str(folder.path)])
        raise BadInput(f"{error}; the run in {folder.path} is complete, show it with: {shown}") from None
    except BadInput:
        raise
    except Exception as error:
        raise _as_told(error, plan, folder, redactor, going_on) from error
    finally:
        folder.close()


def _as_told(error: Exception, plan: Plan, folder: RunFolder, redactor: Redactor, going_on: str) -> Exception:
    """The error in the user's words: what the machine or a model's code did, or a mistake of ours."""
    here = {"remote", "local"} if plan.options.placement.place == "thread" else {"remote"}
    others = [configured.choice.row for configured in plan.configured_models if configured.choice.spec.kind in here]
    if others and is_closed_file(error):
        return BadInput(closed_by_others(error, others, redactor, going_on))
    if isinstance(error, DiskFailed):
        return BadInput(f"{error}; make room, then go on with: {going_on}")
    if isinstance(error, OSError) and error.errno in _DISK_TROUBLE:
        where = error.filename or folder.path
        return BadInput(f"cannot write {where}: {error.strerror}; make room, then go on with: {going_on}")
    if isinstance(error, OSError) and _is_within(error.filename, folder):
        return BadInput(f"{error.filename}: {error.strerror}; put that right, then go on with: {going_on}")
    return OurFault(in_one_line(error, redactor, going_on))


def _is_within(file: object, folder: RunFolder) -> bool:
    """Whether the file that an error of the system names lies in the run folder: others have been at it."""
    return isinstance(file, str) and Path(os.path.abspath(file)).is_relative_to(folder.path.absolute())


def _run(plan: Plan, folder: RunFolder, manifest: Manifest, terminal: Terminal, control: RunControl) -> int:
    """Ask, score and print. Raises KeyboardInterrupt when it is stopped, everything to keep being on disk."""
    # A model may change the working folder while the run writes.
    there = RunFolder(folder.path.absolute())
    manifest.write(folder.path)
    for wording in plan.wordings:
        keep_words(folder.path, wording)
    rows = [row.name for row in plan.rows]
    units = len(plan.split.clips) * plan.options.repeats

    def say(line: str) -> None:
        LOGGER.warning("%s", line)
        terminal.warn(line)

    with (
        logging_into(there.log, control.held.redactor),
        printing_aside(there.path, terminal.err, control.held.redactor),
        contextlib.ExitStack() as last,
    ):
        with (
            surroundings_put_back(),
            Progress(terminal.err, rows, units, quiet=terminal.quiet) as progress,
            importing_ahead(plan) as has_time,
        ):
            context = RunContext(
                folder=there,
                manifest=manifest,
                redactor=control.held.redactor,
                progress=progress,
                cluster=control.held.cluster,
                examples=control.held.examples,
                early=control.held.early,
                has_time=has_time,
                say=say,
            )
            LOGGER.info("%s", f"{'goes on' if plan.options.resume else 'begins'}: {len(rows)} rows, {units} units each")
            runner = Runner(plan, context, control.done, control.lost)
            last.push(lambda kind, *_: runner.close(wait=kind is None or issubclass(kind, Exception)))
            try:
                finished = _run_until_done_or_stopped(runner, control.signals, there)
            except Exception:
                LOGGER.exception("ends by a fault")
                with contextlib.suppress(OSError):
                    _mark_interrupted(there, manifest)
                raise
            LOGGER.info("%s", "has asked all" if finished else "is interrupted")
        if not finished:
            _mark_interrupted(folder, manifest)
        if not finished or control.signals.came:
            raise KeyboardInterrupt
        # While models in processes of their own are closing.
        metrics = make_report(folder.path)
    status = conclude(folder.path, terminal, metrics)
    for row, pause_s in progress.longest_put_off_s.items():
        asked = f"{row}: the server asked for a pause of up to {pause_s:.10g} s, longer than a run waits"
        terminal.warn(f"{asked}; ask again then with: {control.going_on}")
    for row, outcomes in progress.worth_another_try():
        if row not in progress.longest_put_off_s:
            said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
            terminal.warn(f"{row}: {said} may go well another time; ask again with: {control.going_on}")
    return status


def _mark_interrupted(folder: RunFolder, manifest: Manifest) -> None:
    manifest.model_copy(update={"status": "interrupted"}).write(folder.path)


def _run_until_done_or_stopped(runner: Runner, signals: StopSignals, folder: RunFolder) -> bool:
    """Run to the end: True. Stopped by Ctrl-C or SIGTERM after a clean end of what was being written: False."""

    async def guarded() -> bool:
        task = asyncio.ensure_future(runner.run())
        with signals.cancelling(task):
            try:
                async with guard.reacting(runner.longest_s), bounded(folder.path):
                    await task
            except asyncio.CancelledError:
                return False
        return True

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(guarded())
    finally:
        _end(loop)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Close the loop, unless a stranger's coroutine goes on although it is cancelled."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        _, left = loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS_S))
    if not left:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
