"""A process that watches over the one in which a run goes on, so that nothing a model does ends it unnoticed.

A model's code can end the process that it is computed in: by a fault in a library, for want of memory, by
`os._exit(0)`. It can also keep the process from ever reacting again. Neither can be helped from inside. So `bench run`,
and `bench doctor`, go on in a child, and its parent, which does nothing else, passes signals on, notices how the child
ends, and ends it on a second Ctrl-C, whatever it is doing. Where processes cannot be forked with safety, the run goes
on by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from ghostbench import own_process
from ghostbench.errors import BadInput, OurFault
from ghostbench.folder.begun import note_end, read_lost
from ghostbench.folder.names import ATTEMPTS, BEGUN
from ghostbench.folder.printed import was_printed
from ghostbench.running.rules.endings import how_it_ended

FAILED, BAD_INPUT, INTERRUPTED, LOST = 1, 2, 130, 70
"""Exit statuses: ended by an error that nobody foresaw; with an error's line; on request; by the code of a model, which
no other status tells (EX_SOFTWARE)."""
GRACE_S = 3.0
"""How long a run may take to end after a second Ctrl-C before it is ended by force, seconds."""
SAME_PRESS_S = 0.3
"""Signals nearer than this are one: a terminal sends Ctrl-C to parent and child, and the parent passes it on."""
LAST_S = 60.0
"""How long what libraries registered for the end of the process may take, seconds. What they do there, and how they
end, changes nothing of a run that has said its last word."""
BEAT_S = 5.0
"""How often a run that can react says so, seconds."""
LOOK_S = 0.5
"""How often the watching process looks whether anything was said, seconds."""
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CAN_FORK = sys.platform.startswith("linux")


def heard() -> tuple[signal.Signals, ...]:
    """The signals that end a run: Ctrl-C, SIGTERM, and its terminal's hang-up unless `nohup` has it outlive that."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in _PASSED_ON if number != signal.SIGHUP or not ignored)


class _Line:
    """What the child tells its parent, as lines of JSON. Nothing is said where there is no parent."""

    number: int | None = None


def tell(**facts: Any) -> None:
    """Tell the watching process something that it will need."""
    if _Line.number is not None:
        with contextlib.suppress(OSError):
            os.write(_Line.number, json.dumps(facts).encode() + b"\n")


@contextlib.asynccontextmanager
async def reacting(limit_s: float) -> Any:
    """For the length of a `with`, let the watching process know that the event loop reacts.

    limit_s : if it does not for longer, the process is ended from outside.
    """
    # Here alone: the watching process has no loop, and is to have begun before anything large is imported.
    import asyncio

    async def beat() -> None:
        while True:
            tell(beat=limit_s)
            await asyncio.sleep(BEAT_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        tell(beat=None)


def guarded(work: Callable[[], int], of: str = "the run") -> int:
    """What `work` returns, computed in a child that this process watches over; it raises there what it raises.

    of : what `work` is, in words, for the line that says that it was lost. In a process that is for more than the
    command line, and where forking is not safe, it is computed here, and nothing watches.

    How the child ends after `work` returned is not heard. Ended without that, it gives 128 + the number of the signal,
    or `LOST`.
    """
    if not (_CAN_FORK and own_process.is_ours()) or threading.active_count() > 1:
        return work()
    reading, writing = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child:
        os.close(writing)
        return _Watch(child, reading, of).wait()
    os.close(reading)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    _Line.number = writing
    _die_with(parent)
    try:
        status = work()
        sys.stdout.flush()
    except BaseException as error:
        tell(raised=_status_of(error))
        raise
    tell(done=status)
    return status


def _status_of(error: BaseException) -> int:
    """What the command's exit status is where its work raises this."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return BAD_INPUT if isinstance(error, BadInput | OurFault | OSError) else FAILED


def _die_with(parent: int) -> None:
    """Have this process killed when its parent is gone: nobody would watch over it, and a kill means the run."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(LOST)


class _Watch:
    """The parent's side."""

    def __init__(self, child: int, reading: int, of: str) -> None:
        self._child = child
        self._of = of
        self._reading = reading
        self._told: dict[str, Any] = {}
        self._ended = threading.Event()
        self._pressed: list[float] = []
        self._blocked_s: float | None = None

    def wait(self) -> int:
        """Wait for the child; return the exit status that tells what became of the run."""
        with self._passing_signals_on():
            listening = threading.Thread(target=self._listen, daemon=True)
            listening.start()
            _, state = os.waitpid(self._child, 0)
            self._ended.set()
            listening.join()
        status = os.waitstatus_to_exitcode(state)
        for word in ("done", "raised"):
            if word in self._told:
                return int(self._told[word])
        if status == INTERRUPTED and self._pressed:
            return status
        return self._lost(status)

    def _lost(self, status: int) -> int:
        """Say that the child ended without a word, and what to do."""
        folder, going_on = self._told.get("folder"), self._told.get("going_on")
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h\n")
        if len(self._pressed) > 1 or (self._pressed and status in {-number for number in _PASSED_ON}):
            self._say("interrupted" + (f"; go on with: {going_on}" if going_on else ""))
            return INTERRUPTED
        how = how_it_ended(status)
        if self._blocked_s is not None:
            how = f"did not react for {self._blocked_s:.0f} s and was ended"
        line = f"error: the process of {self._of} {how} before {self._of} was done"
        if folder is not None:
            path = Path(folder) / BEGUN
            note_end(path, how)
            rows = read_lost(path, path.with_name(ATTEMPTS)).rows
            if rows:
                line += f", while it computed {', '.join(rows)}"
            line += f"; go on with: {going_on}"
            if rows:
                line += f" (without a model: --give-up {rows[0] if len(rows) == 1 else 'MODEL'})"
            printed = was_printed(path.parent)
            if printed is not None:
                line += f"; what it printed is in {printed}"
        self._say(line)
        return 128 - status if status < 0 else LOST

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write("".join(c if c.isprintable() else "?" for c in line) + "\n")
            sys.stderr.flush()

    def _listen(self) -> None:
        """Read what the child tells until it has ended; end it when it has not reacted for too long."""
        rest = b""
        silent = 0
        while True:
            ready, _, _ = select.select([self._reading], [], [], 0.0 if self._ended.is_set() else LOOK_S)
            if ready:
                silent = 0
                data = os.read(self._reading, 65536)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    with contextlib.suppress(ValueError):
                        self._told.update(json.loads(line))
                if not data:
                    return
            elif self._ended.is_set():
                return
            else:
                # Counted by looks, not by the clock: a machine that slept is no run that hangs.
                silent += 1
                limit_s = self._told.get("beat")
                if silent * LOOK_S > LAST_S and not self._told.keys().isdisjoint(("done", "raised")):
                    os.kill(self._child, signal.SIGKILL)
                elif limit_s is not None and silent * LOOK_S > limit_s:
                    self._blocked_s = silent * LOOK_S
                    os.kill(self._child, signal.SIGKILL)

    @contextlib.contextmanager
    def _passing_signals_on(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._signalled) for number in heard()}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._pressed and now - self._pressed[-1] < SAME_PRESS_S:
            return
        self._pressed.append(now)
        if self._ended.is_set():
            return
        os.kill(self._child, number)
        if len(self._pressed) == 2:
            threading.Thread(target=self._end_by_force, daemon=True).start()

    def _end_by_force(self) -> None:
        if not self._ended.wait(GRACE_S):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
